//! What a plugin says of itself, and the lines that say it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PluginTrait, config};

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An importance criterion.
    Importance,
    /// A regulariser.
    Regularizer,
    /// A scheduler.
    Scheduler,
}

impl Kind {
    /// The key under which a config names a plugin of this kind.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Importance => "importance",
            Self::Regularizer => "regularizer",
            Self::Scheduler => "scheduler",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// What a plugin says of itself; made by [`register_importance!`](crate::register_importance),
/// [`register_regularizer!`](crate::register_regularizer) and [`register_scheduler!`](crate::register_scheduler).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Plugin {
    /// What it is.
    pub kind: Kind,
    /// The name by which a config names it.
    pub name: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    /// The module that registers it, its crate first.
    pub module: &'static str,
    /// The file that registers it.
    pub file: &'static str,
}

inventory::collect!(Plugin);

impl Plugin {
    /// What the macros call.
    #[doc(hidden)]
    pub const fn new(
        kind: Kind,
        name: &'static str,
        description: &'static str,
        [module, file]: [&'static str; 2],
    ) -> Self {
        Self { kind, name, description, module, file }
    }

    /// Its options with their defaults, `None` where one of them has no default.
    pub fn defaults(&self) -> Option<Map<String, Value>> {
        let plugin_trait = inventory::iter::<PluginTrait>().find(|plugin_trait| plugin_trait.kind == self.kind)?;
        let config = config(self.kind, self.name, Value::Null).ok()?;
        match (plugin_trait.round_trip)(config) {
            Ok(Value::Object(mut options)) => {
                options.remove(self.kind.tag());
                Some(options)
            }
            _ => None,
        }
    }
}

/// Lists an importance criterion: its `typetag` name and a line that says what it does. With its type, which is then to derive
/// [`JsonSchema`](schemars::JsonSchema), the schema of configs knows its options.
#[macro_export]
macro_rules! register_importance {
    ($name:literal, $description:literal $(,)?) => {
        $crate::registry::inventory::submit! {
            $crate::registry::Plugin::new(
                $crate::registry::Kind::Importance, $name, $description, [::core::module_path!(), ::core::file!()],
            )
        }
    };
    ($name:literal, $description:literal, $plugin:ty $(,)?) => {
        $crate::register_importance!($name, $description);
        $crate::registry::inventory::submit! {
            $crate::registry::PluginSchema::of::<$plugin>($crate::registry::Kind::Importance, $name)
        }
    };
}

/// Lists a regulariser: its `typetag` name and a line that says what it does. With its type, which is then to derive
/// [`JsonSchema`](schemars::JsonSchema), the schema of configs knows its options.
#[macro_export]
macro_rules! register_regularizer {
    ($name:literal, $description:literal $(,)?) => {
        $crate::registry::inventory::submit! {
            $crate::registry::Plugin::new(
                $crate::registry::Kind::Regularizer, $name, $description, [::core::module_path!(), ::core::file!()],
            )
        }
    };
    ($name:literal, $description:literal, $plugin:ty $(,)?) => {
        $crate::register_regularizer!($name, $description);
        $crate::registry::inventory::submit! {
            $crate::registry::PluginSchema::of::<$plugin>($crate::registry::Kind::Regularizer, $name)
        }
    };
}

/// Lists a scheduler: its `typetag` name and a line that says what it does. With its type, which is then to derive
/// [`JsonSchema`](schemars::JsonSchema), the schema of configs knows its options.
#[macro_export]
macro_rules! register_scheduler {
    ($name:literal, $description:literal $(,)?) => {
        $crate::registry::inventory::submit! {
            $crate::registry::Plugin::new(
                $crate::registry::Kind::Scheduler, $name, $description, [::core::module_path!(), ::core::file!()],
            )
        }
    };
    ($name:literal, $description:literal, $plugin:ty $(,)?) => {
        $crate::register_scheduler!($name, $description);
        $crate::registry::inventory::submit! {
            $crate::registry::PluginSchema::of::<$plugin>($crate::registry::Kind::Scheduler, $name)
        }
    };
}
