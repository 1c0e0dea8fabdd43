//! A plugin that can be read but is not listed is found.

use pruner_core::registry;
use pruner_core::scheduler::{Position, Scheduler};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shy {}

#[typetag::serde(name = "shy")]
impl Scheduler for Shy {
    fn ratio(&self, _: Position) -> f64 {
        1.0
    }
}

#[test]
fn an_implemented_name_that_is_not_listed_is_found() {
    assert_eq!(
        registry::check().expect_err("it is not listed").to_string(),
        "scheduler `shy` is implemented but not listed: add `register_scheduler!(\"shy\", …)` beside it"
    );
}
