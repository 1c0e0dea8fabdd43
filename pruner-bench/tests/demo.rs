//! The demonstration as its user runs it: what it prints, what it writes, and what it says of bad input.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tch::Tensor;

const PROGRAM: &str = env!("CARGO_BIN_EXE_demo");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/fashion-mnist");

fn demo(program: impl AsRef<Path>, arguments: &[&str], dir: &Path) -> Output {
    Command::new(program.as_ref()).args(arguments).current_dir(dir).output().expect("the demonstration starts")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A quick run that writes to `out`: its report and what it prints.
fn quick(out: &Path, more: &[&str]) -> (Value, String) {
    let arguments = [&["--quick", "--data", DATA, "--out", out.to_str().expect("the path is text")], more].concat();
    let output = demo(PROGRAM, &arguments, out);
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}{text}");
    assert!(error.is_empty(), "a bar is for terminals: {error}");
    let json = fs::read_to_string(out.join("report.json")).expect("the report is written");
    (serde_json::from_str(&json).expect("the report is JSON"), text.into_owned())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn steps<'a>(report: &'a Value, run: &str) -> &'a [Value] {
    report[run]["steps"].as_array().expect("a run has steps")
}

fn pruned(step: &Value) -> bool {
    step["report"]["outcome"]["kind"] == "pruned"
}

#[test]
fn a_run_prunes_skips_training_and_writes_weights_of_the_reported_shapes() {
    let out = folder();
    let (report, text) = quick(out.path(), &[]);

    let tensors = Tensor::read_safetensors(out.path().join("pruned.safetensors")).expect("the weights are read");
    let shapes = report["tensors"].as_object().expect("shapes by name");
    assert_eq!(tensors.len(), shapes.len());
    for (name, tensor) in &tensors {
        let shape: Vec<i64> = serde_json::from_value(shapes[name].clone()).expect("a shape");
        assert_eq!(tensor.size(), shape, "{name}");
    }
    // Statistics of batch normalisation are no parameters.
    let parameters: usize =
        tensors.iter().filter(|(name, _)| !name.contains("running")).map(|(_, tensor)| tensor.numel()).sum();
    assert_eq!(report["skipping"]["counts"]["params"], parameters);
    assert!(parameters as f64 <= 0.5 * number(&report["dense"]["counts"]["params"]), "{parameters} are left");
    assert_eq!(shapes["mix.conv.weight"][0], 64, "half of the channels is left");
    assert_eq!(shapes["mix.conv.weight"][1], 16 + 32, "half of both parts of the concatenation is left");

    let (skipping, always) = (steps(&report, "skipping"), steps(&report, "always"));
    assert!(skipping.iter().any(pruned) && !skipping.iter().all(pruned), "some steps prune and some do not");
    assert_eq!(skipping.len(), always.len());
    for (one, other) in skipping.iter().zip(always) {
        assert_eq!(one["training"].is_null(), !pruned(one), "training follows a cut and nothing else");
        assert!(!other["training"].is_null(), "the other run trains every time");
        assert_eq!(one["report"]["after"], other["report"]["after"], "both cut as much");
        if !pruned(one) {
            assert_eq!(one["report"]["outcome"]["reason"]["code"], "rounding");
        }
    }
    assert!(number(&report["masked_equals_sliced"]) < 1e-5);

    let rows = text.lines().filter(|line| line.ends_with("  yes") || line.ends_with("  no: rounding")).count();
    assert_eq!(rows, skipping.len(), "{text}");
    let wide = |line: &&str| line.chars().count() > 80 && !line.contains(out.path().to_str().expect("text"));
    assert_eq!(text.lines().find(wide), None, "lines fit 80 columns");
}

#[test]
fn savings_are_the_difference_of_the_two_runs() {
    let out = folder();
    let (report, text) = quick(out.path(), &["--steps", "4", "--seed", "7"]);
    let savings = &report["savings"];
    let training = |run: &str| {
        let steps = steps(&report, run).iter().map(|step| &step["training"]).filter(|cost| !cost.is_null());
        let costs: Vec<&Value> = steps.chain([&report[run]["finish"]]).collect();
        let sum = |field: &str| costs.iter().map(|cost| number(&cost[field])).sum::<f64>();
        (sum("macs"), sum("seconds"), sum("samples"))
    };
    let ((macs, seconds, images), (all_macs, all_seconds, all_images)) = (training("skipping"), training("always"));
    let close = |a: &Value, b: f64| (number(a) - b).abs() <= 1e-9 * b.abs().max(1.0);
    assert!(close(&savings["macs"], all_macs - macs), "{savings}");
    assert!(close(&savings["seconds"], all_seconds - seconds), "{savings}");
    assert!(close(&savings["epochs"], (all_images - images) / number(&report["train_images"])), "{savings}");
    let difference = number(&report["skipping"]["accuracy"]) - number(&report["always"]["accuracy"]);
    assert!(close(&savings["accuracy_difference"], difference), "{savings}");
    let within = difference.abs() <= 2.0 * number(&savings["standard_error"]);
    assert_eq!(savings["within_noise"], within);
    assert_eq!(text.contains("the same within noise"), within, "{text}");
    assert_eq!((&report["settings"]["steps"], &report["settings"]["seed"]), (&4.into(), &7.into()));
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let weights = |seed: &str| {
        let out = folder();
        quick(out.path(), &["--steps", "1", "--seed", seed]);
        fs::read(out.path().join("pruned.safetensors")).expect("the weights are written")
    };
    let first = weights("3");
    assert!(first == weights("3"), "the same seed");
    assert!(first != weights("4"), "another seed");
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, message: &str) {
    let dir = folder();
    let output = demo(PROGRAM, arguments, dir.path());
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.starts_with("error: ") && error.contains(message), "{error}");
}

#[test]
fn bad_input_is_named_with_what_to_do() {
    fails(&["--device", "gpu"], 2, "use `cpu`, `cuda` or");
    fails(&["--steps", "0"], 2, "--steps");
    fails(&["--seed", "x"], 2, "--seed");
    fails(&["--data", "nowhere"], 1, "cannot open nowhere/train-images-idx3-ubyte.gz");
    fails(&["--data", DATA, "--out", "/dev/null/results"], 1, "cannot write /dev/null/results");
    if !pruner_core::aten::cuda_is_available() {
        fails(&["--device", "cuda", "--data", DATA], 1, "libtorch finds no GPU here");
        fails(&["--device", "cuda:1", "--data", DATA], 1, "use `--device cpu`");
    }
}

/// What a copy of the program below `dir` says when it is run in another folder.
fn error_of_copy(dir: &Path, program: &str) -> String {
    let copy = dir.join(program);
    fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("folders can be made");
    fs::copy(PROGRAM, &copy).expect("the program is copied");
    let output = demo(&copy, &["--quick"], folder().path());
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn images_are_looked_for_near_the_program() {
    let dir = folder();
    let error = error_of_copy(dir.path(), "a/b/c/d/demo");
    assert!(error.contains("not in any of data/fashion-mnist, ") && error.contains("--data DIR"), "{error}");

    let data = dir.path().join("data/fashion-mnist");
    fs::create_dir_all(&data).expect("folders can be made");
    let error = error_of_copy(dir.path(), "bin/demo");
    let missing = data.join("train-images-idx3-ubyte.gz");
    assert!(error.contains(&format!("cannot open {}", missing.display())), "{error}");
}
