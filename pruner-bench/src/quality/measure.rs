//! The order of work: every network is trained, then its cells, its cells of Torch-Pruning, and at the end the sentence encoder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::criteria::Criterion;
use super::cut::{Bench, calibration_images, failed};
use super::dense::{self, Files};
use super::encoder::{self, Encoder, Wanted};
use super::models::Model;
use super::options::{self, Options};
use super::peer::{self, Cut, Peer};
use super::progress::{Bar, Work};
use super::row::{Cell, Dense, Tool};
use super::store::{Results, Store};
use super::{LIBTORCH, QualityError, write_page};
use crate::data::FashionMnist;
use crate::files::{FileError, say};

/// Measures what is asked for and is not there yet.
pub(super) fn measure(options: &Options, store: &mut Store, text: &mut dyn Write) -> Result<(), QualityError> {
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
            let minutes = self::work(options, store.results()).seconds(store.results(), &scale) / 60.0;
            say(text, &format!("{} {seed} is done; about {minutes:.0} minutes left", model.name()))?;
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
    let pending = pending(options, store.results(), (model, seed));
    if pending.is_empty() {
        return Ok(());
    }
    let known = store.results().dense(model).into_iter().find(|dense| dense.seed == seed);
    let dense = match known {
        Some(dense) if files.exist() => dense,
        _ => {
            let name = model.name();
            let told = |done: f64| bar.say(format!("training {name} {seed}: {:.0} %", 100.0 * done));
            let dense = dense::make((model, seed), bench.data, &bench.scale, &files, &mut { told })?;
            keep(store, known, dense, &files)?;
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
    let of_peer: Vec<(Cell, bool)> = pending.into_iter().filter(|(cell, _)| cell.tool == Tool::TorchPruning).collect();
    if let (Some(python), false) = (&options.python, of_peer.is_empty()) {
        let out = options.work.join(format!("peer-{}-{seed}", model.name()));
        peer(store, bench, (&dense, &files), &of_peer, (python, &out), bar)?;
        fs::remove_dir_all(&out).map_err(FileError::write(out))?;
    }
    Ok(())
}

/// Adds a network that was trained, unless it is another than the one whose cells were measured.
fn keep(store: &mut Store, known: Option<Dense>, dense: Dense, files: &Files) -> Result<(), QualityError> {
    match known {
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

/// Has Torch-Pruning make cells of a network, and judges what it leaves.
fn peer(
    store: &mut Store,
    bench: &Bench<'_>,
    (dense, files): (&Dense, &Files),
    pending: &[(Cell, bool)],
    (python, out): (&Path, &Path),
    bar: &Bar,
) -> Result<(), QualityError> {
    bar.say(format!("Torch-Pruning: {} {}", dense.model.name(), dense.seed));
    let cells: Vec<&Cell> = pending.iter().map(|(cell, _)| cell).collect();
    let mut peer = Peer::start(python, files, &cells, &calibration_images(bench.data, &bench.scale), out)?;
    while let Some(answer) = peer.next()? {
        let Some((cell, tune)) = pending.get(answer.cell) else { continue };
        bar.say(title(cell));
        let mut row = match answer.outcome {
            Cut::Archive(file) => bench.judge(cell, dense, &mut dense::load(&file)?, *tune, Instant::now())?,
            Cut::Error(why) => failed(cell, &why, Instant::now()),
        };
        row.seconds += answer.seconds;
        store.add_row(row)?;
        bar.step();
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
pub(super) fn work(options: &Options, results: &Results) -> Work {
    let mut work = Work { encoded: pending_encoded(options, results).len(), ..Work::default() };
    for (model, seed) in options.networks() {
        let pending = pending(options, results, (model, seed));
        let known = results.dense(model).iter().any(|dense| dense.seed == seed);
        let there = known && Files::new(&options.dense_dir(), model, seed).exist();
        if !there && !pending.is_empty() {
            work.dense.push(model);
        }
        work.cells.extend(pending.into_iter().map(|(cell, tune)| (cell.tool, model, tune)));
    }
    work
}

/// The cells of a network that are not measured yet, with whether each is trained after its cut.
pub(super) fn pending(options: &Options, results: &Results, (model, seed): (Model, u64)) -> Vec<(Cell, bool)> {
    let cells = [Tool::Pruner, Tool::TorchPruning].into_iter().flat_map(|tool| options.cells(model, seed, tool));
    let cells = cells.map(|cell| {
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
