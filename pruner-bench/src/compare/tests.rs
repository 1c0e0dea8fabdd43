//! What the comparison asks, and that its page says what was measured.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn options(args: &[&str]) -> Options {
    Cli::try_parse_from([&["compare"], args].concat()).expect("the options are known").options
}

fn times(numbers: &[f64]) -> Times {
    Times(numbers.to_vec())
}

/// A model on which all targets are met, and one that Torch-Pruning does not get through.
fn made_up() -> Results {
    let own = Own {
        groups: 12,
        read_ms: times(&[9.0, 3.0, 3.0]),
        groups_ms: times(&[2.0, 1.0, 1.0]),
        step_ms: times(&[9.0, 3.0, 3.0]),
        score_ms: times(&[4.0, 1.0, 1.0]),
        plan_ms: times(&[1.0, 0.5, 0.5]),
        apply_ms: times(&[4.0, 1.5, 1.5]),
        copy_ms: times(&[4.0, 2.0, 2.0]),
        tensor_copy_ms: times(&[4.0, 2.5, 2.5]),
        bytes: 40 << 20,
        bytes_kept: 10 << 20,
        grown_bytes: 10 << 20,
        params_left: 2_621_440,
        macs_left: 25,
    };
    let peer = Peer {
        groups: Some(11),
        groups_ms: times(&[200.0, 120.0, 140.0]),
        forward_ms: times(&[90.0, 80.0, 80.0]),
        step_ms: times(&[90.0, 60.0, 60.0]),
        grown_bytes: Some(30 << 20),
        params_left: Some(2_700_000),
        macs_left: Some(30),
        failures: BTreeMap::new(),
    };
    let why = BTreeMap::from([("groups".to_owned(), "not done | within 60 s".to_owned())]);
    let failed = Row {
        model: "swin_t".to_owned(),
        params: 28_000_000,
        macs: 100,
        own: Own {
            step_ms: times(&[9.0, 8.0]),
            copy_ms: times(&[4.0, 2.0]),
            tensor_copy_ms: times(&[4.0, 4.0]),
            ..own.clone()
        },
        peer: Peer { failures: why, ..Peer::default() },
    };
    let row = Row { model: "resnet18".to_owned(), params: 11_000_000, macs: 100, own, peer };
    let versions = BTreeMap::from([("torch-pruning".to_owned(), "1.6.1".to_owned())]);
    let cpu = "Example CPU".to_owned();
    let about = About { cpu, cores: 2, debug_assertions: false, threads: THREADS, limit_s: 60, versions };
    Results { about, rows: vec![row, failed] }
}

#[test]
fn the_page_tells_what_the_rows_say() {
    let page = page::page(&made_up());
    for line in [
        "| resnet18 | 130 × | 32.5 × | 20.0 × | 1.5 × | 1.2 × | 3.0 × | 25.0 | 30.0 |  |",
        "| swin_t | – | – | – | 4.0 × | 2.0 × | – | 25.0 | – | groups: not done \\| within 60 s |",
        "| analysis 100 × as fast on every model | on 1 of 1; geometric mean 130 ×, from 130 × (resnet18) to 130 × (resnet18) | met |",
        "| step slower on no model | slower on 0 of 1 | met |",
        "| step at most 2 × a copy of bytes on every model | on 1 of 2; geometric mean 2.4 ×, from 1.5 × (resnet18) to 4.0 × (swin_t) | **missed** |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\nis not in\n{page}");
    }
}

#[test]
fn the_page_that_is_checked_in_is_that_of_the_results_that_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = read(&root.join("results/compare.json")).expect("the results are checked in");
    let file = root.join("../docs/compare.md");
    let page = fs::read_to_string(&file).expect("the page is checked in");
    assert_eq!(page, page::page(&results), "write it anew with `cargo xtask compare --page`");
}

#[test]
fn quick_is_three_models_and_leaves_what_is_checked_in_alone() {
    let quick = options(&["--quick"]);
    assert_eq!(quick.models(), ["resnet18", "densenet121", "mobilenet_v2"]);
    assert!(quick.results().starts_with("target") && quick.page_file().starts_with("target"));
    assert_eq!(options(&[]).models(), MODELS);
    assert_eq!(options(&["--models", "vit_b_16,alexnet"]).models(), ["alexnet", "vit_b_16"]);
    assert!(Cli::try_parse_from(["compare", "--models", "lenet"]).is_err());
}
