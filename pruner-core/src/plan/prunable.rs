//! The groups that may be cut.

use super::held::Held;
use super::{Limits, LimitsError};
use crate::deps::Group;

/// The groups that are neither pinned nor ignored by the limits.
pub fn prunable<'g>(groups: &[&'g dyn Group], limits: &Limits) -> Result<Vec<&'g dyn Group>, LimitsError> {
    let held = Held::new(groups, limits)?;
    Ok(groups.iter().copied().filter(|group| held.lets_cut(*group)).collect())
}
