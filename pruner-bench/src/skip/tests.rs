//! The benchmark as a whole, and what its page says.

use std::path::Path;

use clap::Parser;

use super::page::{Spread, page};
use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn options(dir: &Path, more: &[&str]) -> Options {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/fashion-mnist");
    let path = |name: &str| dir.join(name).to_str().expect("the path is text").to_owned();
    let (results, docs) = (path("results"), path("docs"));
    let own = ["skip", "--quick", "--data", data, "--results", &results, "--docs", &docs];
    Cli::parse_from(own.iter().chain(more)).options
}

#[test]
fn a_quick_run_skips_epochs_and_a_later_one_goes_on_from_its_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut text = Vec::new();
    run(&options(dir.path(), &[]), &mut text).expect("it is measured");
    let all = store::read_all(&dir.path().join("results")).expect("the results are read");
    let [results] = all.as_slice() else { panic!("{} machines", all.len()) };
    let [row] = results.rows.as_slice() else { panic!("{} rows", results.rows.len()) };
    let (skipping, always) = (&row.skipping, &row.always);
    assert_eq!((skipping.epochs, always.epochs), (skipping.steps_pruned, always.steps));
    assert!(skipping.epochs < always.epochs && skipping.cost.macs < always.cost.macs);
    assert_eq!(skipping.cost.samples, 256 * skipping.epochs as u64);
    assert_eq!((skipping.macs, skipping.params), (always.macs, always.params), "both cut as much");
    assert!(skipping.macs * 2 < row.dense_macs);

    text.clear();
    run(&options(dir.path(), &["--round-to", "8,16"]), &mut text).expect("it goes on");
    let again = store::read_all(&dir.path().join("results")).expect("the results are read");
    assert_eq!(again[0].rows.len(), 2);
    assert_eq!(again[0].rows[0], *row);
    let page = std::fs::read_to_string(dir.path().join("docs/skip.md")).expect("the page is there");
    assert_eq!(page, super::page::page(&again));
    assert!(std::fs::read_to_string(dir.path().join("docs/skip.svg")).expect("the plot is there").contains("<svg"));
}

#[test]
fn the_page_says_what_the_rows_say() {
    let dir = tempfile::tempdir().expect("a folder");
    let about = r#"{"machine":{"device":"cpu","cpu":"A CPU","threads":2,"gpu":null,"driver":null,"libtorch":"2.11.0"},"scale":{"train_images":9,"test_images":5,"dense_epochs":1,"epoch_images":3,"final_images":3,"resnet_width":8,"steps":4}}"#;
    let row = |seed: u64, accuracy: f64| {
        let outcome = |epochs: u64, accuracy: f64| {
            format!(
                r#"{{"steps":4,"steps_pruned":1,"epochs":{epochs},"cost":{{"seconds":{epochs},"samples":3,"macs":{epochs},"joules":null}},"pruning_seconds":0.1,"accuracy":{accuracy},"macs":10,"params":5}}"#
            )
        };
        let (skipping, always) = (outcome(1, accuracy), outcome(4, 0.5));
        format!(
            r#"{{"network":"vit","setting":{{"scheduler":"cubic","round_to":8}},"seed":{seed},"steps":4,"dense_accuracy":0.6,"dense_macs":40,"skipping":{skipping},"always":{always}}}"#
        )
    };
    let folder = dir.path().join("cpu");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("about.json"), about).expect("it is written");
    std::fs::write(folder.join("rows.jsonl"), format!("{}\n{}\n", row(0, 0.49), row(1, 0.51))).expect("it is written");
    let all = store::read_all(dir.path()).expect("they are read");
    let page = page(&all);
    assert!(page.contains("75 % of the epochs saved, 75 % of the seconds"), "{page}");
    let line = "| small ViT | cubic | 8 | 1 of 4 | 1 of 4 | 75 % | 75 % | 50.00 ± 1.41 | 50.00 ± 0.00 | +0.00 ± 1.41 |";
    assert!(page.contains(line), "{page}");
    assert!(!page.contains("energy"), "no device reported it");

    std::fs::write(folder.join("rows.jsonl"), "{}\n").expect("it is written");
    let error = store::read_all(dir.path()).expect_err("it is no row").to_string();
    assert!(error.contains("rows.jsonl, line 1"), "{error}");
}

#[test]
fn a_spread_is_the_standard_deviation_of_a_sample() {
    let spread = Spread::new(&[1.0, 2.0, 3.0, 4.0]);
    assert!((spread.mean - 2.5).abs() < 1e-12);
    assert!((spread.deviation.expect("there are several") - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert_eq!(Spread::new(&[0.5]).percent(false), "50.00");
}

#[test]
fn what_cannot_be_measured_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let failed = |more: &[&str]| run(&options(dir.path(), more), &mut Vec::new()).expect_err("it fails").to_string();
    assert!(failed(&["--schedulers", "cubik"]).contains("cubic"), "the nearest is suggested");
    assert!(Cli::try_parse_from(["skip", "--round-to", "0"]).is_err());
}

#[test]
fn the_page_that_is_checked_in_is_that_of_the_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace");
    let all = store::read_all(&root.join("pruner-bench/results/skip")).expect("the results are read");
    let read = |name: &str| std::fs::read_to_string(root.join("docs").join(name)).expect("it is checked in");
    assert_eq!(read(PAGE), page(&all), "run `cargo xtask skip --page`");
    assert_eq!(read(PLOT), plot::plot(&all).expect("it is drawn"));
}
