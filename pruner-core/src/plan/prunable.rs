//! The groups that may be cut.

use super::names::named;
use super::{Limits, LimitsError};
use crate::deps::Group;

/// The groups that are neither pinned nor ignored by the limits.
pub fn prunable<'g>(groups: &[&'g dyn Group], limits: &Limits) -> Result<Vec<&'g dyn Group>, LimitsError> {
    let ignored = named(groups, "ignore", &limits.ignore)?;
    let free = |group: &&dyn Group| group.pin().is_none() && !ignored.contains_key(&group.id());
    Ok(groups.iter().copied().filter(free).collect())
}
