//! Limits as they hold for each group, and the groups that lose a share together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::named;
use super::products::Products;
use super::space::{Space, is_above, remaining};
use super::{Limits, LimitsError, Scope};
use crate::deps::{Group, Member, Side};
use crate::ids::GroupId;

/// Limits as they hold for each of some groups.
#[derive(Debug)]
pub(super) struct Held<'l> {
    limits: &'l Limits,
    /// The limits that each override makes of those of the run.
    overrides: Vec<Limits>,
    /// The groups that are ignored, each with the name that does.
    ignored: BTreeMap<GroupId, String>,
    /// The override that holds for a group.
    overridden: BTreeMap<GroupId, usize>,
    /// The dimensions that several groups make together which may be cut; `None` where no size is rounded.
    products: Option<Products>,
}

impl<'l> Held<'l> {
    /// Checks the limits, and finds what they name.
    pub(super) fn new(groups: &[&dyn Group], limits: &'l Limits) -> Result<Self, LimitsError> {
        limits.validate()?;
        let ignored = named(groups, "ignore", &limits.ignore)?;
        let mut overridden = BTreeMap::new();
        for (index, of) in limits.overrides.iter().enumerate() {
            for group in named(groups, "groups", &of.groups).map_err(|error| error.of_override(index))?.into_keys() {
                overridden.entry(group).or_insert(index);
            }
        }
        let overrides = limits.overrides.iter().map(|of| of.over(limits)).collect();
        let mut held = Self { limits, overrides, ignored, overridden, products: None };
        if held.overrides.iter().chain([limits]).any(|limits| limits.round_to > 1) {
            let cut = groups.iter().copied().filter(|group| held.lets_cut(*group));
            held.products = Some(Products::new(cut.map(|group| (group, held.of(group.id()).round_to))));
        }
        Ok(held)
    }

    /// The name by which a group is ignored.
    pub(super) fn ignored(&self, group: GroupId) -> Option<&String> {
        self.ignored.get(&group)
    }

    /// Whether a group is neither pinned nor ignored.
    pub(super) fn lets_cut(&self, group: &dyn Group) -> bool {
        group.pin().is_none() && self.ignored(group.id()).is_none()
    }

    /// The limits of a group.
    pub(super) fn of(&self, group: GroupId) -> &Limits {
        self.overridden.get(&group).map_or(self.limits, |&index| &self.overrides[index])
    }

    /// Whether a group has a ratio of its own.
    pub(super) fn own_ratio(&self, group: GroupId) -> bool {
        self.overridden.get(&group).is_some_and(|&index| self.limits.overrides[index].target_ratio.is_some())
    }

    /// The dimensions that several groups make together; `None` where no size is rounded.
    pub(super) fn products(&self) -> Option<&Products> {
        self.products.as_ref()
    }

    /// With which others a group is cut.
    pub(super) fn pool(&self, group: &dyn Group) -> Pool {
        let own = self.overridden.get(&group.id()).copied();
        let of_override = own.filter(|&index| self.limits.overrides[index].own_scope().is_some());
        Pool { of_override, kind: Kind::of(group, self.of(group.id()).scope) }
    }
}

impl Pool {
    /// Whether an override makes it, apart from the scope of the run.
    pub(super) fn is_of_override(&self) -> bool {
        self.of_override.is_some()
    }
}

/// The groups that lose a share of their coordinates together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pool {
    /// The override whose scope it is in; `None` in that of the run.
    of_override: Option<usize>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// One alone.
    One(GroupId),
    /// All of the scope.
    All,
    /// Those whose members are read alike: by which operation as which argument, in which dimension, on which side.
    Alike(Vec<(Arc<str>, Arc<str>, usize, Side)>),
}

impl Kind {
    fn of(group: &dyn Group, scope: Scope) -> Self {
        match scope {
            Scope::Local => Self::One(group.id()),
            Scope::Global => Self::All,
            Scope::Isomorphic => {
                let read = |member: &Member| {
                    let (_, op, argument) = &member.reader;
                    (op.clone(), argument.clone(), member.dim, member.side)
                };
                let mut members: Vec<_> = group.members().iter().map(read).collect();
                members.sort();
                Self::Alike(members)
            }
        }
    }
}

/// The coordinates of a pool, and the share of them that is to go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    /// Before the first cut.
    pub(super) initial: usize,
    /// Now.
    pub(super) size: usize,
    /// The share to be gone at the end of the run.
    pub(super) ratio: f64,
}

impl Total {
    /// Of the groups of one pool.
    pub(super) fn of<'s>(pool: impl IntoIterator<Item = &'s Space>) -> Self {
        pool.into_iter().fold(Self::default(), Self::with)
    }

    fn with(self, space: &Space) -> Self {
        // The groups of a pool have the same ratio.
        Self { initial: self.initial + space.initial, size: self.size + space.size, ratio: space.ratio }
    }

    /// What is left once the part `progress` of the share is gone.
    pub(super) fn remaining(self, progress: f64) -> usize {
        remaining(self.initial, self.ratio * progress)
    }

    /// How many coordinates more are there than that.
    pub(super) fn above(self, progress: f64) -> usize {
        self.size.saturating_sub(self.remaining(progress))
    }

    /// Whether there are more, be it by less than a coordinate.
    pub(super) fn is_above(self, progress: f64) -> bool {
        is_above(self.size, self.initial, self.ratio * progress)
    }
}

/// The totals of all pools.
pub(super) fn totals<'s>(spaces: impl IntoIterator<Item = &'s Space>) -> BTreeMap<&'s Pool, Total> {
    let mut totals: BTreeMap<&Pool, Total> = BTreeMap::new();
    for space in spaces {
        let total = totals.entry(&space.pool).or_default();
        *total = total.with(space);
    }
    totals
}
