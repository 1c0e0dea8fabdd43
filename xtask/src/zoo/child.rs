//! Jobs in processes of their own, each with a time limit and with JSON as its result.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// How a job ended.
pub(super) struct Done {
    /// What it printed, if that was JSON.
    pub(super) json: Option<Value>,
    /// Why there is no result, in a line.
    pub(super) error: Option<String>,
    pub(super) timed_out: bool,
}

/// Runs a job whose standard output is JSON, or whose last line is; `work` is a folder for what it prints.
pub(super) fn run(mut command: Command, work: &Path, limit: Duration) -> anyhow::Result<Done> {
    let (out, err) = (work.join("stdout"), work.join("stderr"));
    // Files, since a pipe that nobody reads fills up.
    command.stdout(File::create(&out)?).stderr(File::create(&err)?);
    let status = wait(command, limit)?;
    let printed = String::from_utf8_lossy(&fs::read(&out)?).into_owned();
    let last = printed.trim_end().lines().last().unwrap_or_default();
    let json: Option<Value> = serde_json::from_str(&printed).or_else(|_| serde_json::from_str(last)).ok();
    let timed_out = status.is_none();
    let error = match status {
        None => Some(format!("not done within {} s", limit.as_secs())),
        Some(status) if status.success() && json.is_some() => None,
        Some(status) => Some(reason(&String::from_utf8_lossy(&fs::read(&err)?), status)),
    };
    Ok(Done { json, error, timed_out })
}

/// Nothing if the process had to be ended.
fn wait(mut command: Command, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let program = command.get_program().to_owned();
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// The line that says most: the last that begins with an exception of Python's, or the first error of pruner's.
fn reason(told: &str, status: ExitStatus) -> String {
    let exception = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        let class = name.ends_with("Error") || name.ends_with("Exception") || name.starts_with("torch.");
        class && !name.contains(' ')
    };
    let mut lines = told.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let line = told.lines().rfind(exception).or_else(|| lines.find(|line| line.starts_with("error: ")));
    let line = line.or_else(|| told.lines().rfind(|line| !line.trim().is_empty()));
    line.map_or_else(|| status.to_string(), |line| line.chars().take(240).collect())
}

/// A field of a result.
pub(super) fn field<T: serde::de::DeserializeOwned>(json: &Value, pointer: &str) -> anyhow::Result<T> {
    let Some(value) = json.pointer(pointer) else { bail!("the result has no {pointer}") };
    serde_json::from_value(value.clone()).with_context(|| format!("{pointer} is {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit_ms: u64) -> Done {
        let work = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, work.path(), Duration::from_millis(limit_ms)).expect("there is a shell")
    }

    #[test]
    fn the_last_line_is_the_result() {
        let done = shell("echo talk; echo '{\"a\": 1}'", 60_000);
        assert_eq!(done.error, None);
        assert_eq!(field::<u32>(&done.json.expect("it is JSON"), "/a").expect("it is a number"), 1);
    }

    #[test]
    fn a_job_that_hangs_is_ended() {
        assert_eq!(shell("exec sleep 600", 50).error.as_deref(), Some("not done within 0 s"));
    }

    #[test]
    fn the_reason_is_the_exception() {
        let done = shell("printf 'Traceback\\nValueError: no\\n\\nhint\\n' >&2; exit 1", 60_000);
        assert_eq!(done.error.as_deref(), Some("ValueError: no"));
        assert_eq!(shell("echo 'error: `a` is bad' >&2; exit 1", 60_000).error.as_deref(), Some("error: `a` is bad"));
    }
}
