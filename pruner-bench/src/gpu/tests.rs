//! All of it on the CPU, small, and what the page says.

use clap::Parser;

use super::page::page;
use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[test]
fn a_quick_run_on_the_cpu_measures_every_section_and_comes_back_from_its_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("results/cpu.json");
    let name = out.to_str().expect("the path is text");
    let options = Cli::parse_from(["gpu", "--quick", "--device", "cpu", "--out", name]).options;
    run(&options, &mut Vec::new()).expect("all is measured");
    let text = fs::read_to_string(&out).expect("the results are written");
    let report: Report = serde_json::from_str(&text).expect("they are read");
    assert!(report.quick && report.machine.device == "cpu");
    assert!(report.equivalence.len() >= 4 && report.equivalence.iter().all(Equivalence::is_equal));
    let criteria: Vec<_> = report.scoring.iter().map(|row| row.criterion.as_str()).collect();
    assert!(["magnitude", "lamp", "fpgm", "bn-scale"].iter().all(|name| criteria.contains(name)), "{criteria:?}");
    assert!(report.steps.len() == 3 && report.steps.iter().all(|step| step.bytes_after * 2 < step.bytes_before));
    // ResNet-50 in two layouts, the transformer in one; two batches, two precisions, four shares.
    assert_eq!(report.forward.len(), (2 + 1) * 2 * 2 * 4);
    for rows in report.forward.chunks(4) {
        assert!(rows.windows(2).all(|pair| pair[0].percent < pair[1].percent && pair[0].macs > pair[1].macs));
        assert!(rows.iter().all(|row| row.millis.p50 > 0.0 && row.millis.p25 <= row.millis.p75));
    }
    assert!(page(&[report]).ends_with("Nothing was measured on a GPU so far.\n"), "a CPU is no GPU");
}

#[test]
fn the_page_says_what_was_measured_on_a_gpu() {
    let millis = |p50: f64| clock::Millis { p50, p25: p50 - 0.5, p75: p50 + 1.0 };
    let forward = |percent: u32, macs: u64, p50: f64| Forward {
        network: "resnet50".to_owned(),
        percent,
        batch: 64,
        dtype: "float32".to_owned(),
        channels_last: true,
        macs,
        params: 1,
        millis: millis(p50),
    };
    let machine = Machine {
        device: "cuda:0".to_owned(),
        cpu: "A CPU".to_owned(),
        threads: 4,
        gpu: Some("A GPU".to_owned()),
        driver: Some("1.2".to_owned()),
        libtorch: "2.11.0".to_owned(),
    };
    let unequal = Equivalence {
        network: "unet".to_owned(),
        relative: Some(0.1),
        effect: Some(1.0),
        tolerance: 1e-4,
        error: None,
    };
    let report = Report {
        machine,
        quick: false,
        seconds: 10.0,
        equivalence: vec![unequal],
        scoring: Vec::new(),
        steps: Vec::new(),
        forward: vec![forward(0, 4_000_000_000, 8.0), forward(50, 1_000_000_000, 2.0)],
    };
    let page = page(std::slice::from_ref(&report));
    for line in [
        "## A GPU, A CPU (4 threads)",
        "driver 1.2",
        "On 0 of 1 networks",
        "- unet: Some(0.1)",
        "| resnet50 | 64 | float32 | channels last | 50 | 1.00 | 2.00 (1.50 to 3.00) | 32000 | 4.00 × |",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(!page.contains("Scoring") && !page.contains("Nothing was measured"));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    if !pruner_core::aten::cuda_is_available() {
        let options = Cli::parse_from(["gpu"]).options;
        let error = run(&options, &mut Vec::new()).expect_err("there is no GPU").to_string();
        assert!(error.contains("no GPU here"), "{error}");
    }
}

#[test]
fn the_page_that_is_checked_in_is_that_of_the_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace");
    let dir = tempfile::tempdir().expect("a folder");
    write_page(&root.join(RESULTS), &dir.path().join("gpu.md")).expect("the results are read");
    let read = |path: &Path| fs::read_to_string(path).expect("the page is there");
    assert_eq!(read(&root.join(PAGE)), read(&dir.path().join("gpu.md")), "run `cargo xtask gpu --page`");
}
