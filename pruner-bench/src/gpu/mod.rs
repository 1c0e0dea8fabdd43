//! What is measured on a GPU: that masked equals sliced there, how fast it scores and slices beside a copy, how long a step takes, and how much
//! faster pruned networks are. It runs on the CPU, too.

mod clock;
mod equivalence;
mod forward;
mod networks;
mod page;
mod slicing;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use pruner_core::aten::{self, AtenError};
use pruner_core::deps::AnalysisError;
use pruner_core::exec::ExecError;
use pruner_core::importance::ImportanceError;
use pruner_core::pruner::PruneError;
use pruner_core::registry::RegistryError;
use pruner_core::trace::TraceError;
use serde::{Deserialize, Serialize};
use tch::{Device, TchError};

pub use equivalence::Equivalence;
pub use forward::Forward;
pub use slicing::{Scoring, Step};

use crate::demo::{self, DeviceError, device_name, parse_device};
use crate::files::FileError;
use crate::machine::Machine;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// That masked equals sliced, on every network.
    Equivalence,
    /// How fast criteria of weights score.
    Scoring,
    /// What a step takes, and how fast it slices.
    Steps,
    /// How fast networks are before and after.
    Forward,
}

/// What is to be measured, and where.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where to run: cpu, cuda, or cuda:N for one GPU of several
    #[arg(long, default_value = "cuda", value_parser = parse_device, value_name = "DEVICE")]
    pub device: Device,
    /// What is measured [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub sections: Vec<Section>,
    /// Small networks and few rounds, to see that all works
    #[arg(long)]
    pub quick: bool,
    /// The file of results [default: pruner-bench/results/gpu/DEVICE.json, or target/gpu/DEVICE.json if quick]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only write docs/gpu.md of the results that are there
    #[arg(long)]
    pub page: bool,
    /// Only print `cuda` where libtorch finds a GPU, and `cpu` elsewhere
    #[arg(long)]
    pub print_device: bool,
}

/// All that was measured in a run; a section that was not asked for has no rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Whether networks were small and rounds few, so that the times say nothing.
    pub quick: bool,
    /// What the whole took.
    pub seconds: f64,
    /// That masked equals sliced.
    pub equivalence: Vec<Equivalence>,
    /// How fast criteria of weights score.
    pub scoring: Vec<Scoring>,
    /// What a step takes.
    pub steps: Vec<Step>,
    /// How fast networks are.
    pub forward: Vec<Forward>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A network cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A network cannot be analysed.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A network cannot be pruned.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A group cannot be scored.
    #[error(transparent)]
    Importance(#[from] ImportanceError),
    /// A criterion cannot be made.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A network does not run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// libtorch cannot do as asked.
    #[error(transparent)]
    Aten(#[from] AtenError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A file of results has something else in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be read or written.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Masked does not equal sliced.
    #[error("masked does not equal sliced for {}; the file of results says by how much", networks.join(", "))]
    Unequal {
        /// The networks.
        networks: Vec<String>,
    },
}

/// Where results lie that the page shows.
const RESULTS: &str = "pruner-bench/results/gpu";
const PAGE: &str = "docs/gpu.md";

/// Measures, tells of it in `text`, and writes the results.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<(), GpuError> {
    if options.print_device {
        say(text, if aten::cuda_is_available() { "cuda" } else { "cpu" });
        return Ok(());
    }
    if options.page {
        return write_page(RESULTS.as_ref(), PAGE.as_ref());
    }
    let of_demo = demo::Options { device: options.device, ..demo::Options::default() };
    let device = of_demo.available_device()?;
    demo::use_threads();
    let start = Instant::now();
    let wanted = |section| options.sections.is_empty() || options.sections.contains(&section);
    let mut report = Report {
        machine: Machine::here(device),
        quick: options.quick,
        seconds: 0.0,
        equivalence: Vec::new(),
        scoring: Vec::new(),
        steps: Vec::new(),
        forward: Vec::new(),
    };
    say(text, &report.machine.words());
    if wanted(Section::Equivalence) {
        let _full = aten::FullPrecision::new();
        report.equivalence = equivalence::measure(device, options.quick, text);
    }
    if wanted(Section::Scoring) {
        report.scoring = slicing::scoring(device, options.quick, text)?;
    }
    if wanted(Section::Steps) {
        report.steps = slicing::steps(device, options.quick, text)?;
    }
    if wanted(Section::Forward) {
        report.forward = forward::measure(device, options.quick, text)?;
    }
    report.seconds = start.elapsed().as_secs_f64();
    let name = format!("{}.json", device_name(device).replace(':', "-"));
    let folder = if options.quick { "target/gpu" } else { RESULTS };
    let out = options.out.clone().unwrap_or_else(|| Path::new(folder).join(name));
    write_report(&report, &out)?;
    say(text, &format!("{:.0} s; see {}", report.seconds, out.display()));
    let networks: Vec<String> =
        report.equivalence.iter().filter(|row| !row.is_equal()).map(|row| row.network.clone()).collect();
    if networks.is_empty() { Ok(()) } else { Err(GpuError::Unequal { networks }) }
}

fn write_report(report: &Report, out: &Path) -> Result<(), GpuError> {
    let failed = |source| GpuError::Io { file: out.to_owned(), source };
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let json = serde_json::to_string_pretty(report).map_err(FileError::json(out.display()))?;
    fs::write(out, json + "\n").map_err(failed)
}

/// Writes the page of all results in a folder.
fn write_page(results: &Path, page: &Path) -> Result<(), GpuError> {
    let mut reports = Vec::new();
    for file in files(results).map_err(|source| GpuError::Io { file: results.to_owned(), source })? {
        let text = fs::read_to_string(&file).map_err(|source| GpuError::Io { file: file.clone(), source })?;
        reports.push(serde_json::from_str(&text).map_err(FileError::json(file.display()))?);
    }
    fs::write(page, page::page(&reports)).map_err(|source| GpuError::Io { file: page.to_owned(), source })
}

/// The files of results in a folder, by name; none where there is no folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    Ok(files)
}

/// That nobody reads a line any more is no reason to stop.
fn say(text: &mut dyn Write, line: &str) {
    let _ = writeln!(text, "{line}").and_then(|()| text.flush());
}
