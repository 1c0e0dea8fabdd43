//! Groups from axis variables: the places where each variable occurs in stored tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::deps::Analysis;
use crate::deps::expr::Expr;
use crate::deps::group::{Group, Member, Pin, Role, Side};
use crate::deps::kept::Kept;
use crate::deps::layout::Layout;
use crate::deps::roles::roles;
use crate::deps::sides::Readers;
use crate::graph::Origin;
use crate::ids::{AxisId, GroupId, NodeId, ValueId};

/// A group that the analysis found.
#[derive(Clone, Debug)]
pub struct AxisGroup {
    id: GroupId,
    name: String,
    axis: AxisId,
    initial_size: usize,
    coordinates: Vec<u32>,
    members: Vec<Member>,
    pin: Option<Pin>,
    inexact: Option<NodeId>,
    role: Role,
}

impl AxisGroup {
    pub(crate) fn axis(&self) -> AxisId {
        self.axis
    }

    pub(super) fn all_coordinates(&self) -> Vec<u32> {
        (0..self.initial_size as u32).collect()
    }
}

impl Group for AxisGroup {
    fn id(&self) -> GroupId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn initial_size(&self) -> usize {
        self.initial_size
    }

    fn coordinates(&self) -> &[u32] {
        &self.coordinates
    }

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    fn inexact(&self) -> Option<NodeId> {
        self.inexact
    }

    fn role(&self) -> Role {
        self.role
    }
}

/// The dimensions of stored tensors in which a variable occurs.
type Places = Vec<(ValueId, usize)>;

/// The groups of an analysis whose expressions are final.
pub(super) fn collect(analysis: &Analysis) -> Vec<AxisGroup> {
    let readers = Readers::new(analysis);
    let stored = analysis.graph().stored().map(|(value, _)| value);
    let mut order: Vec<_> = stored.filter_map(|value| Some((readers.of(value)?, value))).collect();
    order.sort_unstable();
    let mut found: Vec<AxisId> = Vec::new();
    let mut places: Vec<Places> = vec![Places::new(); analysis.axes.len()];
    let mut repeated = BTreeMap::new();
    let mut axes = Vec::new();
    for &((node, ..), value) in &order {
        for (dim, e) in analysis.dims(value).iter().enumerate() {
            e.each_axis(&mut |axis| axes.push(axis));
            axes.sort_unstable();
            axes.dedup();
            for axis in axes.drain(..) {
                let places = &mut places[axis.index()];
                if places.is_empty() {
                    found.push(axis);
                }
                places.push((value, dim));
            }
            each_repeated(e, &mut |axis| {
                repeated.entry(axis).or_insert(node);
            });
        }
    }
    let graph = analysis.graph();
    let trained = |places: &Places| places.iter().any(|&(value, _)| graph.value(value).origin == Origin::Parameter);
    // A kernel's or a vocabulary's axis is pinned where it is read and goes nowhere: it is no channel of anything.
    let internal = |pin: Option<&Pin>, places: &Places| match (pin, places.as_slice()) {
        (Some(Pin::Operation { node, .. }), [(value, _)]) => {
            readers.of(*value).is_some_and(|(reader, ..)| reader == *node)
        }
        _ => false,
    };
    found.retain(|axis| {
        let places = &places[axis.index()];
        trained(places) && !internal(analysis.axes[axis.index()].pin.as_ref(), places)
    });
    let roles = roles(graph, &analysis.nodes, &analysis.axes);
    let group = |(index, &axis): (usize, &AxisId)| {
        let places = &places[axis.index()];
        let info = &analysis.axes[axis.index()];
        // Each member is laid out once all groups are there.
        let layout = Layout::Identity(info.size);
        let members: Vec<_> =
            places.iter().map(|&(value, dim)| member(&readers, value, dim, axis, layout.clone())).collect();
        let repeated = repeated.get(&axis).map(|&node| Pin::NoRefinement { node, op: graph.node(node).op.clone() });
        AxisGroup {
            id: GroupId::new(index),
            name: place_name(named_for(&members)),
            axis,
            initial_size: info.size,
            coordinates: (0..info.size as u32).collect(),
            members,
            // One coordinate is never cut, so that what a refinement did to it is no reason.
            pin: info.pin.clone().or(repeated).filter(|pin| info.size > 1 || !matches!(pin, Pin::NoRefinement { .. })),
            inexact: info.inexact,
            role: roles[axis.index()],
        }
    };
    let mut groups: Vec<_> = found.iter().enumerate().map(group).collect();
    tell_apart(analysis, &mut groups);
    lay_out(analysis, &Kept::all(), &mut groups);
    groups
}

/// Gives groups that are named for the same dimension, such as heads and the size of a head, the number of their axis in
/// it. One that alone can be cut needs none.
fn tell_apart(analysis: &Analysis, groups: &mut [AxisGroup]) {
    let mut alike: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        alike.entry(group.name.clone()).or_default().push(index);
    }
    for alike in alike.values() {
        let free = alike.iter().filter(|&&index| groups[index].pin.is_none()).count();
        for &index in alike.iter().filter(|_| alike.len() > 1) {
            let group = &mut groups[index];
            if free == 1 && group.pin.is_none() {
                continue;
            }
            let Member { value, dim, .. } = named_for(&group.members);
            let mut axes = Vec::new();
            analysis.dims(*value)[*dim].each_axis(&mut |axis| {
                if !axes.contains(&axis) {
                    axes.push(axis);
                }
            });
            let number = axes.iter().position(|&axis| axis == group.axis).expect("a member is where its axis occurs");
            write!(group.name, "/{number}").expect("a string takes all that is written");
        }
    }
}

impl Analysis {
    /// The groups as they are with the coordinates that are left.
    pub fn groups_left(&self, kept: &Kept) -> Vec<AxisGroup> {
        let mut groups = self.groups().to_vec();
        self.cut_groups(&mut groups, kept);
        groups
    }

    /// Makes what [`groups_left`](Self::groups_left) gives of groups that had the same coordinates or more.
    pub(crate) fn cut_groups(&self, groups: &mut [AxisGroup], kept: &Kept) {
        for group in groups.iter_mut() {
            if let Some(left) = kept.of(group.axis) {
                group.coordinates = left.to_vec();
            }
        }
        lay_out(self, kept, groups);
    }
}

/// Gives every member the layout that it has with the coordinates that are left.
fn lay_out(analysis: &Analysis, kept: &Kept, groups: &mut [AxisGroup]) {
    // A dimension is gone through once for all groups that it holds.
    let mut shared = BTreeMap::new();
    for group in groups {
        for member in &mut group.members {
            let (value, dim) = (member.value, member.dim);
            member.layout = match &analysis.dims(value)[dim] {
                Expr::Axis(_) => Layout::Identity(group.coordinates.len()),
                e => {
                    let layouts = shared.entry((value, dim)).or_insert_with(|| kept.layouts(analysis, e));
                    let at = layouts.binary_search_by_key(&group.axis, |(axis, _)| *axis);
                    layouts[at.expect("a group occurs in its members")].1.clone()
                }
            };
        }
    }
}

fn member(readers: &Readers<'_>, value: ValueId, dim: usize, axis: AxisId, layout: Layout) -> Member {
    let graph = readers.analysis.graph();
    let (node, _, argument) = readers.of(value).expect("only what is read has places");
    let stored = graph.value(value);
    Member {
        value,
        name: stored.name.clone(),
        trained: stored.origin == Origin::Parameter,
        dim,
        side: readers.side(value, dim, axis),
        reader: (node, graph.node(node).op.clone(), argument.to_owned()),
        layout,
    }
}

/// The place that a group is named for: where its coordinates are made, if that is in it.
fn named_for(members: &[Member]) -> &Member {
    let first = |side| members.iter().find(|member| member.trained && member.side == side);
    first(Side::Output)
        .or_else(|| first(Side::PerCoordinate))
        .or_else(|| members.iter().find(|member| member.trained))
        .expect("a group has a parameter")
}

fn place_name(member: &Member) -> String {
    format!("{}:{}", member.name, member.dim)
}

/// Calls `visit` with the variables of which one position of the dimension can belong to several coordinates.
fn each_repeated(e: &Expr, visit: &mut impl FnMut(AxisId)) {
    let (Expr::Sum(elements) | Expr::Product(elements)) = e else { return };
    elements.iter().for_each(|e| each_repeated(e, visit));
    if matches!(e, Expr::Product(_)) {
        let mut seen = BTreeSet::new();
        for element in elements.iter() {
            let mut axes = BTreeSet::new();
            element.each_axis(&mut |axis| _ = axes.insert(axis));
            axes.intersection(&seen).for_each(|&axis| visit(axis));
            seen.append(&mut axes);
        }
    }
}
