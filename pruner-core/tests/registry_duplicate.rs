//! Two plugins of one name are found, and neither is taken for the other.

use pruner_core::registry;
use serde_json::Value;

mod one {
    use pruner_core::scheduler::{Position, Scheduler};
    use serde::{Deserialize, Serialize};

    pruner_core::register_scheduler!("twin", "the one");

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct One {}

    #[typetag::serde(name = "twin")]
    impl Scheduler for One {
        fn ratio(&self, at: Position) -> f64 {
            at.progress()
        }
    }
}

mod other {
    use pruner_core::scheduler::{Position, Scheduler};
    use serde::{Deserialize, Serialize};

    pruner_core::register_scheduler!("twin", "the other");

    #[derive(Clone, Debug, Serialize, Deserialize)]
    struct Other {}

    #[typetag::serde(name = "twin")]
    impl Scheduler for Other {
        fn ratio(&self, _: Position) -> f64 {
            1.0
        }
    }
}

#[test]
fn two_plugins_of_one_name_are_both_named() {
    let file = file!();
    let expected = format!(
        "two plugins of kind scheduler are called `twin`: one in registry_duplicate::one ({file}), one in \
         registry_duplicate::other ({file}); rename one or do not link its crate"
    );
    assert_eq!(registry::check().expect_err("a duplicate").to_string(), expected);
    let error = registry::scheduler_from("twin", Value::Null).expect_err("it is not known which is meant");
    assert_eq!(error.to_string(), expected);
}
