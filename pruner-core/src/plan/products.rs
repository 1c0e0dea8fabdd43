//! Dimensions that several groups make together, as heads and the dimensions of heads do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::deps::{Group, Layout, Member, Role};
use crate::ids::{GroupId, ValueId};

/// The groups of every dimension whose size is a product of those of several.
#[derive(Debug, Default)]
pub(super) struct Products(BTreeMap<(ValueId, usize), Vec<Factor>>);

/// A group in a dimension of that kind.
#[derive(Debug)]
struct Factor {
    group: GroupId,
    size: usize,
    layout: Layout,
    /// From the outermost on: heads, and then those of which a coordinate has more positions that follow each other.
    order: (bool, Reverse<usize>, GroupId),
}

impl Products {
    pub(super) fn new<'g>(groups: impl IntoIterator<Item = &'g dyn Group>) -> Self {
        let mut dims: BTreeMap<_, Vec<Factor>> = BTreeMap::new();
        for group in groups {
            for member in group.members() {
                let order = (group.role() != Role::Heads, Reverse(member.layout.run()), group.id());
                let factor = Factor { group: group.id(), size: group.size(), layout: member.layout.clone(), order };
                dims.entry((member.value, member.dim)).or_default().push(factor);
            }
        }
        // Groups that lie side by side, as those of a concatenation do, have no more positions than the dimension.
        let places = |factor: &Factor| factor.layout.places().count();
        dims.retain(|_, factors| {
            factors.len() > 1 && factors.iter().map(places).sum::<usize>() > factors[0].layout.len()
        });
        Self(dims)
    }

    /// How many positions of a member of the group there are for each that it would have with one coordinate left of all groups outside of it:
    /// the number of heads, for the dimensions of heads.
    pub(super) fn outside(&self, group: GroupId, member: &Member) -> usize {
        let factors = self.0.get(&(member.value, member.dim)).map_or(&[][..], Vec::as_slice);
        let (Some(own), Some((first, _))) =
            (factors.iter().find(|factor| factor.group == group), member.layout.places().next())
        else {
            return 1;
        };
        let outside = |factor: &&Factor| factor.order < own.order && factor.layout.has(first);
        factors.iter().filter(outside).map(|factor| factor.size).product()
    }
}
