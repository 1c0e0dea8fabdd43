//! What the registry says of names that are known, unknown, near, not listed or not implemented.

use pruner_core::register_scheduler;
use pruner_core::registry::{self, Kind, RegistryError};
use pruner_core::scheduler::{Position, Scheduler};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

register_scheduler!("power", "t^exponent");
register_scheduler!("all", "everything at once");

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Power {
    #[serde(default = "two")]
    exponent: i32,
}

fn two() -> i32 {
    2
}

#[typetag::serde(name = "power")]
impl Scheduler for Power {
    fn ratio(&self, at: Position) -> f64 {
        at.progress().powi(self.exponent)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    since: usize,
}

#[typetag::serde(name = "all")]
impl Scheduler for All {
    fn ratio(&self, _: Position) -> f64 {
        1.0
    }
}

#[track_caller]
fn refused(config: Value, expected: &str) {
    let error = registry::scheduler_from_config(config).expect_err("no such scheduler");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn plugins_are_listed_by_name_with_where_they_are_from() {
    let names: Vec<_> = registry::schedulers().iter().map(|plugin| plugin.name).collect();
    assert_eq!(names, ["all", "power"]);
    let power = registry::schedulers()[1];
    assert_eq!((power.kind, power.description, power.module), (Kind::Scheduler, "t^exponent", "registry"));
    assert!(power.file.ends_with("registry.rs"));
    assert_eq!(registry::importances(), Vec::<&registry::Plugin>::new());
    assert_eq!(registry::regularizers(), Vec::<&registry::Plugin>::new());
    assert_eq!(registry::check(), Ok(()));
}

#[test]
fn a_listing_holds_the_defaults_where_every_option_has_one() {
    let defaults: Vec<_> = registry::schedulers().iter().map(|plugin| plugin.defaults()).collect();
    assert_eq!(defaults, [None, json!({"exponent": 2}).as_object().cloned()]);
}

#[test]
fn a_config_names_a_scheduler_by_a_string_or_an_object() {
    #[derive(Deserialize)]
    struct Config {
        #[serde(deserialize_with = "pruner_core::registry::deserialize_scheduler")]
        scheduler: Box<dyn Scheduler>,
    }
    let half = |config: Value| {
        let config: Config = serde_json::from_value(json!({"scheduler": config})).expect("the config is right");
        config.scheduler.ratio(Position::new(1, 2, 0.5))
    };
    assert!((half(json!("power")) - 0.25).abs() < f64::EPSILON);
    assert!((half(json!({"scheduler": "power", "exponent": 1})) - 0.5).abs() < f64::EPSILON);
    assert!((half(json!({"exponent": 3, "scheduler": "power"})) - 0.125).abs() < f64::EPSILON);
}

#[test]
fn an_unknown_name_is_refused_with_the_known_ones_and_the_nearest() {
    refused(json!("powre"), "unknown scheduler `powre` (did you mean `power`?); known: all, power");
    refused(json!({"scheduler": "exponential"}), "unknown scheduler `exponential`; known: all, power");
    refused(json!(""), "unknown scheduler ``; known: all, power");
}

#[test]
fn options_that_do_not_fit_are_refused_with_the_field() {
    refused(json!({"scheduler": "power", "p": 2}), "scheduler `power`: unknown field `p`, expected `exponent`");
    refused(
        json!({"scheduler": "power", "exponent": "two"}),
        "scheduler `power`: invalid type: string \"two\", expected i32",
    );
    refused(json!("all"), "scheduler `all`: missing field `since`");
    let error = registry::scheduler_from("power", json!([1])).expect_err("a list is no options");
    assert_eq!(error.to_string(), "scheduler `power`: options are an object, not [1]");
    let error = registry::scheduler_from("power", json!({"scheduler": "all"})).expect_err("two names");
    assert_eq!(error.to_string(), "scheduler `power`: its options name another, \"all\"");
}

#[test]
fn what_names_no_plugin_is_refused_with_the_form_of_one_that_does() {
    for config in [json!(null), json!(3), json!({"exponent": 2}), json!({"scheduler": 3})] {
        let error = registry::scheduler_from_config(config.clone()).expect_err("no name");
        assert!(matches!(error, RegistryError::Nameless { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!(
                "the scheduler is given by a name or by an object such as {{\"scheduler\": \"name\", …}}, not by {config}"
            )
        );
    }
}

#[test]
fn a_plugin_is_written_as_it_is_read() {
    let scheduler = registry::scheduler_from("power", json!({"exponent": 3})).expect("the scheduler is registered");
    assert_eq!(
        serde_json::to_value(&scheduler).expect("plugins serialise"),
        json!({"scheduler": "power", "exponent": 3})
    );
}
