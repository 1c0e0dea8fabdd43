//! One file says what a run prunes: for the command, for the library, and by its schema.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use jsonschema::Validator;
use pruner::config::{Config, schema};
use pruner::registry::{self, Kind};
use serde_json::{Map, Value, json};

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
    for config in [json!({}), full(), json!({"importance": "taylor", "scheduler": "cubic"})] {
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
        if plugin.kind != Kind::Importance && plugin.kind != Kind::Scheduler {
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
        (json!({"limit": {}}), "unknown key `limit`; did you mean `limits`?"),
        (json!({"zzz": 1}), "unknown key `zzz`"),
        (json!({"steps": "many"}), "steps: invalid type: string \"many\""),
        (json!({"limits": {"rond_to": 8}}), "limits.rond_to: unknown field `rond_to`"),
        (json!({"limits": {"overrides": [{"group": []}]}}), "limits.overrides[0].group: unknown field `group`"),
        (json!({"calibration": {"data": "d", "loss": "hinge"}}), "calibration.loss: unknown variant `hinge`"),
        (json!({"calibration": {}}), "calibration: missing field `data`"),
        (
            json!({"importance": {"importance": "taylor", "term": 1}}),
            "importance: importance `taylor`: unknown field `term`",
        ),
        (json!({"importance": "tayler"}), "importance: "),
    ] {
        let error = Config::from_map(map(&config)).expect_err("it is wrong").to_string();
        assert!(error.starts_with(says), "{config}: {error}");
        assert!(!validator.is_valid(&config), "{config}");
    }
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
    assert!(stored == printed, "docs/config.schema.json is not what `pruner schema` prints; write it anew");
}
