//! `staircase`: a scheduler of our own. Between two cuts the network has time to recover.

use std::num::NonZeroUsize;

use pruner::register_scheduler;
use pruner::scheduler::{Position, Scheduler};
use serde::{Deserialize, Serialize};

register_scheduler!("staircase", "a few equal stairs with level ground between them");

/// The part of the target reached rises in `stairs` equal stairs, the last at the end of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staircase {
    /// How many.
    pub stairs: NonZeroUsize,
}

#[typetag::serde(name = "staircase")]
impl Scheduler for Staircase {
    fn ratio(&self, at: Position) -> f64 {
        let stairs = self.stairs.get() as f64;
        (at.progress() * stairs).floor() / stairs
    }
}
