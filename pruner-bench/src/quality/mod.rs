//! How good pruned networks are: real small ones, trained on all of Fashion-MNIST, and a sentence encoder, by every criterion and
//! scope, beside Torch-Pruning on the same trained networks.

mod criteria;
mod cut;
mod dense;
mod encoder;
mod models;
mod options;
mod page;
mod peer;
mod plot;
mod progress;
mod row;
mod store;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use pruner_core::budget::BudgetError;
use pruner_core::calibration::CalibrationError;
use pruner_core::exec::{ExecError, LoadError, SaveError};
use pruner_core::pruner::PruneError;
use pruner_core::pt2::Pt2Error;
use pruner_core::trace::TraceError;
use tch::TchError;

pub use criteria::Criterion;
pub use models::Model;
pub use options::{Options, Scale};
pub use progress::Work;
pub use row::{Accuracies, Cell, Cosine, Dense, Encoded, Outcome, Part, Row, Tool};
pub use store::{About, Results, Store};

use crate::data::{DataError, FashionMnist};
use crate::demo;
use crate::train::TrainError;
use cut::{Bench, calibration_images, failed};
use dense::Files;
use encoder::{Encoder, Wanted};
use peer::{Cut, Peer};
use progress::Bar;

/// The libtorch that `tch` is made for.
const LIBTORCH: &str = "2.11.0";

/// Why measuring stopped. What was measured before is kept, and the next run goes on from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is not the JSON that is expected.
    #[error("{place}: {source}")]
    Json {
        /// The file and line, or the job that printed it.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The folder holds what was measured with other numbers of images.
    #[error("{} holds results of another scale: name another folder with `--results`, or delete it", dir.display())]
    Scale {
        /// The folder.
        dir: PathBuf,
    },
    /// A job in Python failed; it said why on standard error.
    #[error("the Python job `{job}` failed: {why}")]
    Python {
        /// The job.
        job: String,
        /// How it ended.
        why: String,
    },
    /// The sentence encoder returns nothing.
    #[error("the sentence encoder returns no embedding")]
    NoEmbedding,
    /// The plot cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Plot(String),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A network cannot be analysed.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The sentence encoder cannot be cut.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// Statistics of batch norms cannot be measured.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// An archive cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An archive cannot be read.
    #[error(transparent)]
    Pt2(#[from] Pt2Error),
    /// The program of an archive cannot be made to run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

impl QualityError {
    fn json(file: &Path, line: usize, source: serde_json::Error) -> Self {
        let file = file.display();
        let place = if line == 0 { file.to_string() } else { format!("{file}, line {line}") };
        Self::Json { place, source }
    }
}

/// Measures what is asked for and is not there yet, and writes the page and the plot. Tells in `text` what will be done.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<(), QualityError> {
    let mut store = Store::open(options.results_dir())?;
    if !options.page {
        let threads = demo::use_threads();
        let versions = versions(options)?;
        store.set_about(About { scale: options.scale(), threads, versions })?;
        measure(options, &mut store, text)?;
    }
    let docs = options.docs_dir();
    write_page(&store, &docs)?;
    say(text, &format!("see {} and {}", docs.join(PAGE).display(), docs.join(PLOT).display()))
}

fn measure(options: &Options, store: &mut Store, text: &mut dyn Write) -> Result<(), QualityError> {
    let scale = options.scale();
    let work = work(options, store.results());
    let minutes = work.seconds(store.results(), &scale) / 60.0;
    say(text, &format!("{work}; about {minutes:.0} minutes on two cores"))?;
    let bar = Bar::new(work.dense.len() + work.cells.len() + work.encoded);
    if !work.dense.is_empty() || !work.cells.is_empty() {
        let all = FashionMnist::load(&options.data)?;
        let data = FashionMnist { train: all.train.first(scale.train_images), test: all.test.first(scale.test_images) };
        let bench = Bench::new(&data, scale);
        for (model, seed) in options.networks() {
            network(options, store, &bench, (model, seed), &bar)?;
            write_page(store, &options.docs_dir())?;
        }
    }
    encode(options, store, &bar)
}

/// Trains a network unless it is there, and measures all cells of it that are not.
fn network(
    options: &Options,
    store: &mut Store,
    bench: &Bench<'_>,
    (model, seed): (Model, u64),
    bar: &Bar,
) -> Result<(), QualityError> {
    let files = Files::new(&options.dense_dir(), model, seed);
    let known = trained(store.results(), (model, seed), &files);
    let pending: Vec<(Cell, bool)> = [Tool::Pruner, Tool::TorchPruning]
        .into_iter()
        .flat_map(|tool| pending(options, store.results(), (model, seed), tool))
        .collect();
    let dense = match known {
        Some(dense) => dense,
        None => {
            let name = model.name();
            let told = |done: f64| bar.say(format!("training {name} {seed}: {:.0} %", 100.0 * done));
            let dense = dense::make((model, seed), bench.data, &bench.scale, &files, &mut { told })?;
            store.add_dense(dense)?;
            bar.step();
            dense
        }
    };
    for (cell, tune) in pending.iter().filter(|(cell, _)| cell.tool == Tool::Pruner) {
        bar.say(title(cell));
        if let Some(criterion) = Criterion::named(&cell.criterion) {
            let mut module = dense::load(&files.archive)?;
            store.add_row(bench.own(cell, criterion, &dense, &mut module, *tune)?)?;
        }
        bar.step();
    }
    let of_peer: Vec<&(Cell, bool)> = pending.iter().filter(|(cell, _)| cell.tool == Tool::TorchPruning).collect();
    if let (Some(python), false) = (&options.python, of_peer.is_empty()) {
        let cells: Vec<&Cell> = of_peer.iter().map(|(cell, _)| cell).collect();
        let out = options.work.join(format!("peer-{}-{seed}", model.name()));
        let calibration = calibration_images(bench.data, &bench.scale);
        bar.say(format!("Torch-Pruning: {} {seed}", model.name()));
        let mut peer = Peer::start(python, &files, &cells, &calibration, &out)?;
        while let Some(answer) = peer.next()? {
            let Some((cell, tune)) = of_peer.get(answer.cell) else { continue };
            bar.say(title(cell));
            let mut row = match answer.outcome {
                Cut::Archive(file) => {
                    let mut module = dense::load(&file)?;
                    bench.judge(cell, &dense, &mut module, *tune, Instant::now())?
                }
                Cut::Error(why) => failed(cell, &why, Instant::now()),
            };
            row.seconds += answer.seconds;
            store.add_row(row)?;
            bar.step();
        }
        std::fs::remove_dir_all(&out).map_err(|source| QualityError::Write { file: out, source })?;
    }
    Ok(())
}

/// Cuts the sentence encoder as was not done yet.
fn encode(options: &Options, store: &mut Store, bar: &Bar) -> Result<(), QualityError> {
    let pending = pending_encoded(options, store.results());
    let (Some(python), Some(wordnet), false) = (&options.python, &options.wordnet, pending.is_empty()) else {
        return Ok(());
    };
    bar.say("the sentence encoder");
    let encoder = Encoder::new(python, wordnet, &options.work.join("encoder"), &options.scale())?;
    for wanted in pending {
        bar.say(format!("the sentence encoder by {}", wanted.criterion.name));
        store.add_encoded(encoder.measure(wanted)?)?;
        bar.step();
    }
    Ok(())
}

/// What is left to be done.
fn work(options: &Options, results: &Results) -> Work {
    let mut work = Work { encoded: pending_encoded(options, results).len(), ..Work::default() };
    for (model, seed) in options.networks() {
        if trained(results, (model, seed), &Files::new(&options.dense_dir(), model, seed)).is_none() {
            work.dense.push(model);
        }
        for tool in [Tool::Pruner, Tool::TorchPruning] {
            let pending = pending(options, results, (model, seed), tool);
            work.cells.extend(pending.into_iter().map(|(_, tune)| (tool, model, tune)));
        }
    }
    work
}

/// What is known of a network whose files are there.
fn trained(results: &Results, (model, seed): (Model, u64), files: &Files) -> Option<Dense> {
    results.dense(model).into_iter().find(|dense| dense.seed == seed && files.exist())
}

/// The cells of a network that are not measured yet, with whether each is trained after its cut.
fn pending(options: &Options, results: &Results, (model, seed): (Model, u64), tool: Tool) -> Vec<(Cell, bool)> {
    let cells = options.cells(model, seed, tool).into_iter().map(|cell| {
        let tune = options.tunes(&cell);
        (cell, tune)
    });
    cells.filter(|(cell, tune)| results.row(cell).is_none_or(|row| !row.is_complete(*tune))).collect()
}

fn pending_encoded(options: &Options, results: &Results) -> Vec<Wanted> {
    if options.without_peer || options.python.is_none() || options.wordnet.is_none() {
        return Vec::new();
    }
    let mut wanted = encoder::wanted(options);
    wanted.retain(|wanted| !results.encoder.iter().any(|encoded| wanted == encoded));
    wanted
}

fn versions(options: &Options) -> Result<BTreeMap<String, String>, QualityError> {
    let mut versions = BTreeMap::from([("libtorch".to_owned(), LIBTORCH.to_owned())]);
    if let (Some(python), false) = (&options.python, options.without_peer) {
        let printed = peer::ask(python, &["versions"])?;
        let of_python: BTreeMap<String, String> = serde_json::from_str(&printed)
            .map_err(|source| QualityError::json("quality versions".as_ref(), 0, source))?;
        versions.extend(of_python);
    }
    Ok(versions)
}

fn title(cell: &Cell) -> String {
    let tool = if cell.tool == Tool::TorchPruning { "Torch-Pruning: " } else { "" };
    format!("{tool}{} {} by {} {}", cell.model.name(), cell.seed, cell.criterion, options::scope_name(cell.scope))
}

const PAGE: &str = "quality.md";
const PLOT: &str = "quality.svg";

fn write_page(store: &Store, docs: &Path) -> Result<(), QualityError> {
    let write = |name: &str, text: String| {
        let file = docs.join(name);
        std::fs::write(&file, text).map_err(|source| QualityError::Write { file, source })
    };
    std::fs::create_dir_all(docs).map_err(|source| QualityError::Write { file: docs.to_owned(), source })?;
    write(PAGE, page::page(store.results()))?;
    write(PLOT, plot::plot(store.results())?)
}

fn say(text: &mut dyn Write, line: &str) -> Result<(), QualityError> {
    writeln!(text, "{line}").map_err(|source| QualityError::Write { file: "standard output".into(), source })
}

#[cfg(test)]
mod tests;
