//! Groups from axis variables: the places where each variable occurs in stored tensors.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use fnv::FnvBuildHasher;

use crate::deps::Analysis;
use crate::deps::axes::Cause;
use crate::deps::expr::Expr;
use crate::deps::group::{Group, Member, Pin, Role, Side};
use crate::deps::kept::Kept;
use crate::deps::layout::Layout;
use crate::deps::operands::Operands;
use crate::deps::roles::roles;
use crate::deps::sides::Readers;
use crate::graph::Origin;
use crate::ids::{AxisId, GroupId, NodeId, ValueId};
use crate::ops::slots;

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

/// What is found of a variable before it is known to be a group.
struct Found {
    axis: AxisId,
    /// The dimensions of stored tensors in which it occurs.
    places: usize,
    /// Whether one of them is of a parameter.
    trained: bool,
    /// The node where it was first met.
    reader: NodeId,
    /// The node that first reads a dimension in which one position can belong to several coordinates.
    repeated: Option<NodeId>,
}

/// The groups of an analysis whose expressions are final.
pub(super) fn collect(analysis: &Analysis, operands: &Operands) -> Vec<AxisGroup> {
    let readers = Readers::new(analysis, operands);
    let graph = analysis.graph();
    let stored: Vec<ValueId> =
        readers.order.iter().copied().filter(|&value| graph.value(value).origin.is_stored()).collect();
    let found = found(&readers, &stored);
    let roles = roles(graph, operands, &analysis.nodes, &analysis.axes);
    let mut group_of = vec![None; analysis.axes.len()];
    let mut groups: Vec<AxisGroup> = Vec::with_capacity(found.len());
    for Found { axis, places, repeated, .. } in found {
        let info = &analysis.axes[axis.index()];
        let cause = info.pin.or(repeated.map(Cause::NoRefinement));
        // One coordinate is never cut, so that what a refinement did to it is no reason.
        let cause = cause.filter(|cause| info.size > 1 || !matches!(cause, Cause::NoRefinement(_)));
        group_of[axis.index()] = Some(groups.len());
        groups.push(AxisGroup {
            id: GroupId::new(groups.len()),
            name: String::new(),
            axis,
            initial_size: info.size,
            coordinates: (0..info.size as u32).collect(),
            members: Vec::with_capacity(places),
            pin: cause.map(|cause| analysis.pin(cause)),
            inexact: info.inexact,
            role: roles[axis.index()],
        });
    }
    let mut words = Words::default();
    for value in stored {
        let place = Place::new(&readers, value, &mut words);
        for (dim, e) in analysis.dims(value).iter().enumerate() {
            let mut add = |axis: AxisId, layout| {
                if let Some(group) = group_of[axis.index()] {
                    groups[group].members.push(place.member(dim, readers.side(value, dim, axis), layout));
                }
            };
            match e {
                Expr::Axis(axis) => add(*axis, Layout::Identity(analysis.axis_size(*axis))),
                e => Kept::all().layouts(analysis, e).into_iter().for_each(|(axis, layout)| add(axis, layout)),
            }
        }
    }
    for group in &mut groups {
        group.name = place_name(named_for(&group.members));
    }
    tell_apart(analysis, &mut groups);
    groups
}

/// The variables that are groups, in the order in which stored tensors with them are read.
fn found(readers: &Readers<'_>, stored: &[ValueId]) -> Vec<Found> {
    let analysis = readers.analysis;
    let mut found: Vec<Found> = Vec::new();
    let mut place_of = vec![None; analysis.axes.len()];
    let mut axes = Vec::new();
    for &value in stored {
        let (reader, _) = readers.of(value).expect("only what is read has places");
        let trained = analysis.graph().value(value).origin == Origin::Parameter;
        for e in analysis.dims(value) {
            e.each_axis(&mut |axis| axes.push(axis));
            axes.sort_unstable();
            let all = axes.len();
            axes.dedup();
            let several = axes.len() < all;
            for axis in axes.drain(..) {
                let place = *place_of[axis.index()].get_or_insert(found.len());
                if place == found.len() {
                    found.push(Found { axis, places: 0, trained: false, reader, repeated: None });
                }
                let found = &mut found[place];
                found.places += 1;
                found.trained |= trained;
            }
            if several {
                each_repeated(e, &mut |axis| {
                    let place = place_of[axis.index()].expect("it occurs in the dimension");
                    found[place].repeated.get_or_insert(reader);
                });
            }
        }
    }
    // A kernel's or a vocabulary's axis is pinned where it is read and goes nowhere: it is no channel of anything.
    let internal = |found: &Found| match analysis.axes[found.axis.index()].pin {
        Some(Cause::Operation { node, .. }) => found.places == 1 && found.reader == node,
        _ => false,
    };
    found.retain(|found| found.trained && !internal(found));
    found
}

/// Gives groups that are named for the same dimension, such as heads and the size of a head, the number of their axis in
/// it. One that alone can be cut needs none.
fn tell_apart(analysis: &Analysis, groups: &mut [AxisGroup]) {
    let mut by_name: Vec<usize> = (0..groups.len()).collect();
    by_name.sort_by(|&a, &b| groups[a].name.cmp(&groups[b].name));
    let alike: Vec<&[usize]> = by_name.chunk_by(|&a, &b| groups[a].name == groups[b].name).collect();
    for alike in alike.into_iter().filter(|alike| alike.len() > 1) {
        let free = alike.iter().filter(|&&index| groups[index].pin.is_none()).count();
        for &index in alike {
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

    /// A cause with the names of what it speaks of.
    fn pin(&self, cause: Cause) -> Pin {
        let op = |node| self.graph().node(node).op.clone();
        match cause {
            Cause::GraphInput => Pin::GraphInput,
            Cause::GraphOutput => Pin::GraphOutput,
            Cause::Operation { node, factor } => {
                let axes = self.node_axes(node).expect("a node with factors has axes");
                Pin::Operation { node, op: op(node), factor: axes.known.form.rule.factors[factor].name.clone() }
            }
            Cause::NoRule(node) => self.nodes[node.index()].as_ref().expect_err("the node has no rule").clone(),
            Cause::NoRefinement(node) => Pin::NoRefinement { node, op: op(node) },
        }
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

/// Texts that are shared: those of operations and their arguments are few.
#[derive(Default)]
struct Words<'a>(HashMap<&'a str, Arc<str>, FnvBuildHasher>);

impl<'a> Words<'a> {
    fn shared(&mut self, word: &'a str) -> Arc<str> {
        self.0.entry(word).or_insert_with(|| word.into()).clone()
    }
}

/// A stored tensor and where it is read first.
struct Place {
    value: ValueId,
    name: Arc<str>,
    trained: bool,
    reader: (NodeId, Arc<str>, Arc<str>),
}

impl Place {
    fn new<'a>(readers: &Readers<'a>, value: ValueId, words: &mut Words<'a>) -> Self {
        let graph = readers.analysis.graph();
        let (node, slot) = readers.of(value).expect("only what is read has places");
        let reader = graph.node(node);
        let argument = slots(reader).nth(slot).expect("a value is read in a slot").argument;
        let stored = graph.value(value);
        Self {
            value,
            name: stored.name.as_str().into(),
            trained: stored.origin == Origin::Parameter,
            reader: (node, words.shared(&reader.op), words.shared(argument)),
        }
    }

    fn member(&self, dim: usize, side: Side, layout: Layout) -> Member {
        Member {
            value: self.value,
            name: self.name.clone(),
            trained: self.trained,
            dim,
            side,
            reader: self.reader.clone(),
            layout,
        }
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
