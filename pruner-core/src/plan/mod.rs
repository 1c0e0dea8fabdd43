//! Plans: which coordinates of which groups go, decided and not yet done.
//!
//! [`select`] makes a [`Plan`] from scores under [`Limits`], [`Prunable::meet`] one that meets a [`Budget`]; both say for every
//! group what became of it. A plan touches no tensor: it can be printed, edited, saved and checked against groups before it is applied.

mod budget;
mod exchange;
mod held;
mod limits;
mod meet;
mod names;
mod outlook;
mod overrides;
mod products;
mod prunable;
mod rank;
mod select;
mod space;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::Hasher;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

pub use budget::{Budget, BudgetError, Measure, Shortfall, Standing};
pub use limits::{Limits, LimitsError, Scope};
pub use meet::Prunable;
pub use outlook::{StopReason, can_prune_further, stop_reason};
pub use overrides::Override;
pub use prunable::prunable;
pub use select::{Channels, SelectError, Selection, select};
pub use verdict::{GroupVerdict, Reason, ScoreSummary, Verdict};

use crate::deps::{Analysis, AxisGroup, Group, Kept, Pin};
use crate::ids::GroupId;

/// Which coordinates of which groups go.
///
/// Coordinates are named by their number before the first cut, as in [`Group::coordinates`]. Those of a group are ascending
/// and unique, and a group of which none goes is not in the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PlanData", into = "PlanData")]
pub struct Plan {
    cuts: BTreeMap<GroupId, Vec<u32>>,
}

/// What a plan is stored as; reading puts coordinates in order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanData {
    #[serde(deserialize_with = "each_once")]
    cuts: BTreeMap<GroupId, Vec<u32>>,
}

/// A map of which no key is given twice, so that none of its values is lost.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<GroupId, Vec<u32>>, D::Error> {
    struct Cuts;

    impl<'de> Visitor<'de> for Cuts {
        type Value = BTreeMap<GroupId, Vec<u32>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the coordinates that go of each group")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut cuts = BTreeMap::new();
            while let Some((group, coordinates)) = entries.next_entry()? {
                if cuts.insert(group, coordinates).is_some() {
                    return Err(A::Error::custom(format_args!("{group} is given twice; leave one of them out")));
                }
            }
            Ok(cuts)
        }
    }

    deserializer.deserialize_map(Cuts)
}

impl From<PlanData> for Plan {
    fn from(data: PlanData) -> Self {
        data.cuts.into_iter().collect()
    }
}

impl From<Plan> for PlanData {
    fn from(plan: Plan) -> Self {
        Self { cuts: plan.cuts }
    }
}

impl<C: IntoIterator<Item = u32>> FromIterator<(GroupId, C)> for Plan {
    fn from_iter<I: IntoIterator<Item = (GroupId, C)>>(cuts: I) -> Self {
        let mut plan = Self::new();
        for (group, coordinates) in cuts {
            plan.insert(group, coordinates);
        }
        plan
    }
}

impl Plan {
    /// The plan to cut nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plan of everything that was cut of a network where `kept` is left.
    pub fn of_cut(analysis: &Analysis, kept: &Kept) -> Self {
        let cut = |group: &AxisGroup| {
            let left = group.coordinates();
            let all = 0..group.initial_size() as u32;
            (group.id(), all.filter(|coordinate| left.binary_search(coordinate).is_err()).collect::<Vec<_>>())
        };
        analysis.groups_left(kept).iter().map(cut).collect()
    }

    /// The coordinates that are left of `kept` once it is applied.
    pub fn applied_to(&self, analysis: &Analysis, kept: &Kept) -> Kept {
        let mut after = kept.clone();
        for (&group, coordinates) in &self.cuts {
            after.remove(analysis, group, coordinates);
        }
        after
    }

    /// Whether it cuts nothing.
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// What goes, by group.
    pub fn cuts(&self) -> &BTreeMap<GroupId, Vec<u32>> {
        &self.cuts
    }

    /// The coordinates of `group` that go, ascending.
    pub fn cut(&self, group: GroupId) -> &[u32] {
        self.cuts.get(&group).map_or(&[], Vec::as_slice)
    }

    /// How many coordinates of all groups go.
    pub fn coordinates_cut(&self) -> usize {
        self.cuts.values().map(Vec::len).sum()
    }

    /// Adds coordinates of `group` to what goes.
    pub fn insert(&mut self, group: GroupId, coordinates: impl IntoIterator<Item = u32>) {
        let cut = self.cuts.entry(group).or_default();
        cut.extend(coordinates);
        cut.sort_unstable();
        cut.dedup();
        self.forget_if_empty(group);
    }

    /// Takes coordinates of `group` from what goes; those that do not go anyway are passed over.
    pub fn keep(&mut self, group: GroupId, coordinates: impl IntoIterator<Item = u32>) {
        if let Some(cut) = self.cuts.get_mut(&group) {
            let kept: BTreeSet<u32> = coordinates.into_iter().collect();
            cut.retain(|coordinate| !kept.contains(coordinate));
            self.forget_if_empty(group);
        }
    }

    /// Leaves `group` as it is, and returns what would have gone.
    pub fn remove(&mut self, group: GroupId) -> Vec<u32> {
        self.cuts.remove(&group).unwrap_or_default()
    }

    /// A number that is the same for equal plans on every machine and in every version: 64-bit FNV-1a over the ids, counts
    /// and coordinates as little-endian 32-bit words. It tells plans apart; it does not withstand forgery.
    pub fn hash(&self) -> u64 {
        let mut hasher = fnv::FnvHasher::default();
        for (group, coordinates) in &self.cuts {
            for word in [group.index() as u32, coordinates.len() as u32].iter().chain(coordinates) {
                hasher.write(&word.to_le_bytes());
            }
        }
        hasher.finish()
    }

    /// Checks that it can be applied to `groups` as they are now.
    pub fn validate(&self, groups: &[&dyn Group]) -> Result<(), PlanError> {
        let groups = by_id(groups);
        for (&id, cut) in &self.cuts {
            let group = groups.get(&id).ok_or(PlanError::UnknownGroup { group: id })?;
            validate_cut(*group, cut)?;
        }
        Ok(())
    }

    fn forget_if_empty(&mut self, group: GroupId) {
        if self.cut(group).is_empty() {
            self.cuts.remove(&group);
        }
    }
}

fn by_id<'a>(groups: &[&'a dyn Group]) -> BTreeMap<GroupId, &'a dyn Group> {
    groups.iter().map(|group| (group.id(), *group)).collect()
}

fn validate_cut(group: &dyn Group, cut: &[u32]) -> Result<(), PlanError> {
    let (id, name) = (group.id(), || group.name().to_owned());
    if let Some(pin) = group.pin() {
        return Err(PlanError::PinnedGroup { group: id, name: name(), pin: pin.clone() });
    }
    let mut goes = vec![false; group.coordinates().len()];
    for &coordinate in cut {
        if coordinate as usize >= group.initial_size() {
            let initial_size = group.initial_size();
            return Err(PlanError::OutOfRange { group: id, name: name(), coordinate, initial_size });
        }
        match group.coordinates().binary_search(&coordinate) {
            Ok(place) => goes[place] = true,
            Err(_) => return Err(PlanError::AlreadyCut { group: id, name: name(), coordinate }),
        }
    }
    let all = goes.iter().all(|&goes| goes);
    let emptied = group.members().iter().find(|member| {
        all || member.layout.places().all(|(_, coordinate)| goes.get(coordinate as usize) == Some(&true))
    });
    match emptied {
        Some(member) => {
            Err(PlanError::Emptied { group: id, name: name(), member: format!("{}:{}", member.name, member.dim) })
        }
        None if all => Err(PlanError::Emptied { group: id, name: name(), member: name() }),
        None => Ok(()),
    }
}

/// Why a plan cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plan cuts a group that is not there.
    #[error("the plan cuts {group}, which the network does not have; was it made for another network?")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The plan cuts a group that may not be cut.
    #[error("the plan cuts {group} ({name}), which may not be cut: {pin}")]
    PinnedGroup {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// Why it may not be cut.
        pin: Pin,
    },
    /// The plan cuts a coordinate that the group never had.
    #[error("the plan cuts coordinate {coordinate} of {group} ({name}), which had {initial_size} before the first cut")]
    OutOfRange {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The coordinate.
        coordinate: u32,
        /// How many it had.
        initial_size: usize,
    },
    /// The plan cuts a coordinate that an earlier step has cut.
    #[error("the plan cuts coordinate {coordinate} of {group} ({name}), which is already cut")]
    AlreadyCut {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The coordinate.
        coordinate: u32,
    },
    /// The plan leaves nothing of the group in a member.
    #[error("the plan leaves nothing of {group} ({name}) in {member}; keep at least one coordinate there")]
    Emptied {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The parameter and dimension, such as `conv1.weight:0`.
        member: String,
    },
}

impl fmt::Display for Plan {
    /// A line per group, runs of coordinates as `4-7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing is cut");
        }
        write!(f, "{} coordinates of {} groups are cut", self.coordinates_cut(), self.cuts.len())?;
        for (group, cut) in &self.cuts {
            let count = cut.len();
            write!(f, "\n  {group}: {count} ({})", Runs(cut))?;
        }
        Ok(())
    }
}

/// Ascending numbers, runs of them as `4-7`.
struct Runs<'a>(&'a [u32]);

impl fmt::Display for Runs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            match run {
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                [only] => write!(f, "{separator}{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}
