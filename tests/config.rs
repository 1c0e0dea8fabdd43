//! One file says what a run prunes: for the command, for the library, and by its schema.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use jsonschema::Validator;
use pruner::calibration::{Loader as _, NamedLoss, recalibrate};
use pruner::config::{Calibration, Config, read_map, schema};
use pruner::exec::{GraphModule, Mode};
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner::pt2::{Mode as Written, Pt2};
use pruner::registry;
use pruner_bench::rng::Rng;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

fn map(config: &Value) -> Map<String, Value> {
    config.as_object().expect("a config is an object").clone()
}

fn validator() -> Validator {
    jsonschema::validator_for(schema().as_value()).expect("the schema is one")
}

/// A config that says everything.
fn full() -> Value {
    json!({
        "model": "model.pt2",
        "weights": "weights.safetensors",
        "output": "small.pt2",
        "importance": {"importance": "cost-aware", "of": {"importance": "magnitude", "p": "inf"}, "by": "params"},
        "scheduler": {"scheduler": "polynomial", "power": 2.0},
        "steps": 3,
        "seed": 7,
        "compensate": true,
        "budget": {"macs": 0.4, "params": 0.2, "cost_aware": false},
        "limits": {
            "scope": "global", "min_channels": 2, "max_ratio": 0.9, "round_to": 4, "ignore": ["head", "@head-dims"],
            "overrides": [{"groups": ["layer4.*"], "target_ratio": 0.2, "scope": "isomorphic", "max_ratio": 0.5}],
        },
        "calibration": {
            "data": "samples.safetensors", "targets": "labels", "loss": "mse", "batch_size": 4, "recalibrate": true,
        },
    })
}

#[test]
fn what_the_library_reads_the_schema_allows() {
    let validator = validator();
    // To JSON a number is whole whether or not it is written with a fraction of 0.
    let whole = json!({"steps": 3.0, "seed": 1e19, "limits": {"round_to": 4.0}, "importance": {"importance": "magnitude", "p": 1.0}});
    let plain =
        json!({"$schema": "config.schema.json", "importance": "taylor", "scheduler": "cubic", "seed": u64::MAX});
    for config in [json!({}), full(), whole, plain] {
        Config::from_map(map(&config)).expect("it is read");
        let errors: Vec<_> = validator.iter_errors(&config).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{config}: {errors:?}");
    }
    let config = Config::from_map(map(&full())).expect("it is read");
    assert_eq!(config.settings.limits.overrides.len(), 1);
    assert_eq!(config.calibration.expect("it is there").batch_size, 4);
    assert_eq!((config.model, config.settings.steps), (Some(PathBuf::from("model.pt2")), 3));
}

#[test]
fn the_schema_has_the_options_of_every_plugin() {
    let validator = validator();
    for plugin in registry::plugins() {
        let mut options = plugin.defaults().expect("every option has a default");
        options.insert(plugin.kind.tag().to_owned(), json!(plugin.name));
        let key = plugin.kind.tag();
        if plugin.kind == registry::Kind::Regularizer {
            continue;
        }
        for config in [json!({key: plugin.name}), json!({key: options.clone()})] {
            assert!(validator.is_valid(&config), "{config}: {:?}", validator.iter_errors(&config).next());
        }
        options.insert("nonsense".to_owned(), json!(1));
        let config = json!({key: options});
        assert!(!validator.is_valid(&config), "{config}");
    }
}

#[test]
fn what_the_schema_forbids_the_library_refuses_with_the_key() {
    let validator = validator();
    for (config, says) in [
        (json!({"limit": {}}), "unknown key `limit` (did you mean `limits`?), expected one of `$schema`, `budget`, "),
        (json!({"zzz": 1}), "unknown key `zzz`, expected one of `$schema`, `budget`, "),
        (
            json!({"steps": 10_001}),
            "steps is 10001; a config has at most 10000, since the command makes all of them at once",
        ),
        (json!({"steps": "many"}), "steps: invalid type: string \"many\""),
        (
            json!({"limits": {"rond_to": 8}}),
            "limits.rond_to: unknown field `rond_to` (did you mean `round_to`?), expected one of `target_ratio`, ",
        ),
        (
            json!({"limits": {"scope": "globl"}}),
            "limits.scope: unknown variant `globl` (did you mean `global`?), expected one of `local`, ",
        ),
        (json!({"budget": {"mac": 0.4}}), "budget.mac: unknown field `mac` (did you mean `macs`?), expected one of "),
        (
            json!({"limits": {"overrides": [{"groups": ["a"], "target_rato": 0.5}]}}),
            "limits.overrides[0].target_rato: unknown field `target_rato` (did you mean `target_ratio`?), expected one of ",
        ),
        (
            json!({"limits": {"overrides": [{"group": []}]}}),
            "limits.overrides[0].group: unknown field `group` (did you mean `groups`?), ",
        ),
        (
            json!({"calibration": {"data": "d", "target": "labels"}}),
            "calibration.target: unknown field `target` (did you mean `targets`?), expected one of `data`, ",
        ),
        (
            json!({"calibration": {"data": "d", "loss": "hinge"}}),
            "calibration.loss: unknown variant `hinge`, expected one of `cross-entropy`, ",
        ),
        (
            json!({"calibration": {"data": "d", "loss": "cross_entropy"}}),
            "calibration.loss: unknown variant `cross_entropy` (did you mean `cross-entropy`?), ",
        ),
        (json!({"calibration": {}}), "calibration: missing field `data`"),
        (
            json!({"importance": {"importance": "taylor", "term": 1}}),
            "importance: importance `taylor`: unknown field `term` (did you mean `terms`?), expected ",
        ),
        (
            json!({"importance": {"importance": "magnitude", "normalizer": "meen"}}),
            "importance: importance `magnitude`: unknown variant `meen` (did you mean `mean`?), expected one of ",
        ),
        (
            json!({"importance": {"importance": "cost-aware", "of": {"importance": "magnitude", "nromalizer": "max"}}}),
            "importance: importance `cost-aware`: importance `magnitude`: unknown field `nromalizer` (did you mean ",
        ),
        (json!({"importance": "tayler"}), "importance: unknown importance `tayler` (did you mean `taylor`?); known: "),
        (
            json!({"budget": {"macs": 0.5}, "limits": {"target_ratio": 0.5}}),
            "both budget and limits.target_ratio say how much goes; leave one of them out",
        ),
        (
            json!({"importance": {"importance": "magnitude", "p": 3}}),
            "importance: importance `magnitude`: p is 1, 2 or \"inf\", not 3",
        ),
        (
            json!({"importance": {"importance": "magnitude", "p": "max"}}),
            "importance: importance `magnitude`: p is 1, 2 or \"inf\", not \"max\"",
        ),
        (
            json!({"importance": {"importance": "mix", "parts": [{"of": "lamp"}, {"of": "magnitude", "part": -1}]}}),
            "importance: importance `mix`: parts[1].part is -1; give a number above 0",
        ),
        (
            json!({"importance": {"importance": "mix", "parts": [{"of": "magnitude", "part": 0}]}}),
            "importance: importance `mix`: parts[0].part is 0; give a number above 0",
        ),
        (
            json!({"scheduler": {"scheduler": "table", "parts": [[0, 0.5]]}}),
            "scheduler: scheduler `table`: `parts` has a step 0; count the steps from 1",
        ),
        (json!({"calibration": {"data": "d", "batch_size": 0}}), "calibration.batch_size: it is 0; at least 1 sample"),
        (json!({"steps": 2.5}), "steps: invalid type: floating point `2.5`, expected usize"),
        (json!({"seed": 18_446_744_073_709_551_616_f64}), "seed: invalid type: floating point"),
        (json!({"$schema": 1}), "$schema: it is the address of the schema, a string"),
    ] {
        let error = Config::from_map(map(&config)).expect_err("it is wrong").to_string();
        assert!(error.starts_with(says), "{config}: {error}");
        assert!(!validator.is_valid(&config), "{config}");
    }
}

#[test]
fn what_a_pruner_refuses_of_numbers_the_schema_forbids() {
    let validator = validator();
    let pt2 = Pt2::open(&exported()).expect("it is read");
    let module = GraphModule::load(&pt2, Device::Cpu).expect("it is loaded");
    for (config, allowed) in [
        (json!({"limits": {"target_ratio": 1.0}}), false),
        (json!({"limits": {"target_ratio": 0.99}}), true),
        (json!({"limits": {"overrides": [{"groups": ["wide"], "target_ratio": 1.0}]}}), false),
        (json!({"limits": {"overrides": [{"groups": ["wide"], "target_ratio": 0.0, "max_ratio": 1.0}]}}), true),
        (json!({"budget": {"macs": 1.0}}), false),
        (json!({"budget": {"params": 1.0}}), false),
        (json!({"budget": {}}), false),
        (json!({"budget": {"cost_aware": false}}), false),
        (json!({"budget": {"macs": null}}), false),
        (json!({"budget": {"bytes": 0.1, "macs": null, "cost_aware": false}}), true),
        (json!({"budget": null, "limits": {"target_ratio": 0.5}}), true),
        (json!({"scheduler": {"scheduler": "polynomial", "power": 0}}), false),
        (json!({"scheduler": {"scheduler": "polynomial", "power": -1}}), false),
        (json!({"scheduler": {"scheduler": "polynomial", "power": 0.1}}), true),
        (json!({"scheduler": {"scheduler": "one-cycle", "alpha": -3}}), false),
        (json!({"scheduler": {"scheduler": "one-cycle", "alpha": 0}}), true),
        (json!({"steps": 10_000}), true),
        (json!({"gather_threads": 256}), true),
        (json!({"gather_threads": 257}), false),
        (json!({"scheduler": {"scheduler": "table", "parts": [[1, 0.5], [2, 1.5]]}, "steps": 3}), false),
        (json!({"scheduler": {"scheduler": "table", "parts": [[1, -0.5], [2, 0.5]]}, "steps": 3}), false),
        (json!({"scheduler": {"scheduler": "table", "parts": [[1, 0], [2, 1]]}, "steps": 3}), true),
    ] {
        let settings = Config::from_map(map(&config)).expect("it is read").settings;
        assert_eq!(GroupPruner::new(&module, settings).is_ok(), allowed, "{config}");
        assert_eq!(validator.is_valid(&config), allowed, "{config}");
    }
}

#[test]
fn numbers_that_are_not_finite_and_keys_that_are_given_twice_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, says) in [
        ("run.toml", "limits = { target_ratio = nan }", "`limits.target_ratio` is nan; give a finite number"),
        (
            "run.toml",
            "importance = { importance = 'magnitude', p = inf }",
            "`importance.p` is inf; give a finite number, or \"inf\" in quotes where that is a choice",
        ),
        (
            "run.toml",
            "[[limits.overrides]]\ngroups = ['a']\nmax_ratio = -inf",
            "`limits.overrides[0].max_ratio` is -inf; give a finite number",
        ),
        ("run.json", r#"{"model": "a", "model": "b"}"#, "the key `model` is given twice; leave one of them out"),
        ("run.json", r#"{"limits": {"round_to": 2, "round_to": 4}}"#, "the key `round_to` is given twice; leave one"),
        ("run.json", "[]", "a config is an object of keys and values"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it is written");
        let error = Config::read(&path).expect_err("it is wrong").to_string();
        assert!(error.starts_with(&format!("{}: {says}", path.display())), "{text}: {error}");
    }
    for (name, text) in [("run.toml", "importance = { importance = 'magnitude', p = 'inf' }"), ("run.json", "{}")] {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("it is written");
        Config::read(&path).expect("it is right");
    }
    let path = folder.path().join("full.json");
    fs::write(&path, full().to_string()).expect("it is written");
    assert_eq!(read_map(&path).expect("it is read"), map(&full()));
}

#[test]
fn files_are_relative_to_the_config() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.toml");
    fs::write(&path, "model = \"model.pt2\"\n[calibration]\ndata = \"/data.safetensors\"\n").expect("it is written");
    let config = Config::read(&path).expect("it is read");
    assert_eq!(config.model, Some(folder.path().join("model.pt2")));
    assert_eq!(config.calibration.expect("it is there").data, Path::new("/data.safetensors"));
    fs::write(&path, "model = ").expect("it is written");
    let error = Config::read(&path).expect_err("it is no TOML").to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
}

#[test]
fn the_schema_that_is_checked_in_is_that_of_the_library() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.schema.json");
    let command = Command::cargo_bin("pruner").expect("it is built").arg("schema").output().expect("it runs");
    let printed = String::from_utf8(command.stdout).expect("it is text");
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(!printed.contains("[`"), "an editor shows no links into the library");
    assert!(stored == printed, "docs/config.schema.json is not what `pruner schema` prints; write it anew");
}

/// The network of convolutions that the tests of the core exported.
fn exported() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pruner-core/tests/pt2/residual.pt2")
}

/// A folder with samples of the model's input and their classes.
fn folder_with_samples() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let pt2 = Pt2::open(&exported()).expect("it is read");
    let input = pt2.graph().value(pt2.graph().inputs()[0]);
    let shape: Vec<i64> = std::iter::once(10).chain(input.meta.shape[1..].iter().copied()).collect();
    let images = Rng::new(1).tensor(&shape, 0.0, 1.0);
    let classes = Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    let tensors = [(input.name.as_str(), &images), ("targets", &classes), ("few", &classes.narrow(0, 0, 3))];
    Tensor::write_safetensors(&tensors, folder.path().join("samples.safetensors")).expect("it is written");
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("pruner").expect("it is built");
    let output = command.current_dir(folder).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_command_and_the_library_make_the_same_of_one_file() {
    let folder = folder_with_samples();
    let path = folder.path().join("run.toml");
    let config = format!(
        "model = '{}'\noutput = 'small.pt2'\nimportance = 'flap'\nscheduler = 'linear'\nsteps = 2\n\
         [limits]\nignore = ['gate']\n[calibration]\ndata = 'samples.safetensors'\nbatch_size = 4\nrecalibrate = true\n",
        exported().display()
    );
    fs::write(&path, config).expect("it is written");
    let (code, out, err) = command(Path::new("/"), &["prune", "--config", &path.to_string_lossy(), "--json"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let done: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(done["recalibrated"], 1);

    let Config { model, output, calibration, settings, .. } = Config::read(&path).expect("it is read");
    let mut pt2 = Pt2::open(&model.expect("it is named")).expect("it is read");
    let mut module = GraphModule::load(&pt2, Device::Cpu).expect("it is loaded");
    let mut pruner = GroupPruner::new(&module, settings).expect("it can be pruned");
    let data = calibration.expect("it is there").load(module.graph(), pruner.settings().needs(), Device::Cpu);
    let data = data.expect("it fits");
    assert_eq!((data.samples(), data.batches().count()), (10, 3));
    for _ in 0..2 {
        pruner.gather(&module, &data, None).expect("it is gathered");
        assert!(pruner.step(&mut module, &mut ()).expect("it is cut").pruned());
    }
    assert_eq!(recalibrate(&mut module, &data).expect("it is measured"), 1);
    let differ = pt2.take_over(&module, pruner.analysis(), pruner.kept()).expect("it is the one");
    // The statistics of the norm, and the biases that make up for what is cut.
    assert!(differ.len() >= 3, "{differ:?}");
    let own = folder.path().join("own.pt2");
    pt2.write(pruner.analysis(), pruner.kept(), Written::AsExported, &own).expect("it is written");
    let (own, output) =
        (fs::read(own).expect("it is there"), fs::read(output.expect("it is named")).expect("it is there"));
    assert_eq!(own, output);

    // What is changed beside the cut is known to the manifest, and so to what reads it.
    let small = ["prune", "--config", "run.toml", "--manifest", "cut.json"];
    assert_eq!(command(folder.path(), &small).0, Some(0));
    let path = exported().display().to_string();
    let (code, out, err) =
        command(folder.path(), &["verify", &path, "--manifest", "cut.json", "--pruned", "small.pt2"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, _, err) = command(folder.path(), &["replay", &path, "cut.json", "-o", "again.pt2"]);
    assert!(code == Some(1) && err.contains("which a manifest does not hold"), "{code:?} {err}");

    // What is written is what was cut and measured.
    let again = Pt2::open(&folder.path().join("small.pt2")).expect("it is read");
    let again = GraphModule::load(&again, Device::Cpu).expect("it is loaded");
    let inputs = &data.batches().next().expect("there are samples").inputs;
    let run = |module: &GraphModule| module.forward(inputs, Mode::Eval).expect("it runs").remove(0);
    assert!(run(&again).allclose(&run(&module), 1e-6, 1e-6, false));
}

#[test]
fn a_dry_run_measures_no_statistics_whatever_its_steps() {
    let folder = folder_with_samples();
    let model = exported().to_string_lossy().into_owned();
    for steps in [1, 2] {
        let config = format!("steps = {steps}\nscheduler = 'linear'");
        fs::write(folder.path().join("run.toml"), config).expect("it is written");
        let run = |end: &[&str]| {
            let all = ["prune", &model, "--config", "run.toml", "--data", "samples.safetensors", "--recalibrate"];
            let (code, out, err) = command(folder.path(), &[&all, end].concat());
            assert_eq!(code, Some(0), "{out}{err}");
            out
        };
        let says = "the statistics of 1 batch norms are those of the data";
        assert!(!run(&["--dry-run"]).contains(says), "{steps} steps");
        assert!(run(&["-o", "small.pt2"]).contains(says), "{steps} steps");
    }
}

#[test]
fn criteria_of_data_are_computed_from_it_or_say_what_they_want() {
    let folder = folder_with_samples();
    let model = exported();
    let prune = |arguments: &str| {
        let path = model.to_string_lossy();
        let mut all = vec!["prune", &path, "--dry-run"];
        all.extend(arguments.split_whitespace());
        command(folder.path(), &all)
    };
    for importance in ["taylor", "hessian", "grasp", "wanda", "group-fisher", "synflow"] {
        let (code, out, err) = prune(&format!("--importance {importance} --data samples.safetensors --macs 0.3"));
        assert_eq!(code, Some(0), "{importance}: {out}{err}");
    }
    for (arguments, says) in [
        (
            "--importance taylor",
            "error: importance `taylor` is computed from data (Gradients): give --data, a safetensors file",
        ),
        ("--importance taylor --data none.safetensors", "none.safetensors: there is no such file"),
        ("--importance wanda --data run.toml", "run.toml: it is no safetensors file"),
        (
            "--loss mse --importance magnitude",
            "the options: [calibration], --loss and --recalibrate say what is done with data: give --data",
        ),
        (
            "--importance taylor --loss mse --data samples.safetensors",
            "samples.safetensors: libtorch: invalid shape: mse compares tensors of one shape",
        ),
    ] {
        fs::write(folder.path().join("run.toml"), "steps = 1").expect("it is written");
        let (code, _, err) = prune(arguments);
        assert!(code == Some(1) && err.contains(says), "{arguments}: {code:?} {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

#[test]
fn what_cannot_be_verified_of_a_cut_is_said() {
    let (folder, model) = (folder_with_samples(), exported());
    let path = model.to_string_lossy();
    let cut = ["-o", "small.pt2", "--manifest", "cut.json"];
    let verify = ["verify", &path, "--manifest", "cut.json", "--pruned", "small.pt2"];
    for (options, is_checked) in [(&[][..], true), (&["--recalibrate", "--data", "samples.safetensors"], false)] {
        let arguments = [&["prune", &path], &cut[..], options].concat();
        let (code, out, err) = command(folder.path(), &arguments);
        assert_eq!(code, Some(0), "{out}{err}");
        let (code, out, err) = command(folder.path(), &verify);
        assert_eq!(code, Some(0), "{out}{err}");
        assert_eq!(!out.contains("were taken from the cut model, and NOT CHECKED"), is_checked, "{out}");
    }
}

#[test]
fn data_that_does_not_fit_is_refused() {
    let folder = folder_with_samples();
    let pt2 = Pt2::open(&exported()).expect("it is read");
    let calibration = Calibration::new(folder.path().join("samples.safetensors"));
    let needs = pruner::importance::Signal::Gradients.into();
    let error = |calibration: &Calibration| {
        calibration.load(pt2.graph(), needs, Device::Cpu).expect_err("it does not fit").to_string()
    };
    let few = Calibration { targets: "few".to_owned(), ..calibration.clone() };
    assert!(error(&few).contains("the tensors have [10, 3] samples"), "{}", error(&few));
    let none = Calibration { targets: "labels".to_owned(), ..calibration.clone() };
    assert!(error(&none).contains("no tensor `labels`; the file has few, targets"), "{}", error(&none));
    let empty = Calibration { batch_size: 0, ..calibration.clone() };
    assert!(error(&empty).contains("batch_size is 0"));
    let mut tensors = Tensor::read_safetensors(&calibration.data).expect("it is read");
    for (_, tensor) in tensors.iter_mut().filter(|(_, tensor)| tensor.is_floating_point()) {
        _ = tensor.flatten(0, -1).get(0).fill_(f64::NAN);
    }
    let broken = Calibration { data: folder.path().join("broken.safetensors"), ..calibration };
    Tensor::write_safetensors(&tensors, &broken.data).expect("it is written");
    let input = &pt2.graph().value(pt2.graph().inputs()[0]).name;
    let says = format!("broken.safetensors: `{input}` has numbers that are not finite; leave their samples out");
    assert!(error(&broken).ends_with(&says), "{}", error(&broken));
    let whole = folder.path().join("samples.safetensors");
    let mut tensors = Tensor::read_safetensors(whole).expect("it is read");
    let size = pt2.graph().shape(pt2.graph().outputs()[0])[1];
    tensors.push(("numbers".to_owned(), Tensor::full([10, size], f64::INFINITY, (Kind::Float, Device::Cpu))));
    Tensor::write_safetensors(&tensors, &broken.data).expect("it is written");
    let numbers = Calibration { targets: "numbers".to_owned(), loss: NamedLoss::Mse, ..broken };
    let says = "broken.safetensors: `numbers` has numbers that are not finite; leave their samples out";
    assert!(error(&numbers).ends_with(says), "{}", error(&numbers));
}

#[test]
fn a_calibration_says_its_data_in_the_config_or_by_an_option() {
    let folder = folder_with_samples();
    let model = exported().to_string_lossy().into_owned();
    let prune = |config: &str, end: &[&str]| {
        fs::write(folder.path().join("run.json"), config).expect("it is written");
        let all = ["prune", &model, "--dry-run", "--config", "run.json"];
        command(folder.path(), &[&all, end].concat())
    };
    for config in [r#"{"calibration": {}}"#, r#"{"calibration": {"loss": "mse"}}"#] {
        let (code, _, err) = prune(config, &[]);
        assert!(code == Some(1) && err.starts_with("error: run.json: [calibration], --loss and"), "{config}: {err}");
        assert_eq!(prune(config, &["--data", "samples.safetensors"]).0, Some(0), "{config}");
    }
    let without = json!({"calibration": null});
    assert!(validator().is_valid(&without));
    assert_eq!(prune(&without.to_string(), &[]).0, Some(0));
}

#[test]
fn targets_that_are_no_classes_of_the_model_and_files_without_samples_are_refused() {
    let folder = folder_with_samples();
    let pt2 = Pt2::open(&exported()).expect("it is read");
    let graph = pt2.graph();
    let (input, output) = (graph.value(graph.inputs()[0]), graph.value(graph.outputs()[0]));
    let count = output.meta.shape[1];
    let path = folder.path().join("other.safetensors");
    let load = |samples: i64, targets: &Tensor, loss: NamedLoss| {
        let shape: Vec<i64> = std::iter::once(samples).chain(input.meta.shape[1..].iter().copied()).collect();
        let images = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        Tensor::write_safetensors(&[(input.name.as_str(), &images), ("targets", targets)], &path)
            .expect("it is written");
        let calibration = Calibration { loss, ..Calibration::new(&path) };
        let data = calibration.load(graph, pruner::importance::Signal::Gradients.into(), Device::Cpu);
        data.map(|data| data.samples()).map_err(|error| error.to_string())
    };
    let classes = |classes: &[i64]| Tensor::from_slice(classes);
    for (samples, targets, loss, says) in [
        (
            2,
            classes(&[0, count]),
            NamedLoss::CrossEntropy,
            format!("`targets` has the class {count}, and the model has {count}, counted from 0"),
        ),
        (
            2,
            classes(&[-1, 0]),
            NamedLoss::CrossEntropy,
            format!("`targets` has the class -1, and the model has {count},"),
        ),
        (
            2,
            Tensor::from_slice(&[0.5, 1.0]),
            NamedLoss::CrossEntropy,
            "`targets` has elements of type f64, and the loss reads the numbers of classes".to_owned(),
        ),
        (0, classes(&[]), NamedLoss::CrossEntropy, "there are no samples;".to_owned()),
        (2, classes(&[0]), NamedLoss::CrossEntropy, "the tensors have [2, 1] samples;".to_owned()),
    ] {
        let error = load(samples, &targets, loss).expect_err("it does not fit");
        assert!(error.starts_with(&format!("{}: {says}", path.display())), "{error}");
    }
    assert_eq!(load(3, &classes(&[0, count - 1, -100]), NamedLoss::CrossEntropy), Ok(3));
    assert_eq!(load(2, &Tensor::from_slice(&[0.5, 99.0]), NamedLoss::Mse), Ok(2));
    Tensor::write_safetensors::<&str, &Tensor, _>(&[], &path).expect("it is written");
    let error = Calibration::new(&path).load(graph, pruner::importance::SignalSet::empty(), Device::Cpu);
    let error = error.expect_err("it is empty").to_string();
    assert!(error.ends_with(&format!(": no tensor `{}`; the file has none", input.name)), "{error}");
}
