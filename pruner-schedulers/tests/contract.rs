//! Every registered scheduler keeps the contract of the trait.

use pruner_core::scheduler::Position;
use pruner_core::{registry, scheduler};
use pruner_schedulers as _;
use serde_json::Value;

#[test]
fn every_registered_scheduler_rises_from_0_to_1_in_every_run() {
    assert!(registry::schedulers().len() >= 8, "the schedulers are linked");
    for plugin in registry::schedulers() {
        let scheduler = registry::scheduler_from(plugin.name, Value::Null).expect("every option has a default");
        for steps in (0..=20).chain([100, 1000]) {
            for target_ratio in [0.0, 1e-12, 0.3, 0.5, 0.999_999] {
                if let Err(error) = scheduler::check(scheduler.as_ref(), steps, target_ratio) {
                    panic!("to {target_ratio}: {error}");
                }
            }
        }
        for steps in 1..=20 {
            let ratio = scheduler.ratio(Position::new(0, steps, 0.5));
            // The curve of `one-cycle` begins a little above.
            assert!(
                ratio <= if plugin.name == "one-cycle" { 0.0025 } else { 0.0 },
                "{} begins at {ratio}",
                plugin.name
            );
        }
        for (step, steps) in [(0, 0), (7, 0), (usize::MAX, usize::MAX), (usize::MAX, 3)] {
            assert!(
                (scheduler.ratio(Position::new(step, steps, 0.5)) - 1.0).abs() < f64::EPSILON,
                "{} ends at 1",
                plugin.name
            );
        }
    }
}

#[test]
fn every_registered_scheduler_refuses_an_option_that_it_has_not() {
    for plugin in registry::schedulers() {
        let error = registry::scheduler_from(plugin.name, serde_json::json!({"nonsense": 1}))
            .expect_err("no scheduler has this option");
        let expected = format!("scheduler `{}`: unknown field `nonsense`", plugin.name);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn every_scheduler_is_listed_and_implemented() {
    assert_eq!(registry::check(), Ok(()));
}
