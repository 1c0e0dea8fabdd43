//! Dimensions that several groups make together, as heads and the dimensions of heads do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::deps::{Group, Layout, Member, Role};
use crate::ids::{GroupId, ValueId};

/// The groups of every dimension whose size is a product of those of several.
#[derive(Debug)]
pub(super) struct Products(BTreeMap<(ValueId, usize), Vec<Factor>>);

/// A group in a dimension of that kind.
#[derive(Debug)]
struct Factor {
    group: GroupId,
    initial_size: usize,
    size: usize,
    /// What the size of the dimension is to stay a multiple of where the group is cut.
    round_to: usize,
    layout: Layout,
    /// From the outermost on: heads, and then those of which a coordinate has more positions that follow each other.
    order: (bool, Reverse<usize>, GroupId),
}

impl Products {
    /// Of groups, each with what dimensions are to stay multiples of where it is cut.
    pub(super) fn new<'g>(groups: impl IntoIterator<Item = (&'g dyn Group, usize)>) -> Self {
        let mut dims: BTreeMap<_, Vec<Factor>> = BTreeMap::new();
        for (group, round_to) in groups {
            for member in group.members() {
                let order = (group.role() != Role::Heads, Reverse(member.layout.run()), group.id());
                let (initial_size, size, layout) = (group.initial_size(), group.size(), member.layout.clone());
                let factor = Factor { group: group.id(), initial_size, size, round_to, layout, order };
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

    /// For a member of a group that is cut to multiples of `round_to` and has so many positions for each coordinate: what its dimension is to stay a
    /// multiple of, whichever of the groups that make it are cut; and how many positions there would be with one coordinate left of each group
    /// outside of this one, as of the heads for the dimensions of heads, and with all of each group inside. Neither changes in a run.
    pub(super) fn of(&self, group: GroupId, member: &Member, round_to: usize, positions: usize) -> (usize, usize) {
        let factors = self.0.get(&(member.value, member.dim)).map_or(&[][..], Vec::as_slice);
        let (Some(own), Some((first, _))) =
            (factors.iter().find(|factor| factor.group == group), member.layout.places().next())
        else {
            return (round_to, positions);
        };
        let others = || factors.iter().filter(|factor| factor.group != group && factor.layout.has(first));
        let multiple = others().fold(round_to, |multiple, factor| lcm(multiple, factor.round_to));
        let now: usize = others().map(|factor| factor.size).product();
        let inside = others().filter(|factor| factor.order > own.order);
        let initial: usize = inside.map(|factor| factor.initial_size).product();
        (multiple, if positions.is_multiple_of(now) { positions / now * initial } else { 1 })
    }
}

pub(super) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Of numbers above 0; the largest number there is where it is larger.
pub(super) fn lcm(a: usize, b: usize) -> usize {
    (a / gcd(a, b)).saturating_mul(b)
}
