//! The JSON schema of what a config says of a plugin.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{Kind, plugins};

/// The schema of the options of a plugin; made by the macros that list plugins.
#[derive(Debug)]
pub struct PluginSchema {
    kind: Kind,
    name: &'static str,
    options: fn(&mut SchemaGenerator) -> Schema,
}

inventory::collect!(PluginSchema);

impl PluginSchema {
    /// What the macros call.
    #[doc(hidden)]
    pub const fn of<P: JsonSchema>(kind: Kind, name: &'static str) -> Self {
        Self { kind, name, options: P::json_schema }
    }
}

/// The schema of a plugin of `kind` in a config: its name, or an object with its name and options. The options of plugins that
/// were listed without their type are not told.
pub fn schema(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
    let known: Vec<_> = plugins().into_iter().filter(|plugin| plugin.kind == kind).collect();
    let names: Vec<&str> = known.iter().map(|plugin| plugin.name).collect();
    let mut forms = vec![json!({ "enum": names })];
    for plugin in known {
        let listed = inventory::iter::<PluginSchema>().find(|of| (of.kind, of.name) == (kind, plugin.name));
        let mut form = listed.map_or_else(|| json_schema!({ "type": "object" }), |of| (of.options)(generator));
        let form = form.ensure_object();
        form.insert("description".to_owned(), plugin.description.into());
        let name = json!({ "const": plugin.name });
        if let Value::Object(properties) = form.entry("properties").or_insert_with(|| json!({})) {
            properties.insert(kind.tag().to_owned(), name);
        }
        if let Value::Array(required) = form.entry("required").or_insert_with(|| json!([])) {
            required.push(kind.tag().into());
        }
        forms.push(Value::Object(form.clone()));
    }
    json_schema!({ "oneOf": forms })
}
