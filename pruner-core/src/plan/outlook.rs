//! Whether a run can still cut anything, from sizes and limits alone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ignore::ignored;
use super::space::{Space, is_above, pool_sizes, remaining};
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
    limits.validate()?;
    let ignored = ignored(groups, &limits.ignore)?;
    let spaces: Vec<Space> = groups
        .iter()
        .filter(|group| group.pin().is_none() && !ignored.contains_key(&group.id()))
        .map(|group| Space::new(*group, limits))
        .collect();
    Ok(stop_of(&spaces, limits))
}

pub(super) fn stop_of(spaces: &[Space], limits: &Limits) -> Option<StopReason> {
    let ratio = limits.target_ratio;
    let initial: usize = spaces.iter().map(|space| space.initial).sum();
    let size: usize = spaces.iter().map(|space| space.size).sum();
    if spaces.is_empty() {
        return Some(StopReason::NothingPrunable);
    }
    // The groups that must still give something, and how much each may be asked for at most.
    let pools = pool_sizes(spaces.iter());
    let above = |space: &Space| {
        let (initial, size) = pools[&space.pool];
        size.saturating_sub(remaining(initial, ratio))
    };
    let asked = spaces.iter().map(|space| (space, above(space))).filter(|(_, asked)| *asked > 0);
    let asked: Vec<(&Space, usize)> = asked.collect();
    if asked.iter().any(|(space, asked)| space.largest_cut(*asked) > 0) {
        None
    } else if asked.iter().any(|(space, _)| space.cuts().next().is_some()) {
        Some(StopReason::Rounding)
    } else if !asked.is_empty() {
        Some(StopReason::Limits)
    } else if size < initial || !is_above(size, initial, ratio) {
        Some(StopReason::TargetReached)
    } else if spaces.iter().any(|space| space.cuts().next().is_some()) {
        // Less than one coordinate is asked for.
        Some(StopReason::Rounding)
    } else {
        Some(StopReason::Limits)
    }
}
