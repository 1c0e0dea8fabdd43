//! `table`: parts of the target at steps that are named.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use pruner_core::register_scheduler;
use pruner_core::scheduler::{Position, Scheduler};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

register_scheduler!("table", "parts of the target at steps that are named", Table);

/// The part of the target reached is that of the last named step that is done: nothing before the first, and all once the
/// run is over, whatever the table says.
///
/// In TOML: `scheduler = { scheduler = "table", parts = [[1, 0.3], [4, 0.8]] }`. By default the table is empty, and the last
/// step cuts all.
///
/// Source: the multi-step schedule of NNCF, whose levels are ratios; here they are parts of the target ratio.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// Steps, counted from 1 and each named once, with the part of the target, in `[0, 1]`, that is reached at it.
    #[serde(deserialize_with = "parts")]
    #[schemars(schema_with = "schema_of_parts")]
    pub parts: Vec<(NonZeroUsize, f64)>,
}

fn schema_of_parts(_: &mut SchemaGenerator) -> Schema {
    let step = json_schema!({ "type": "integer", "minimum": 1 });
    let part = json_schema!({ "type": "number", "minimum": 0.0, "maximum": 1.0 });
    let pair = json_schema!({ "type": "array", "prefixItems": [step, part], "minItems": 2, "maxItems": 2 });
    json_schema!({ "type": "array", "items": pair, "uniqueItems": true })
}

/// The parts of a config, whose steps are counted from 1 and named once.
fn parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(NonZeroUsize, f64)>, D::Error> {
    let parts = Vec::<(usize, f64)>::deserialize(deserializer)?;
    let mut named = BTreeSet::new();
    if let Some((step, _)) = parts.iter().find(|(step, _)| !named.insert(*step)) {
        return Err(D::Error::custom(format_args!("`parts` names step {step} twice; leave one of them out")));
    }
    let counted = |(step, part)| Some((NonZeroUsize::new(step)?, part));
    let counted: Option<_> = parts.into_iter().map(counted).collect();
    counted.ok_or_else(|| D::Error::custom("`parts` has a step 0; count the steps from 1"))
}

impl Table {
    /// With the part of the target that is reached at a step.
    #[must_use]
    pub fn with_part(mut self, step: NonZeroUsize, part: f64) -> Self {
        self.parts.push((step, part));
        self
    }
}

#[typetag::serde(name = "table")]
impl Scheduler for Table {
    fn ratio(&self, at: Position) -> f64 {
        if at.step >= at.steps {
            return 1.0;
        }
        let done = self.parts.iter().filter(|(step, _)| step.get() <= at.step);
        done.max_by_key(|(step, _)| *step).map_or(0.0, |(_, part)| *part)
    }
}

#[cfg(test)]
mod tests {
    use pruner_core::scheduler::check;

    use super::*;

    fn table(parts: &[(usize, f64)]) -> Table {
        let step = |step| NonZeroUsize::new(step).expect("steps are counted from 1");
        parts.iter().fold(Table::default(), |table, (at, part)| table.with_part(step(*at), *part))
    }

    #[test]
    fn a_part_holds_until_the_next_and_the_last_step_takes_the_rest() {
        let table = table(&[(1, 0.25), (3, 0.75)]);
        let ratios: Vec<f64> = (0..=5).map(|step| table.ratio(Position::new(step, 5, 0.5))).collect();
        assert_eq!(ratios, [0.0, 0.25, 0.25, 0.75, 0.75, 1.0]);
        assert_eq!(check(&table, 5, 0.5), Ok(()));
    }

    #[test]
    fn a_table_that_falls_or_leaves_the_unit_interval_is_refused_with_the_step() {
        let falls = table(&[(1, 0.5), (2, 0.25)]);
        let error = check(&falls, 5, 0.5).expect_err("what is cut stays cut").to_string();
        assert!(error.contains("falls from 0.5 to 0.25 at step 2 of 5"), "{error}");
        let error = check(&table(&[(2, 1.5)]), 5, 0.5).expect_err("it is no part").to_string();
        assert!(error.contains("gives 1.5 at step 2 of 5"), "{error}");
    }

    #[test]
    fn a_config_lists_steps_with_their_parts() {
        let config = serde_json::json!({ "parts": [[1, 0.3], [4, 0.8]] });
        let table = pruner_core::registry::scheduler_from("table", config).expect("it is read");
        assert!((table.ratio(Position::new(2, 9, 0.5)) - 0.3).abs() < 1e-15);
    }

    #[test]
    fn a_step_0_is_refused_with_the_reason() {
        let error =
            pruner_core::registry::scheduler_from("table", serde_json::json!({ "parts": [[1, 0.3], [0, 0.8]] }))
                .expect_err("steps are counted from 1");
        assert_eq!(error.to_string(), "scheduler `table`: `parts` has a step 0; count the steps from 1");
    }

    #[test]
    fn a_step_that_is_named_twice_is_refused() {
        let config = serde_json::json!({ "parts": [[1, 0.9], [1, 0.5]] });
        let error = pruner_core::registry::scheduler_from("table", config).expect_err("one of them would be lost");
        assert_eq!(error.to_string(), "scheduler `table`: `parts` names step 1 twice; leave one of them out");
    }
}
