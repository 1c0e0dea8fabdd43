//! The state of a run, to go on from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::GroupId;
use crate::plan::Standing;

/// Where a run is.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    pub(super) settings: Value,
    pub(super) step: usize,
    /// The coordinates that are left of each group that was cut.
    pub(super) left: BTreeMap<GroupId, Vec<u32>>,
    pub(super) standings: Vec<Standing>,
}

/// Where two settings differ first, and how.
pub(crate) fn difference(own: &Value, other: &Value, place: &str) -> Option<String> {
    match (own, other) {
        (Value::Object(own), Value::Object(other)) => {
            let keys: BTreeSet<_> = own.keys().chain(other.keys()).collect();
            let at = |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().find_map(|key| difference(&at(own, key), &at(other, key), &format!("{place}.{key}")))
        }
        _ if own == other => None,
        _ => Some(format!("{place} is {own} here and was {other} then")),
    }
}
