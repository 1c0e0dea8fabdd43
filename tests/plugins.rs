//! The plugins of the facade: which there are, and that each is written as it is read.

use assert_cmd::Command;
use pruner::importance::importance_from_config;
use pruner::registry::{self, Kind, scheduler_from_config};
use pruner::regularizer::regularizer_from_config;
use serde_json::{Value, json};

const IMPORTANCES: [&str; 17] = [
    "activation",
    "bn-scale",
    "cost-aware",
    "flap",
    "fpgm",
    "grasp",
    "group-fisher",
    "hessian",
    "lamp",
    "magnitude",
    "mix",
    "random",
    "snip",
    "synflow",
    "taylor",
    "taylor-gate",
    "wanda",
];
const SCHEDULERS: [&str; 8] =
    ["cosine", "cubic", "exponential", "linear", "one-cycle", "one-shot", "polynomial", "table"];
const REGULARIZERS: [&str; 3] = ["bn-l1", "group-lasso", "growing"];

#[test]
fn the_shipped_plugins_are_linked_and_listed_in_order() {
    let names: Vec<_> = registry::plugins().iter().map(|plugin| (plugin.kind.tag(), plugin.name)).collect();
    let expected = IMPORTANCES.map(|name| ("importance", name)).into_iter();
    let expected = expected.chain(REGULARIZERS.map(|name| ("regularizer", name)));
    assert_eq!(names, expected.chain(SCHEDULERS.map(|name| ("scheduler", name))).collect::<Vec<_>>());
}

#[test]
fn no_two_plugins_share_a_name_and_none_is_half_registered() {
    assert_eq!(registry::check(), Ok(()));
}

#[test]
fn every_plugin_is_written_as_it_is_read() {
    for plugin in registry::plugins() {
        let mut config = plugin.defaults().expect("every option has a default");
        config.insert(plugin.kind.tag().to_owned(), json!(plugin.name));
        let config = Value::Object(config);
        let written = match plugin.kind {
            Kind::Importance => serde_json::to_value(importance_from_config(config.clone()).expect("it is read")),
            Kind::Regularizer => serde_json::to_value(regularizer_from_config(config.clone()).expect("it is read")),
            Kind::Scheduler => serde_json::to_value(scheduler_from_config(config.clone()).expect("it is read")),
        };
        assert_eq!(written.expect("it is written"), config);
    }
}

#[test]
fn options_that_are_not_the_defaults_survive_too() {
    for config in [
        json!({"importance": "magnitude", "p": "inf", "reduction": "first", "normalizer": "lamp"}),
        json!({"importance": "bn-scale", "reduction": "max", "normalizer": "standardization"}),
        json!({"importance": "taylor", "terms": "per-weight", "reduction": "sum", "normalizer": "gaussian"}),
        json!({"importance": "random", "seed": u64::MAX}),
    ] {
        let importance = importance_from_config(config.clone()).expect("it is read");
        assert_eq!(serde_json::to_value(&importance).expect("it is written"), config);
    }
    for config in [
        json!({"regularizer": "bn-l1", "lambda": 0.5}),
        json!({"regularizer": "group-lasso", "lambda": 0.0}),
        json!({
            "regularizer": "growing", "importance": {"importance": "random", "seed": 7}, "ratio": 0.25, "delta": 0.5,
            "every": 3, "ceiling": 2.0, "state": {"step": 12, "picked": {"g0": [1, 5], "g3": []}},
        }),
    ] {
        let regularizer = regularizer_from_config(config.clone()).expect("it is read");
        assert_eq!(serde_json::to_value(&regularizer).expect("it is written"), config);
    }
    let config = json!({"scheduler": "one-shot", "at": 3});
    let scheduler = scheduler_from_config(config.clone()).expect("it is read");
    assert_eq!(serde_json::to_value(&scheduler).expect("it is written"), config);
}

#[test]
fn a_slip_in_a_name_gets_the_name_that_was_meant() {
    let error = importance_from_config(json!("magnitud")).expect_err("no such criterion");
    assert_eq!(
        error.to_string(),
        format!("unknown importance `magnitud` (did you mean `magnitude`?); known: {}", IMPORTANCES.join(", "))
    );
    let error = regularizer_from_config(json!("group-laso")).expect_err("no such regulariser");
    assert_eq!(
        error.to_string(),
        format!("unknown regularizer `group-laso` (did you mean `group-lasso`?); known: {}", REGULARIZERS.join(", "))
    );
    let error = scheduler_from_config(json!("one_shot")).expect_err("no such scheduler");
    assert_eq!(
        error.to_string(),
        format!("unknown scheduler `one_shot` (did you mean `one-shot`?); known: {}", SCHEDULERS.join(", "))
    );
}

fn list(arguments: &[&str]) -> String {
    let output = Command::cargo_bin("pruner").expect("the binary is built").arg("list").args(arguments).unwrap();
    String::from_utf8(output.stdout).expect("names are text")
}

#[test]
fn the_command_lists_every_plugin_with_what_it_does_and_its_options() {
    let listing = list(&[]);
    let lines: Vec<_> = listing.lines().collect();
    assert_eq!(lines.len(), 1 + registry::plugins().len(), "a heading and a line each:\n{listing}");
    for (plugin, line) in registry::plugins().iter().zip(&lines[1..]) {
        let start = line.split_whitespace().take(2).collect::<Vec<_>>();
        assert_eq!(start, [plugin.kind.tag(), plugin.name], "{listing}");
        assert!(line.contains(plugin.description), "{listing}");
    }
    let magnitude = lines.iter().find(|line| line.contains(" magnitude ")).expect("it is listed");
    assert!(magnitude.ends_with("normalizer = \"mean\", p = 2, reduction = \"none\""), "{listing}");
    assert!(!listing.contains('\u{1b}') && !listing.contains('─'), "plain in a pipe:\n{listing}");
}

#[test]
fn the_command_lists_one_kind_alone_and_in_json() {
    let listing: Value = serde_json::from_str(&list(&["schedulers", "--json"])).expect("it is JSON");
    let names: Vec<_> = listing.as_array().expect("a list").iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, SCHEDULERS);
    assert_eq!(listing[5]["options"], json!({"at": 1}));
    assert_eq!(listing[5]["kind"], "scheduler");
    let listing: Value = serde_json::from_str(&list(&["regularizers", "--json"])).expect("it is JSON");
    let names: Vec<_> = listing.as_array().expect("a list").iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, REGULARIZERS);
    assert_eq!(listing[1]["options"], json!({"lambda": 1e-4}));
    assert!(!list(&["importances"]).contains("one-shot"));
}

#[test]
fn the_command_refuses_what_it_does_not_know() {
    let output = Command::cargo_bin("pruner")
        .expect("the binary is built")
        .args(["list", "nonsense"])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).expect("messages are text");
    assert!(message.contains("importances") && message.contains("schedulers"), "{message}");
}
