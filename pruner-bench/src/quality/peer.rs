//! Torch-Pruning on the same trained network: a job in Python writes an archive for every cell.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::QualityError;
use super::dense::Files;
use super::row::Cell;
use crate::data::Split;
use crate::files::{FileError, create_dir, write};

/// What the job is to do.
#[derive(Debug, Serialize)]
struct Job<'a> {
    cells: &'a [&'a Cell],
    weights: &'a Path,
    archive: &'a Path,
    calibration: &'a Path,
    out: &'a Path,
}

/// What the job says of a cell.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// The number of the cell.
    pub(super) cell: usize,
    /// The archive of the cut network, or why there is none.
    #[serde(flatten)]
    pub(super) outcome: Cut,
    /// What the cut took.
    pub(super) seconds: f64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cut {
    Archive(PathBuf),
    Error(String),
}

/// The job at work; it ends with the process when it is dropped.
pub(super) struct Peer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    command: String,
}

impl Peer {
    /// Begins to cut a network as all of `cells` say; archives go to the folder `out`.
    pub(super) fn start(
        python: &Path,
        files: &Files,
        cells: &[&Cell],
        calibration: &Split,
        out: &Path,
    ) -> Result<Self, QualityError> {
        create_dir(out)?;
        let (images, job) = (out.join("calibration.safetensors"), out.join("job.json"));
        Tensor::write_safetensors(&[("images", &calibration.images), ("labels", &calibration.labels)], &images)?;
        let (weights, archive) = (files.weights.as_path(), files.archive.as_path());
        let text = serde_json::to_string(&Job { cells, weights, archive, calibration: &images, out })
            .map_err(FileError::json(job.display()))?;
        write(&job, text)?;
        let job = job.display().to_string();
        let mut child = command(python, &["peer", &job], Stdio::piped())?;
        let stdout = child.stdout.take().expect("standard output is a pipe");
        Ok(Self { child, lines: BufReader::new(stdout).lines(), command: format!("quality peer {job}") })
    }

    /// The next cell that is done; nothing once all are.
    pub(super) fn next(&mut self) -> Result<Option<Answer>, QualityError> {
        match self.lines.next() {
            Some(line) => {
                let failed = |source: std::io::Error| QualityError::Python {
                    job: self.command.clone(),
                    why: source.to_string(),
                };
                let line = line.map_err(failed)?;
                Ok(Some(serde_json::from_str(&line).map_err(FileError::json(&self.command))?))
            }
            None => finish(&mut self.child, &self.command).map(|()| None),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that is over already is no error to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a job of the Python side to its end, and returns what it prints.
pub(super) fn ask(python: &Path, args: &[&str]) -> Result<String, QualityError> {
    let job = format!("quality {}", args.join(" "));
    let child = command(python, args, Stdio::piped())?;
    let failed = |why: String| QualityError::Python { job: job.clone(), why };
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command(python: &Path, args: &[&str], stdout: Stdio) -> Result<Child, QualityError> {
    let mut command = Command::new(python);
    command.args(["-m", "quality"]).args(args).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).stdout(stdout);
    let job = format!("quality {}", args.join(" "));
    command.spawn().map_err(|error| QualityError::Python { job, why: format!("{}: {error}", python.display()) })
}

fn finish(child: &mut Child, job: &str) -> Result<(), QualityError> {
    let failed = |why: String| QualityError::Python { job: job.to_owned(), why };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
