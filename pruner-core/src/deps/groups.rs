//! Groups from axis variables: the places where each variable occurs in stored tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::deps::Analysis;
use crate::deps::expr::Expr;
use crate::deps::group::{Group, Layout, Member, Pin, Side};
use crate::deps::kept::Kept;
use crate::graph::Origin;
use crate::ids::{AxisId, GroupId, NodeId, ValueId};
use crate::ops::{NodeView, Term};

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
}

/// Where a stored tensor is read first: the node and which of its operands it is.
type Reader = (NodeId, usize);

/// The groups of an analysis whose expressions are final.
pub(super) fn collect(analysis: &mut Analysis) -> Vec<AxisGroup> {
    let readers = readers(analysis);
    let mut order: Vec<_> = readers.iter().map(|(&value, &reader)| (reader, value)).collect();
    order.sort_unstable();
    let mut found: Vec<AxisId> = Vec::new();
    let mut places: BTreeMap<AxisId, Vec<(ValueId, usize)>> = BTreeMap::new();
    let mut repeated = BTreeMap::new();
    for &((node, _), value) in &order {
        for (dim, e) in analysis.dims(value).iter().enumerate() {
            let mut axes = Vec::new();
            e.each_axis(&mut |axis| axes.push(axis));
            axes.sort_unstable();
            axes.dedup();
            for axis in axes {
                let places = places.entry(axis).or_insert_with(|| {
                    found.push(axis);
                    Vec::new()
                });
                places.push((value, dim));
                if is_repeated(e, axis) {
                    repeated.entry(axis).or_insert(node);
                }
            }
        }
    }
    for (axis, node) in repeated {
        let op = analysis.graph().node(node).op.clone();
        analysis.axes[axis.index()].pin.get_or_insert(Pin::NoRefinement { node, op });
    }
    let trained = |places: &[(ValueId, usize)]| {
        places.iter().any(|&(value, _)| analysis.graph().value(value).origin == Origin::Parameter)
    };
    // A kernel's or a vocabulary's axis is pinned where it is read and goes nowhere: it is no channel of anything.
    let internal = |axis: AxisId, places: &[(ValueId, usize)]| match (&analysis.axes[axis.index()].pin, places) {
        (Some(Pin::Operation { node, .. }), [(value, _)]) => readers[value].0 == *node,
        _ => false,
    };
    found.retain(|axis| trained(&places[axis]) && !internal(*axis, &places[axis]));
    found
        .iter()
        .enumerate()
        .map(|(index, &axis)| {
            let members: Vec<_> =
                places[&axis].iter().map(|&(value, dim)| member(analysis, readers[&value], value, dim, axis)).collect();
            let info = &analysis.axes[axis.index()];
            AxisGroup {
                id: GroupId::new(index),
                name: name(&members),
                axis,
                initial_size: info.size,
                coordinates: (0..info.size as u32).collect(),
                members,
                // One coordinate is never cut, so that what a refinement did to it is no reason.
                pin: info.pin.clone().filter(|pin| info.size > 1 || !matches!(pin, Pin::NoRefinement { .. })),
                inexact: info.inexact,
            }
        })
        .collect()
}

impl Analysis {
    /// The groups as they are with the coordinates that are left.
    pub fn groups_left(&self, kept: &Kept) -> Vec<AxisGroup> {
        let mut groups = self.groups().to_vec();
        for group in &mut groups {
            if let Some(left) = kept.of(group.axis) {
                group.coordinates = left.to_vec();
            }
            for member in &mut group.members {
                let e = &self.dims(member.value)[member.dim];
                if let Some(positions) = kept.positions(self, e) {
                    member.layout = restrict(&member.layout, &positions, &group.coordinates);
                }
            }
        }
        groups
    }
}

/// A layout at the positions that are left, in terms of the coordinates that are left.
fn restrict(layout: &Layout, positions: &[u32], left: &[u32]) -> Layout {
    match layout {
        Layout::Identity(_) => Layout::Identity(positions.len()),
        Layout::Table(table) => Layout::Table(
            positions
                .iter()
                .map(|&position| match table[position as usize] {
                    Layout::NONE => Layout::NONE,
                    coordinate => {
                        left.binary_search(&coordinate).expect("a position is left only where its coordinate is") as u32
                    }
                })
                .collect(),
        ),
    }
}

fn readers(analysis: &Analysis) -> BTreeMap<ValueId, Reader> {
    let mut readers = BTreeMap::new();
    let graph = analysis.graph();
    for (id, _) in graph.nodes() {
        for (index, slot) in NodeView::new(graph, id).slots().iter().enumerate() {
            if let Some(value) = slot.value.filter(|&value| graph.value(value).origin.is_stored()) {
                readers.entry(value).or_insert((id, index));
            }
        }
    }
    readers
}

fn member(analysis: &Analysis, (node, slot): Reader, value: ValueId, dim: usize, axis: AxisId) -> Member {
    let graph = analysis.graph();
    let argument = NodeView::new(graph, node).slots()[slot].argument.to_owned();
    let stored = graph.value(value);
    Member {
        value,
        name: stored.name.clone(),
        trained: stored.origin == Origin::Parameter,
        dim,
        side: side(analysis, node, slot, dim),
        reader: (node, graph.node(node).op.clone(), argument),
        layout: layout(analysis, &analysis.dims(value)[dim], axis),
    }
}

/// What a dimension is to the node that reads it: summed over, made by summing over another, or neither.
fn side(analysis: &Analysis, node: NodeId, slot: usize, dim: usize) -> Side {
    let Some(rule) = analysis.node_axes(node).map(|axes| &axes.rule) else { return Side::PerCoordinate };
    let Some(Some(terms)) = rule.operands.get(slot) else { return Side::PerCoordinate };
    let mut results = BTreeSet::new();
    rule.results.iter().flatten().for_each(|term| factors(term, &mut results));
    let summed = |term: &Term| {
        let mut own = BTreeSet::new();
        factors(term, &mut own);
        !own.is_empty() && own.is_disjoint(&results)
    };
    match terms.get(dim) {
        Some(term) if summed(term) => Side::Input,
        Some(_) if terms.iter().any(summed) => Side::Output,
        _ => Side::PerCoordinate,
    }
}

fn factors(term: &Term, found: &mut BTreeSet<usize>) {
    match term {
        Term::Factor(index) | Term::Index(index, _) => {
            found.insert(*index);
        }
        Term::Product(terms) | Term::Sum(terms) => terms.iter().for_each(|term| factors(term, found)),
    }
}

fn name(members: &[Member]) -> String {
    let first = |side| members.iter().find(|member| member.trained && member.side == side);
    let member = first(Side::Output)
        .or_else(|| first(Side::PerCoordinate))
        .or_else(|| members.iter().find(|member| member.trained))
        .expect("a group has a parameter");
    format!("{}:{}", member.name, member.dim)
}

/// Whether one position of the dimension can belong to several coordinates of the variable.
fn is_repeated(e: &Expr, axis: AxisId) -> bool {
    match e {
        Expr::Axis(_) | Expr::Index(..) => false,
        Expr::Sum(elements) => elements.iter().any(|e| is_repeated(e, axis)),
        Expr::Product(elements) => {
            elements.iter().filter(|e| e.contains(axis)).count() > 1 || elements.iter().any(|e| is_repeated(e, axis))
        }
    }
}

fn layout(analysis: &Analysis, e: &Expr, axis: AxisId) -> Layout {
    match e {
        Expr::Axis(_) => Layout::Identity(analysis.axis_size(axis)),
        _ => Layout::Table(Arc::from(table(analysis, e, axis))),
    }
}

fn table(analysis: &Analysis, e: &Expr, axis: AxisId) -> Vec<u32> {
    match e {
        Expr::Axis(own) if *own == axis => (0..analysis.axis_size(axis) as u32).collect(),
        Expr::Axis(other) => vec![Layout::NONE; analysis.axis_size(*other)],
        Expr::Index(own, indices) if *own == axis => indices.to_vec(),
        Expr::Index(_, indices) => vec![Layout::NONE; indices.len()],
        Expr::Sum(elements) => elements.iter().flat_map(|e| table(analysis, e, axis)).collect(),
        Expr::Product(elements) => elements.iter().fold(vec![Layout::NONE], |outer, e| {
            let inner = table(analysis, e, axis);
            // One element at most holds the variable, so of two coordinates at least one is `NONE`, the largest number.
            outer.iter().flat_map(|&o| inner.iter().map(move |&i| o.min(i))).collect()
        }),
    }
}
