//! The order of work: the networks are trained, then the cells of each, its cells of Torch-Pruning last, and at the end the sentence encoder.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;
use std::{fs, thread};

use super::criteria::Criterion;
use super::cut::{Bench, calibration_images, failed};
use super::dense::{self, Files};
use super::encoder::{self, Encoder, Wanted};
use super::models::Model;
use super::options::{self, Options, Scale};
use super::peer::{self, Answer, Cut, Peer};
use super::progress::{Bar, Work};
use super::row::{Cell, Dense, Row, Tool};
use super::store::{Results, Store};
use super::workers::{lock, share};
use super::{LIBTORCH, QualityError, write_page};
use crate::data::FashionMnist;
use crate::demo;
use crate::files::{FileError, say};

/// Measures what is asked for and is not there yet: networks one after the other, the cells of each on as many threads as there are cores.
/// libtorch has one thread for each, so that results are the same on any number of them.
pub(super) fn measure(options: &Options, store: &mut Store, text: &mut dyn Write) -> Result<(), QualityError> {
    let scale = options.scale();
    let work = work(options, store.results());
    say(text, &format!("{work}; {}", left(&work, store.results(), &scale)))?;
    let bar = Bar::new(work.dense.len() + work.cells.len() + work.encoded);
    if !work.dense.is_empty() || !work.cells.is_empty() {
        tch::set_num_threads(1);
        let all = FashionMnist::load(&options.data)?;
        train(options, store, &all, &bar)?;
        for (model, seed) in options.networks() {
            network(options, store, &all, (model, seed), &bar)?;
            write_page(store, &options.docs_dir())?;
            let left = left(&self::work(options, store.results()), store.results(), &scale);
            say(text, &format!("{} {seed} is done; {left}", model.name()))?;
        }
        demo::use_threads();
    }
    encode(options, store, &bar)
}

fn left(work: &Work, results: &Results, scale: &Scale) -> String {
    format!("about {:.0} minutes on {} cores", work.seconds(results, scale) / 60.0 / cores() as f64, cores())
}

/// The threads that cells are measured on.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What every thread measures with.
fn benches(all: &FashionMnist, scale: Scale) -> Vec<Bench> {
    (0..cores()).map(|_| Bench::new(all, scale)).collect()
}

/// Trains the networks that are not there and have cells that are not measured.
fn train(options: &Options, store: &mut Store, all: &FashionMnist, bar: &Bar) -> Result<(), QualityError> {
    let missing: Vec<(Model, u64)> =
        options.networks().into_iter().filter(|&of| is_missing(options, store.results(), of)).collect();
    let store = Mutex::new(store);
    share(missing, benches(all, options.scale()), |bench, (model, seed)| {
        let (name, files) = (model.name(), Files::new(&options.dense_dir(), model, seed));
        let told = |done: f64| bar.say(format!("training {name} {seed}: {:.0} %", 100.0 * done));
        let dense = dense::make((model, seed), &bench.data, &bench.scale, &files, &mut { told })?;
        bar.step();
        keep(&mut lock(&store), dense, &files)
    })
}

/// Whether a network is to be trained.
fn is_missing(options: &Options, results: &Results, (model, seed): (Model, u64)) -> bool {
    let there = known(results, (model, seed)).is_some() && Files::new(&options.dense_dir(), model, seed).exist();
    !there && !pending(options, results, (model, seed)).is_empty()
}

fn known(results: &Results, (model, seed): (Model, u64)) -> Option<Dense> {
    results.dense(model).into_iter().find(|dense| dense.seed == seed)
}

/// Measures all cells of a trained network that are not measured yet. Torch-Pruning works ahead meanwhile.
fn network(
    options: &Options,
    store: &mut Store,
    all: &FashionMnist,
    (model, seed): (Model, u64),
    bar: &Bar,
) -> Result<(), QualityError> {
    let pending = pending(options, store.results(), (model, seed));
    let Some(dense) = known(store.results(), (model, seed)).filter(|_| !pending.is_empty()) else { return Ok(()) };
    let files = Files::new(&options.dense_dir(), model, seed);
    let of_peer: Vec<&Cell> = pending.iter().filter(|cell| cell.tool == Tool::TorchPruning).collect();
    let out = options.work.join(format!("peer-{}-{seed}", model.name()));
    let peer = match &options.python {
        Some(python) if !of_peer.is_empty() => {
            let images = calibration_images(&all.train, &options.scale());
            Some(Mutex::new(Peer::start(python, &files, &of_peer, &images, &out)?))
        }
        _ => None,
    };
    let store = Mutex::new(store);
    share(pending.iter().collect(), benches(all, options.scale()), |bench, cell: &Cell| {
        bar.say(title(cell));
        let row = match (cell.tool, Criterion::named(&cell.criterion), &peer) {
            (Tool::Pruner, Some(criterion), _) => Some(bench.own(cell, criterion, (&dense, &files.archive))?),
            (Tool::TorchPruning, _, Some(peer)) => {
                let answer = lock(peer).next()?;
                let answer = answer.and_then(|answer| Some((*of_peer.get(answer.cell)?, answer)));
                answer.map(|(cell, answer)| of_peer_row(bench, cell, &dense, answer)).transpose()?
            }
            _ => None,
        };
        bar.step();
        row.map_or(Ok(()), |row| lock(&store).add_row(row))
    })?;
    if peer.is_some() {
        fs::remove_dir_all(&out).map_err(FileError::write(out))?;
    }
    Ok(())
}

/// Judges what Torch-Pruning left of a network.
fn of_peer_row(bench: &Bench, cell: &Cell, dense: &Dense, answer: Answer) -> Result<Row, QualityError> {
    let mut row = match answer.outcome {
        Cut::Archive(file) => bench.judge(cell, dense, &mut dense::load(&file)?, Instant::now())?,
        Cut::Error(why) => failed(cell, &why, Instant::now()),
    };
    row.seconds += answer.seconds;
    Ok(row)
}

/// Adds a network that was trained, unless it is another than the one whose cells were measured.
fn keep(store: &mut Store, dense: Dense, files: &Files) -> Result<(), QualityError> {
    match known(store.results(), (dense.model, dense.seed)) {
        None => store.add_dense(dense),
        Some(known) if known.accuracy.to_bits() == dense.accuracy.to_bits() => Ok(()),
        Some(known) => {
            for file in [&files.archive, &files.weights] {
                fs::remove_file(file).map_err(FileError::write(file))?;
            }
            let (model, seed) = (dense.model.name(), dense.seed);
            Err(QualityError::Retrained { model, seed, before: known.accuracy, after: dense.accuracy })
        }
    }
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
pub(super) fn work(options: &Options, results: &Results) -> Work {
    let networks = options.networks();
    let missing = networks.iter().filter(|&&of| is_missing(options, results, of));
    let cells = networks.iter().flat_map(|&of| pending(options, results, of));
    Work {
        dense: missing.map(|&(model, _)| model).collect(),
        cells: cells.map(|cell| (cell.tool, cell.model)).collect(),
        encoded: pending_encoded(options, results).len(),
    }
}

/// The cells of a network that are not measured yet.
pub(super) fn pending(options: &Options, results: &Results, (model, seed): (Model, u64)) -> Vec<Cell> {
    let cells = [Tool::Pruner, Tool::TorchPruning].into_iter().flat_map(|tool| options.cells(model, seed, tool));
    cells.filter(|cell| results.row(cell).is_none()).collect()
}

fn pending_encoded(options: &Options, results: &Results) -> Vec<Wanted> {
    if options.without_peer || options.python.is_none() || options.wordnet.is_none() {
        return Vec::new();
    }
    let mut wanted = encoder::wanted(options);
    wanted.retain(|wanted| !results.encoder.iter().any(|encoded| wanted == encoded));
    wanted
}

/// The versions of what is run.
pub(super) fn versions(options: &Options) -> Result<BTreeMap<String, String>, QualityError> {
    let mut versions = BTreeMap::from([("libtorch".to_owned(), LIBTORCH.to_owned())]);
    if let (Some(python), false) = (&options.python, options.without_peer) {
        let printed = peer::ask(python, &["versions"])?;
        let of_python: BTreeMap<String, String> =
            serde_json::from_str(&printed).map_err(FileError::json("quality versions"))?;
        versions.extend(of_python);
    }
    Ok(versions)
}

fn title(cell: &Cell) -> String {
    let tool = if cell.tool == Tool::TorchPruning { "Torch-Pruning: " } else { "" };
    format!("{tool}{} {} by {} {}", cell.model.name(), cell.seed, cell.criterion, options::scope_name(cell.scope))
}
