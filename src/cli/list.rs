//! `pruner list`: the plugins that a config can name.

use clap::{Args, ValueEnum};
use pruner::registry::{self, Kind, Plugin};
use pruner::text::Column;
use serde::Serialize;
use serde_json::{Map, Value};

use super::output::{self, Output};

/// The arguments of `pruner list`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    /// Only these.
    what: Option<What>,
}

const EXAMPLES: &str = "Examples:
  pruner list importances
      the criteria for --importance, with their options";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Importances,
    Regularizers,
    Schedulers,
}

impl What {
    fn covers(self, kind: Kind) -> bool {
        match self {
            Self::Importances => kind == Kind::Importance,
            Self::Regularizers => kind == Kind::Regularizer,
            Self::Schedulers => kind == Kind::Scheduler,
        }
    }
}

/// A plugin as it is listed in JSON.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    plugin: &'static Plugin,
    /// Its options with their defaults; null where one has no default.
    options: Option<Map<String, Value>>,
}

impl List {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let entries: Vec<Entry> = registry::plugins()
            .into_iter()
            .filter(|plugin| self.what.is_none_or(|what| what.covers(plugin.kind)))
            .map(|plugin| Entry { plugin, options: plugin.defaults() })
            .collect();
        match output {
            Output::Json => output::print_json(&entries),
            Output::Table => {
                let mut table = output::table(&[
                    ("kind", Column::Left),
                    ("name", Column::Left),
                    ("description", Column::Note),
                    ("options and defaults", Column::Note),
                ]);
                for Entry { plugin, options } in &entries {
                    let options = options.as_ref().map_or_else(|| "some are required".to_owned(), shown);
                    table.push([plugin.kind.tag(), plugin.name, plugin.description, &options].map(str::to_owned));
                }
                Ok(output::print_fitted(&table)?)
            }
        }
    }
}

fn shown(options: &Map<String, Value>) -> String {
    options.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
}
