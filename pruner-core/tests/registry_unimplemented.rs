//! A plugin that is implemented under one name and listed under another is found.

use pruner_core::registry::{self, RegistryError};
use pruner_core::scheduler::{Position, Scheduler};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pruner_core::register_scheduler!("lsited", "a slip of the pen");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listed {}

#[typetag::serde(name = "listed")]
impl Scheduler for Listed {
    fn ratio(&self, _: Position) -> f64 {
        1.0
    }
}

#[test]
fn a_listed_name_that_nothing_implements_is_found() {
    let error = registry::check().expect_err("the names differ");
    assert!(matches!(error, RegistryError::Unimplemented { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "scheduler `lsited` is listed by registry_unimplemented but not implemented: no `#[typetag::serde(name = \
         \"lsited\")]` has that name"
    );
    let error = registry::scheduler_from("lsited", Value::Null).expect_err("nothing implements it");
    assert_eq!(error.to_string(), "unknown scheduler `lsited` (did you mean `listed`?); known: listed");
}
