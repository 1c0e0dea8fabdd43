//! Results that are made up, and what becomes of them.

use std::collections::BTreeMap;

use pruner_core::plan::Scope;

use super::measure::{pending, work};
use super::*;

pub(super) fn cell(criterion: &str, percent: u32) -> Cell {
    let (model, tool, scope) = (Model::Cnn, Tool::Pruner, Scope::Global);
    Cell { model, seed: 0, tool, criterion: criterion.to_owned(), scope, percent }
}

pub(super) fn row(cell: Cell, accuracy: f64) -> Row {
    let macs_gone = f64::from(cell.percent) / 100.0;
    let accuracies = Accuracies {
        macs_gone,
        params_gone: macs_gone / 2.0,
        cut: accuracy / 2.0,
        recalibrated: Some(accuracy),
        tuned: accuracy + 0.05,
    };
    Row { cell, outcome: Outcome::Pruned(accuracies), seconds: 1.0, seconds_tuning: 0.0 }
}

/// Two criteria and two seeds of one network, Torch-Pruning's magnitude, a criterion that fails, and a cut of the encoder.
fn made_up() -> Results {
    let versions = BTreeMap::from([("libtorch".to_owned(), "2.11.0".to_owned())]);
    let mut results = Results { about: Some(About { scale: Scale::FULL, threads: 2, versions }), ..Results::default() };
    for seed in [0, 1] {
        let accuracy = 0.9 + 0.01 * seed as f64;
        let (params, macs) = (98_762, 1_234_567);
        results.dense.push(Dense { model: Model::Cnn, seed, accuracy, params, macs, seconds: 60.0 });
        for (criterion, worth) in [("random", 0.5), ("magnitude", 0.8)] {
            for percent in [30, 50, 70] {
                let cell = Cell { seed, ..cell(criterion, percent) };
                results.rows.push(row(cell, worth - f64::from(percent) / 200.0 + 0.02 * seed as f64));
            }
            let local = Cell { seed, scope: Scope::Local, ..cell(criterion, 50) };
            results.rows.push(row(local, worth / 2.0));
        }
        let peer = Cell { seed, tool: Tool::TorchPruning, ..cell("magnitude", 50) };
        let mut peer = row(peer, 0.6);
        if let Outcome::Pruned(accuracies) = &mut peer.outcome {
            accuracies.macs_gone = 0.538;
        }
        results.rows.push(peer);
    }
    let mut again = row(Cell { scope: Scope::Local, ..cell("magnitude", 50) }, 0.41);
    if let Outcome::Pruned(accuracies) = &mut again.outcome {
        accuracies.macs_gone = 0.523;
    }
    results.rows.push(again);
    let why = Outcome::Failed("no batch norm".to_owned());
    results.rows.push(Row { outcome: why, ..row(cell("bn-scale", 50), 0.0) });
    let cosine = Some(Cosine { mean: 0.93, macs_gone: 0.2, params_gone: 0.1 });
    for (part, cosine) in [(Part::Mlp, cosine), (Part::Heads, None)] {
        results.encoder.push(Encoded { criterion: "wanda".to_owned(), part, percent: 20, cosine, seconds: 5.0 });
    }
    results
}

#[test]
fn the_page_tells_what_the_rows_say() {
    insta::assert_snapshot!(page::page(&made_up()));
}

#[test]
fn the_plot_has_a_panel_for_every_network_and_a_line_for_every_criterion() {
    let svg = plot::plot(&made_up()).expect("it can be drawn");
    for text in ["Plain CNN", "magnitude", "random", "Torch-Pruning"] {
        assert!(svg.contains(text), "{text} is missing: {svg}");
    }
    assert!(!svg.contains("Small ViT"));
}

#[test]
fn what_is_there_is_not_measured_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = crate::quality::options::tests::parse(&["--models", "cnn", "--seeds", "0", "--scopes", "global"]);
    let options = Options { criteria: vec![Criterion::named("magnitude").expect("it is listed")], ..options };
    let options = Options { work: folder.path().into(), percents: vec![30, 50], ..options };
    let left = |results: &Results| {
        let cells = pending(&options, results, (Model::Cnn, 0));
        cells.into_iter().map(|cell| cell.percent).collect::<Vec<_>>()
    };
    let mut results = Results::default();
    assert_eq!(left(&results), [30, 50]);
    results.rows.push(row(cell("magnitude", 30), 0.8));
    assert_eq!(left(&results), [50]);
    assert_eq!(work(&options, &results).dense, [Model::Cnn], "its files are not there");
    assert!(work(&options, &results).seconds(&results, &Scale::FULL) > 0.0);
    results.rows.push(Row { outcome: Outcome::Failed("no".to_owned()), ..row(cell("magnitude", 50), 0.0) });
    assert!(left(&results).is_empty());
    assert_eq!(work(&options, &results), Work::default(), "a network with nothing left to be measured is not trained");
}
