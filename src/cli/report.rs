//! `pruner report`: the page of a run of iterative pruning.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use pruner::events::read_log;
use pruner::files::{persist, temporary};
use pruner::page::page;

use super::output::{self, Output};

/// The arguments of `pruner report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Report {
    /// The log of the run, as `JsonLines` writes it: an event to a line.
    log: PathBuf,

    /// The HTML file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// The title of the page [default: the name of the log].
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

const EXAMPLES: &str = "Examples:
  pruner report events.jsonl -o report.html
      quality and multiply-accumulates over the steps, skipped epochs, and how wide every layer was and is
  pruner report events.jsonl -o report.html --json | jq .epochs_skipped
      the run in numbers as well";

impl Report {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let Self { log, output: file, title } = self;
        output::check_files([log.as_path()], [file.as_path()])?;
        let history = read_log(&log)?;
        let name = || log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let page = page(&title.unwrap_or_else(name), &history);
        let place = || file.display().to_string();
        let mut out = temporary(&file).with_context(place)?;
        out.write_all(page.as_bytes()).and_then(|()| persist(out, &file)).with_context(place)?;
        match output {
            Output::Json => output::print_json(&history.summary()),
            Output::Table => Ok(output::print(&format!("{} shows {} events", place(), history.events().len()))?),
        }
    }
}
