//! `pruner` beside Torch-Pruning on the same models of torchvision: how long both take from a model to its groups and for a step, how much
//! memory, and how much is gone.
//!
//! Each side is a process of its own, which answers requests; they are asked by turns, so that what else the machine does slows both.

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
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{fs, thread};

use pruner_core::deps::AnalysisError;
use pruner_core::exec::LoadError;
use pruner_core::pruner::PruneError;
use pruner_core::pt2::Pt2Error;

pub use options::{MODELS, Options};
pub use own::serve;
pub use row::{About, Own, Peer, Results, Row, Times};

use self::measure::Bench;

/// The threads of libtorch on each side: one, so that on a shared machine neither waits for a core of the other's.
pub const THREADS: i32 = 1;

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is not the JSON that is expected.
    #[error("{place}: {source}")]
    Json {
        /// The file, or what is read.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The system does not say how much memory is held.
    #[error("/proc/self/status has no {key} in kB: compare on Linux")]
    NoMemory {
        /// What was looked for.
        key: String,
    },
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
        fs::create_dir_all(&options.work).map_err(writing(&options.work))?;
        let about = about(options)?;
        // What was measured otherwise is not mixed with what is measured now.
        let mut results = known.filter(|known| known.about == about).unwrap_or(Results { about, rows: Vec::new() });
        let limit = Duration::from_secs(options.limit);
        let bench = Bench { python: &options.python, work: &options.work, rounds: options.rounds as usize, limit };
        for model in options.models() {
            let row = bench.measure(model)?;
            writeln!(text, "{}", page::line(&row)).map_err(writing("standard output".as_ref()))?;
            results.rows.retain(|other| other.model != model);
            results.rows.push(row);
            results.rows.sort_by_key(|row| MODELS.iter().position(|name| *name == row.model));
            write(options, &results)?;
        }
        known = Some(results);
    }
    if let Some(results) = known {
        write(options, &results)?;
        let page = options.page_file();
        writeln!(text, "see {}", page.display()).map_err(writing("standard output".as_ref()))?;
    }
    Ok(())
}

/// Reads results.
pub fn read(file: &Path) -> Result<Results, CompareError> {
    let text = fs::read_to_string(file).map_err(|source| CompareError::Read { file: file.to_owned(), source })?;
    let place = file.display().to_string();
    serde_json::from_str(&text).map_err(|source| CompareError::Json { place, source })
}

fn write(options: &Options, results: &Results) -> Result<(), CompareError> {
    let json = serde_json::to_string_pretty(results).expect("results are JSON") + "\n";
    for (file, text) in [(options.results(), json), (options.page_file(), page::page(results))] {
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).map_err(writing(dir))?;
        }
        fs::write(&file, text).map_err(writing(&file))?;
    }
    Ok(())
}

fn writing(file: &Path) -> impl Fn(io::Error) -> CompareError {
    let file = file.to_owned();
    move |source| CompareError::Write { file: file.clone(), source }
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
    let place = "the versions of Python's packages".to_owned();
    let mut versions: BTreeMap<String, String> =
        serde_json::from_slice(&output.stdout).map_err(|source| CompareError::Json { place, source })?;
    versions.insert("pruner".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(About { cpu: cpu(), cores, threads: THREADS, limit_s: options.limit, versions })
}

/// The model of the CPU, where the system tells it.
fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("an unknown CPU", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

#[cfg(test)]
mod tests;
