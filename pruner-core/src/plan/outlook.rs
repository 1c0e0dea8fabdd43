//! Whether a run can still cut anything, from sizes and limits alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::held::{Held, totals};
use super::space::Space;
use super::{Limits, LimitsError};
use crate::deps::Group;

/// Why no later step can cut anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// The target of the run is reached, as near as whole coordinates allow.
    TargetReached,
    /// What is left of the target is less than can be cut at once.
    Rounding,
    /// Every group is as small as the limits allow.
    Limits,
    /// No group may be cut: all are pinned or ignored, or there are none.
    NothingPrunable,
    /// The last step is done.
    StepsDone,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TargetReached => "the target is reached",
            Self::Rounding => "what is left of the target is less than can be cut at once",
            Self::Limits => "every group is as small as the limits allow",
            Self::NothingPrunable => "no group may be cut",
            Self::StepsDone => "the last step is done",
        })
    }
}

/// Whether any later step, up to the whole target, could cut anything.
///
/// It is answered from sizes and limits, never from a step that cut nothing; every group that may be cut is taken to get
/// finite scores.
pub fn can_prune_further(groups: &[&dyn Group], limits: &Limits) -> Result<bool, LimitsError> {
    Ok(stop_reason(groups, limits)?.is_none())
}

/// Why no later step can cut anything; `None` if one could.
pub fn stop_reason(groups: &[&dyn Group], limits: &Limits) -> Result<Option<StopReason>, LimitsError> {
    let held = Held::new(groups, limits)?;
    let free = groups.iter().filter(|group| held.lets_cut(**group));
    let spaces: Vec<Space> = free.map(|group| Space::new(*group, &held)).collect();
    Ok(stop_of(&spaces))
}

pub(super) fn stop_of(spaces: &[Space]) -> Option<StopReason> {
    if spaces.is_empty() {
        return Some(StopReason::NothingPrunable);
    }
    let totals = totals(spaces);
    let can_cut = |space: &Space| space.cuts().next().is_some();
    // The groups that must still give something, and how much each may be asked for at most.
    let asked = spaces.iter().map(|space| (space, totals[&space.pool].above(1.0))).filter(|(_, asked)| *asked > 0);
    let asked: Vec<(&Space, usize)> = asked.collect();
    if asked.iter().any(|(space, asked)| space.largest_cut(*asked) > 0) {
        return None;
    }
    if !asked.is_empty() {
        let rounding = asked.iter().any(|(space, _)| can_cut(space));
        return Some(if rounding { StopReason::Rounding } else { StopReason::Limits });
    }
    // Of what is above its target less than one coordinate is asked for.
    let mut above = spaces.iter().filter(|space| totals[&space.pool].is_above(1.0)).peekable();
    let untouched = spaces.iter().all(|space| space.size == space.initial);
    Some(if above.peek().is_none() || !untouched {
        StopReason::TargetReached
    } else if above.any(can_cut) {
        StopReason::Rounding
    } else {
        StopReason::Limits
    })
}
