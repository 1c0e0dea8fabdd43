//! `pruner` beside Torch-Pruning on the same models of torchvision: how long both take from a model to its groups and for a step, how much
//! memory, and how much is gone.
//!
//! Each side is a process of its own, which answers requests; they are asked by turns, so that what else the machine does slows both.

mod copy;
mod measure;
mod memory;
mod options;
mod own;
mod page;
mod request;
mod row;
mod side;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use pruner_core::deps::AnalysisError;
use pruner_core::exec::LoadError;
use pruner_core::pruner::PruneError;
use pruner_core::pt2::Pt2Error;

pub use options::{MODELS, Options};
pub use own::serve;
pub use row::{About, Own, Peer, Results, Row, Times};

use self::measure::Bench;
use crate::files::{self, FileError, say};

/// The threads of libtorch on each side: one, so that on a shared machine neither waits for a core of the other's.
pub const THREADS: i32 = 1;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A file cannot be read or written, or has something else in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system does not say how much memory is held.
    #[error("the files of /proc/self have no {key}: compare on Linux")]
    NoMemory {
        /// What was looked for.
        key: String,
    },
    /// The system gives no memory.
    #[error("no memory to copy to: {0}")]
    Memory(io::Error),
    /// The request is one for the other side.
    #[error("only Torch-Pruning is asked for this")]
    NotAsked,
    /// A job in Python failed; it said why on standard error.
    #[error("the Python job `compare {job}` failed: {why}")]
    Python {
        /// The job.
        job: String,
        /// How it ended.
        why: String,
    },
    /// Our own side failed.
    #[error("pruner failed on {model}: {why}")]
    Own {
        /// The model or its archive.
        model: String,
        /// Why.
        why: String,
    },
    /// An archive cannot be read.
    #[error(transparent)]
    Pt2(#[from] Pt2Error),
    /// The program of an archive cannot be made to run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A graph cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A network cannot be cut.
    #[error(transparent)]
    Prune(#[from] PruneError),
}

impl CompareError {
    fn python(job: &str, why: &str) -> Self {
        Self::Python { job: job.to_owned(), why: why.to_owned() }
    }
}

/// Compares on the models that are asked for, and writes results and page after every one. Tells in `text` what it does.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<(), CompareError> {
    let file = options.results();
    let mut known = if file.exists() { Some(read(&file)?) } else { None };
    if !options.page {
        files::create_dir(&options.work)?;
        let about = about(options)?;
        // What was measured otherwise is not mixed with what is measured now.
        let mut results = known.filter(|known| known.about == about).unwrap_or(Results { about, rows: Vec::new() });
        let limit = Duration::from_secs(options.limit);
        let bench = Bench { python: &options.python, work: &options.work, rounds: options.rounds as usize, limit };
        for model in options.models() {
            let row = bench.measure(model)?;
            say(text, &page::line(&row))?;
            results.rows.retain(|other| other.model != model);
            results.rows.push(row);
            results.rows.sort_by_key(|row| MODELS.iter().position(|name| *name == row.model));
            write(options, &results)?;
        }
        known = Some(results);
    }
    if let Some(results) = known {
        write(options, &results)?;
        say(text, &format!("see {}", options.page_file().display()))?;
    }
    Ok(())
}

/// Reads results.
pub fn read(file: &Path) -> Result<Results, CompareError> {
    Ok(serde_json::from_str(&files::read(file)?).map_err(FileError::json(file.display()))?)
}

fn write(options: &Options, results: &Results) -> Result<(), CompareError> {
    let json = serde_json::to_string_pretty(results).expect("results are JSON") + "\n";
    for (file, text) in [(options.results(), json), (options.page_file(), page::page(results))] {
        if let Some(dir) = file.parent() {
            files::create_dir(dir)?;
        }
        files::write(file, text)?;
    }
    Ok(())
}

fn about(options: &Options) -> Result<About, CompareError> {
    let failed = |why: &str| CompareError::python("versions", why);
    let mut command = measure::job(&options.python, [OsStr::new("versions")]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(&format!("{}: {error}; name a Python with `--python`", options.python.display())))?;
    if !output.status.success() {
        return Err(failed(&output.status.to_string()));
    }
    let mut versions: BTreeMap<String, String> =
        serde_json::from_slice(&output.stdout).map_err(FileError::json("the versions of Python's packages"))?;
    versions.insert("pruner".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let debug_assertions = cfg!(debug_assertions);
    Ok(About { cpu: cpu(), cores, debug_assertions, threads: THREADS, limit_s: options.limit, versions })
}

/// The milliseconds since `start`.
fn ms(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}

/// The model of the CPU, where the system tells it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("an unknown CPU", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

#[cfg(test)]
mod tests;
