//! The round trip through PyTorch: what it exports is cut by the command, and what comes back it loads, runs and trains; so it
//! does with networks that were written in tch.
//!
//! Groups that are inexact are left alone, by the names that `pruner inspect` gives them, so that the cut model has to equal
//! the masked one.

#[path = "../common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use common::{Net, settings};
use pruner::exec::Mode;
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner_bench::models::all;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

fn python(script: &str) -> Command {
    let (program, path) = (std::env::var_os("PRUNER_PYTHON"), std::env::var_os("PRUNER_PYTHONPATH"));
    let (program, path) = program.zip(path).expect(
        "this test runs PyTorch: run `cargo xtask setup --python` once, or `cargo xtask test`, which does so itself",
    );
    let mut command = Command::new(program);
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1").env("OMP_NUM_THREADS", "1");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(script));
    command
}

/// Runs a command to its end and returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|error| panic!("cannot run {}: {error}", command.get_program().display()));
    let told = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} failed\n{said}\n{told}");
    said.into_owned()
}

fn pruner(args: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("pruner"));
    command.arg("--json").args(args);
    command
}

/// The parameters of the groups in which a cut changes a statistic.
fn inexact(model: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(&run(&mut pruner(&["inspect", model]))).expect("it prints JSON");
    assert_eq!(found["unknown_ops"], Value::Array(Vec::new()), "{model}");
    let groups = found["groups"].as_array().expect("there are groups");
    let inexact = groups.iter().filter(|group| group["pinned"].is_null() && !group["inexact"].is_null());
    let names = inexact.map(|group| group["name"].as_str().expect("a group has a name"));
    names.map(|name| name.rsplit_once(':').expect("a name ends with a dimension").0.to_owned()).collect()
}

/// Exports, verifies, cuts and hands back one model.
fn check(model: &str, onnx: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name);
    let text = |path: &PathBuf| path.to_str().expect("a temporary folder has a plain name").to_owned();
    let (whole, small, trainable) = (text(&file("model.pt2")), text(&file("small.pt2")), text(&file("trainable.pt2")));
    let manifest = text(&file("manifest.json"));
    run(python("export.py").args([model, &whole]));
    run(&mut pruner(&["verify", &whole]));
    let ignored = inexact(&whole);
    let ignore = ignored.iter().flat_map(|name| ["--ignore", name]);
    let prune = |args: &[&str]| {
        let mut command = pruner(&["prune", &whole, "--ratio", "0.5"]);
        run(command.args(ignore.clone()).args(args));
    };
    prune(&["--manifest", &manifest, "--output", &small]);
    prune(&["--train-mode", "--output", &trainable]);
    let mut judge = python("judge.py");
    judge.args([model, &small, &manifest, &trainable]);
    if onnx {
        judge.arg(file("small.onnx"));
    }
    run(&mut judge);
}

/// A test for each model of `models.py`, and whether it is run by onnxruntime too.
macro_rules! tests {
    ($($name:ident $onnx:literal,)*) => {$(
        #[test]
        fn $name() {
            super::check(stringify!($name), $onnx);
        }
    )*};
}

mod comes_back_smaller_and_equal_and_trains {
    tests! {
        resnet18 true,
        mobilenet_v2 false,
        shufflenet false,
        squeezenet false,
        efficientnet false,
        regnet false,
        densenet false,
        convnext false,
        swin false,
        vit true,
        llama true,
        translator false,
        reader false,
    }
}

#[test]
fn a_decoder_has_the_groups_of_its_architecture() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("llama.pt2");
    run(python("export.py").arg("llama").arg(&model));
    let model = model.to_str().expect("a temporary folder has a plain name");
    let found: Value = serde_json::from_str(&run(&mut pruner(&["inspect", model]))).expect("it prints JSON");
    let groups = found["groups"].as_array().expect("there are groups");
    let has = |size: u64, members: &[&str]| {
        groups.iter().any(|group| {
            let names: Vec<_> = group["members"].as_array().expect("it has members").iter().collect();
            let all = members.iter().all(|member| names.contains(&&json!(format!("layers.1.{member}"))));
            group["pinned"].is_null() && group["size"] == size && all
        })
    };
    assert!(has(64, &["gate.weight:0", "up.weight:0", "down.weight:1"]), "hidden units: {groups:?}");
    assert!(has(2, &["q.weight:0", "k.weight:0", "v.weight:0", "o.weight:1"]), "groups of heads: {groups:?}");
    assert!(has(2, &["q.weight:0", "o.weight:1"]), "the heads of each: {groups:?}");
    assert!(has(4, &["q.weight:0", "k.weight:0"]), "pairs of rotated positions: {groups:?}");
    assert!(has(8, &["v.weight:0", "o.weight:1"]), "what a head reads: {groups:?}");
    assert!(has(32, &["q.weight:1", "o.weight:0", "before.weight:0"]), "the residual width: {groups:?}");
}

#[test]
fn networks_that_were_written_in_tch_and_cut_come_back_equal_and_train() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut nets: Vec<_> = all().iter().map(|spec| (spec.name, Net::named(spec.name))).collect();
    nets.push(("manifold", Net::manifold()));
    for (name, net) in &mut nets {
        let mut pruner = GroupPruner::new(&net.module, settings(0.3)).expect("the settings are sound");
        assert!(pruner.step(&mut net.module, &mut ()).expect("it is cut").pruned(), "{name}");
        for (mode, ending) in [(Mode::Eval, "pt2"), (Mode::Train, "train.pt2")] {
            let path = folder.path().join(*name).with_extension(ending);
            net.module.save(&net.inputs, mode, &path).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let numbers = |tensor: &Tensor| {
            Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).expect("the outputs are numbers")
        };
        let outputs = net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
        let outputs: Vec<Value> =
            outputs.iter().map(|output| json!({ "shape": output.size(), "numbers": numbers(output) })).collect();
        let file = folder.path().join(*name).with_extension("json");
        std::fs::write(file, json!(outputs).to_string()).expect("it is written");
    }
    run(python("saved.py").arg(folder.path()).args(nets.iter().map(|(name, _)| name)));
}
