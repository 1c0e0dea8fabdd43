//! The registry of plugins: which criteria, regularisers and schedulers are linked into the program, and how they are read
//! by name.
//!
//! A plugin is a type that implements [`Importance`](../importance/trait.Importance.html),
//! [`Regularizer`](../regularizer/trait.Regularizer.html) or [`Scheduler`] under `typetag`, and one line that says what it is:
//!
//! ```
//! use pruner_core::register_scheduler;
//! use pruner_core::scheduler::{Position, Scheduler};
//! use serde::{Deserialize, Serialize};
//!
//! register_scheduler!("square", "t²: slow at first");
//!
//! #[derive(Clone, Debug, Default, Serialize, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Square {}
//!
//! #[typetag::serde(name = "square")]
//! impl Scheduler for Square {
//!     fn ratio(&self, at: Position) -> f64 {
//!         at.progress().powi(2)
//!     }
//! }
//!
//! let scheduler = pruner_core::registry::scheduler_from("square", serde_json::Value::Null)?;
//! assert_eq!(scheduler.ratio(Position::new(1, 2, 0.5)), 0.25);
//! # pruner_core::registry::check()?;
//! # Ok::<(), pruner_core::registry::RegistryError>(())
//! ```
//!
//! A plugin whose crate nothing names is not linked: the program holds `use that_crate as _;`.

mod error;
mod nearest;
mod plugin;
mod schema;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scheduler::Scheduler;

pub use error::RegistryError;
pub use nearest::{nearest, with_nearest};
pub use plugin::{Kind, Plugin};
pub use schema::{PluginSchema, schema};

#[doc(hidden)]
pub use inventory;

/// Every plugin that is linked into the program, by kind and name.
pub fn plugins() -> Vec<&'static Plugin> {
    let mut plugins: Vec<_> = inventory::iter::<Plugin>().collect();
    plugins.sort_unstable();
    plugins
}

/// Every importance criterion, by name.
pub fn importances() -> Vec<&'static Plugin> {
    plugins().into_iter().filter(|plugin| plugin.kind == Kind::Importance).collect()
}

/// Every regulariser, by name.
pub fn regularizers() -> Vec<&'static Plugin> {
    plugins().into_iter().filter(|plugin| plugin.kind == Kind::Regularizer).collect()
}

/// Every scheduler, by name.
pub fn schedulers() -> Vec<&'static Plugin> {
    plugins().into_iter().filter(|plugin| plugin.kind == Kind::Scheduler).collect()
}

/// Whether every plugin has a name of its own, is implemented and is listed.
///
/// Programs call it as they start: what it finds is a mistake in what was linked, which would else come out only when
/// a config names the plugin.
pub fn check() -> Result<(), RegistryError> {
    for pair in plugins().windows(2) {
        if (pair[0].kind, pair[0].name) == (pair[1].kind, pair[1].name) {
            return Err(RegistryError::duplicate(pair[0], pair[1]));
        }
    }
    let mut traits: Vec<_> = inventory::iter::<PluginTrait>().collect();
    traits.sort_unstable_by_key(|plugin_trait| plugin_trait.kind);
    for PluginTrait { kind, implemented, .. } in traits {
        let implemented: BTreeSet<_> = implemented(*kind).into_iter().collect();
        let listed: Vec<_> = plugins().into_iter().filter(|plugin| plugin.kind == *kind).collect();
        if let Some(plugin) = listed.iter().find(|plugin| !implemented.contains(plugin.name)) {
            return Err(RegistryError::Unimplemented {
                kind: *kind,
                name: plugin.name.to_owned(),
                module: plugin.module.to_owned(),
            });
        }
        if let Some(name) = implemented.into_iter().find(|name| listed.iter().all(|plugin| plugin.name != *name)) {
            return Err(RegistryError::Unlisted { kind: *kind, name: name.to_owned() });
        }
    }
    Ok(())
}

/// The scheduler `name` with the fields of `options`, an object or null; what is left out has its default.
pub fn scheduler_from(name: &str, options: Value) -> Result<Box<dyn Scheduler>, RegistryError> {
    read(Kind::Scheduler, name, options)
}

/// The scheduler that a config names: `"cubic"`, or `{"scheduler": "one-shot", "at": 3}`.
pub fn scheduler_from_config(config: Value) -> Result<Box<dyn Scheduler>, RegistryError> {
    read_config(Kind::Scheduler, config)
}

/// [`scheduler_from_config`] for a field of a config:
/// `#[serde(deserialize_with = "pruner_core::registry::deserialize_scheduler")]`.
///
/// A field without it reads too; this one allows the bare name and has the better messages.
pub fn deserialize_scheduler<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<dyn Scheduler>, D::Error> {
    scheduler_from_config(Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The trait behind a kind, for the functions that treat all kinds alike.
pub(crate) struct PluginTrait {
    kind: Kind,
    implemented: fn(Kind) -> Vec<&'static str>,
    round_trip: fn(Value) -> Result<Value, serde_json::Error>,
}

inventory::collect!(PluginTrait);

impl PluginTrait {
    pub(crate) const fn new<T: ?Sized>(kind: Kind) -> Self
    where
        Box<T>: DeserializeOwned + Serialize,
    {
        Self {
            kind,
            implemented: implemented::<Box<T>>,
            round_trip: |config| serde_json::to_value(serde_json::from_value::<Box<T>>(config)?),
        }
    }
}

inventory::submit!(PluginTrait::new::<dyn Scheduler>(Kind::Scheduler));

impl JsonSchema for dyn Scheduler {
    fn schema_name() -> Cow<'static, str> {
        "Scheduler".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema(Kind::Scheduler, generator)
    }
}

/// The plugin of `kind` called `name`; `T` is the trait of the kind.
pub(crate) fn read<T: ?Sized>(kind: Kind, name: &str, options: Value) -> Result<Box<T>, RegistryError>
where
    Box<T>: DeserializeOwned,
{
    let config = config(kind, name, options)?;
    let mut listed = plugins().into_iter().filter(|plugin| plugin.kind == kind && plugin.name == name);
    if let (Some(one), Some(other)) = (listed.next(), listed.next()) {
        return Err(RegistryError::duplicate(one, other));
    }
    let known = implemented::<Box<T>>(kind);
    if !known.contains(&name) {
        let known = known.into_iter().map(str::to_owned).collect();
        return Err(RegistryError::Unknown { kind, name: name.to_owned(), known });
    }
    serde_json::from_value(config).map_err(|error| RegistryError::Options {
        kind,
        name: name.to_owned(),
        message: with_nearest(error.to_string()),
    })
}

/// The plugin that `config` names.
pub(crate) fn read_config<T: ?Sized>(kind: Kind, config: Value) -> Result<Box<T>, RegistryError>
where
    Box<T>: DeserializeOwned,
{
    let nameless = |found: &Value| RegistryError::Nameless { kind, found: found.to_string() };
    match config {
        Value::String(name) => read(kind, &name, Value::Null),
        Value::Object(options) => match options.get(kind.tag()) {
            Some(Value::String(name)) => read(kind, &name.clone(), Value::Object(options)),
            _ => Err(nameless(&Value::Object(options))),
        },
        other => Err(nameless(&other)),
    }
}

/// `options` with the name among them, as `typetag` reads it.
fn config(kind: Kind, name: &str, options: Value) -> Result<Value, RegistryError> {
    let refuse = |message: String| RegistryError::Options { kind, name: name.to_owned(), message };
    let mut options = match options {
        Value::Null => Map::new(),
        Value::Object(options) => options,
        other => return Err(refuse(format!("options are an object, not {other}"))),
    };
    match options.insert(kind.tag().to_owned(), Value::String(name.to_owned())) {
        Some(other) if other != name => Err(refuse(format!("its options name another, {other}"))),
        _ => Ok(Value::Object(options)),
    }
}

/// The names under which `typetag` reads a `B`, which is of `kind`.
///
/// `typetag` tells them only to the error that it raises for a name it does not know.
fn implemented<B: DeserializeOwned>(kind: Kind) -> Vec<&'static str> {
    struct Names(Vec<&'static str>);

    impl serde::de::Error for Names {
        fn custom<T: fmt::Display>(_: T) -> Self {
            Self(Vec::new())
        }

        fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
            Self(expected.to_vec())
        }
    }

    impl std::error::Error for Names {}

    impl fmt::Debug for Names {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    impl fmt::Display for Names {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0.join(", "))
        }
    }

    // No name holds a control character, so that this one is unknown.
    const UNKNOWN: &str = "\u{0}";
    match B::deserialize(MapDeserializer::new([(kind.tag(), UNKNOWN)].into_iter())) {
        Ok(_) => Vec::new(),
        Err(Names(names)) => names,
    }
}
