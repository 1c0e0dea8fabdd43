//! `pruner schema`: the JSON schema of a config.

use clap::Args;

use super::output;

/// The arguments of `pruner schema`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Schema {}

const EXAMPLES: &str = "Examples:
  pruner schema > config.schema.json
      an editor completes and checks a config that begins with `#:schema ./config.schema.json`";

impl Schema {
    /// Prints it; it is JSON with or without `--json`.
    #[allow(clippy::unused_self, reason = "every command runs so")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        output::print_json(&pruner::config::schema())
    }
}
