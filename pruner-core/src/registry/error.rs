//! Why a plugin cannot be had.

use super::{Kind, Plugin, nearest};

/// Why a plugin cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Two plugins have one name.
    #[error(
        "two plugins of kind {kind} are called `{name}`: one in {}, one in {}; rename one or do not link its crate",
        .places[0], .places[1]
    )]
    Duplicate {
        /// What they are.
        kind: Kind,
        /// Their name.
        name: String,
        /// The module and the file of each.
        places: [String; 2],
    },
    /// A plugin is listed under a name by which none can be read.
    #[error(
        "{kind} `{name}` is listed by {module} but not implemented: no `#[typetag::serde(name = \"{name}\")]` has that \
         name"
    )]
    Unimplemented {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// The module that lists it.
        module: String,
    },
    /// A plugin can be read but is not listed.
    #[error("{kind} `{name}` is implemented but not listed: add `register_{kind}!(\"{name}\", …)` beside it")]
    Unlisted {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// There is no plugin of that name.
    #[error(
        "unknown {kind} `{name}`{}; known: {}", suggestion(.name, .known),
        if .known.is_empty() { "none".to_owned() } else { .known.join(", ") }
    )]
    Unknown {
        /// What was sought.
        kind: Kind,
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The plugin does not take these options.
    #[error("{kind} `{name}`: {message}")]
    Options {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A config that does not name a plugin.
    #[error("the {kind} is given by a name or by an object such as {{\"{kind}\": \"name\", …}}, not by {found}")]
    Nameless {
        /// What was sought.
        kind: Kind,
        /// What was found.
        found: String,
    },
}

impl RegistryError {
    pub(super) fn duplicate(one: &Plugin, other: &Plugin) -> Self {
        let places = [one, other].map(|plugin| format!("{} ({})", plugin.module, plugin.file));
        Self::Duplicate { kind: one.kind, name: one.name.to_owned(), places }
    }
}

/// ` (did you mean …?)` where one of `known` is near to `name`.
fn suggestion(name: &str, known: &[String]) -> String {
    let nearest = nearest(name, known.iter().map(String::as_str));
    nearest.map(|nearest| format!(" (did you mean `{nearest}`?)")).unwrap_or_default()
}
