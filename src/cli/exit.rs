//! What the exit codes of commands mean, and how a command ends that failed.

use std::env;
use std::process::ExitCode;

use clap::builder::styling::AnsiColor;
use pruner::plan::BudgetError;
use pruner::pruner::PruneError;
use serde_json::json;

use super::output::{self, Output};

/// What `--help` says of them. Success is 0.
pub(crate) const HELP: &str = "Exit codes:
  0  done; for `prune`: something was cut
  1  bad input: the message names the file, node or option
  2  wrong usage
  3  nothing was cut
  4  the target cannot be met
  5  the verification failed

With --json a failure is an object with `error` and `exit_code`.";

/// A file, a setting or a model is not as it should be.
const BAD_INPUT: u8 = 1;
/// Nothing was cut.
pub(crate) const NOTHING_PRUNED: u8 = 3;
/// The target cannot be met.
const INFEASIBLE: u8 = 4;
/// The verification failed.
pub(crate) const UNVERIFIED: u8 = 5;

/// Says what went wrong.
pub(crate) fn failed(error: &anyhow::Error, output: Output) -> ExitCode {
    let infeasible = matches!(
        error.downcast_ref(),
        Some(PruneError::Budget(BudgetError::Infeasible { .. } | BudgetError::Unscored { .. }))
    );
    let code = if infeasible { INFEASIBLE } else { BAD_INPUT };
    let (message, style) = (message(error), AnsiColor::Red.on_default().bold());
    anstream::eprintln!("{style}error:{style:#} {message}");
    ends(code, &message, output)
}

/// Says what is wrong with the arguments, or shows the help that they ask for.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Where the terminal is gone there is nobody to tell.
    error.print().ok();
    let json = error.use_stderr() && env::args_os().any(|argument| argument == "--json");
    let text = error.to_string();
    let message: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let message = message.join(" ");
    ends(
        error.exit_code() as u8,
        message.trim_start_matches("error: "),
        if json { Output::Json } else { Output::Table },
    )
}

fn ends(code: u8, message: &str, output: Output) -> ExitCode {
    if output == Output::Json {
        output::print_json(&json!({ "error": message, "exit_code": code })).ok();
    }
    ExitCode::from(code)
}

/// An error and its causes, each said once: some show their cause or their place themselves. Where in libtorch it came from is left out.
fn message(error: &anyhow::Error) -> String {
    const TRACE: &str = "\nException raised from ";
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        let cause = cause.split(TRACE).next().unwrap_or_default().trim_end().to_owned();
        match parts.last_mut() {
            Some(last) if last.ends_with(&cause) => {}
            Some(last) if cause.starts_with(&*last) => *last = cause,
            _ => parts.push(cause),
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn what_an_error_and_its_cause_both_say_is_said_once() {
        let error =
            anyhow::anyhow!("no such file").context("a.pt2: no such file").context("a.pt2").context("--weights");
        assert_eq!(message(&error), "--weights: a.pt2: no such file");
        let error = anyhow::anyhow!(
            "libtorch: index 9 is out of bounds\nException raised from at (most recent call first):\nframe #0"
        );
        assert_eq!(message(&error), "libtorch: index 9 is out of bounds");
    }
}
