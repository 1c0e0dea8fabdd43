//! Heads and their dimensions: what axes are where activations are multiplied with activations.
//!
//! Attention multiplies queries with keys and what comes of it with values, each head by itself. So an axis that all
//! factors of such a product have and that stays is one of heads, and one that is summed over there or comes through it
//! from one side is one of a head's dimensions. Axes of places are neither: no weight has them.

use std::sync::Arc;

use crate::deps::NodeAxes;
use crate::deps::axes::Axis;
use crate::deps::group::Role;
use crate::deps::zeros::{Use, factor_use, slots_with};
use crate::graph::{Graph, Origin};
use crate::ids::{AxisId, NodeId, ValueId};
use crate::ops::{NodeView, Rule, zeros};

/// The role of each variable. All expressions are final.
pub(super) fn roles(graph: &Graph, nodes: &[Option<NodeAxes>], axes: &[Axis]) -> Vec<Role> {
    let activations = activations(graph, nodes);
    let weighed = weighed(graph, nodes, axes.len(), &activations);
    let may_have_one = |axis: AxisId| weighed[axis.index()] && axes[axis.index()].pin.is_none();
    let mut roles = vec![Role::Channels; axes.len()];
    for (id, NodeAxes { rule, factors, .. }) in products(graph, nodes) {
        let values = values(graph, id);
        let found = of_factors(rule, &|slot| values[slot].is_some_and(|value| activations[value.index()]));
        for (role, e) in found.into_iter().zip(factors) {
            e.each_axis(&mut |axis| {
                let known = &mut roles[axis.index()];
                if may_have_one(axis) {
                    // What is heads in one product and comes through another is heads.
                    *known = (*known).min(role);
                }
            });
        }
    }
    roles
}

/// The nodes that multiply.
fn products<'a>(
    graph: &'a Graph,
    nodes: &'a [Option<NodeAxes>],
) -> impl Iterator<Item = (NodeId, &'a NodeAxes)> + use<'a> {
    let known = graph.nodes().zip(nodes).filter_map(|((id, _), axes)| Some((id, axes.as_ref()?)));
    known.filter(|(_, axes)| axes.rule.macs.is_some())
}

fn values(graph: &Graph, node: NodeId) -> Vec<Option<ValueId>> {
    NodeView::new(graph, node).slots().iter().map(|slot| slot.value).collect()
}

/// For each value, whether it depends on what the network is given.
fn activations(graph: &Graph, nodes: &[Option<NodeAxes>]) -> Vec<bool> {
    let mut given: Vec<bool> = graph.values().map(|(_, value)| value.origin == Origin::Input).collect();
    for ((id, node), axes) in graph.nodes().zip(nodes) {
        if node.inputs().any(|input| given[input.index()]) {
            let view = NodeView::new(graph, id);
            let zeros = axes.as_ref().map_or_else(|| Arc::new(zeros(&view)), |axes| Arc::clone(&axes.zeros));
            let written = zeros.written.iter().filter_map(|&slot| view.slots()[slot].value);
            for value in node.results.iter().copied().chain(written) {
                given[value.index()] = true;
            }
        }
    }
    given
}

/// For each variable, whether some activation is multiplied with a weight that has it.
fn weighed(graph: &Graph, nodes: &[Option<NodeAxes>], axes: usize, activations: &[bool]) -> Vec<bool> {
    let mut weighed = vec![false; axes];
    for (id, NodeAxes { rule, factors, .. }) in products(graph, nodes) {
        let values = values(graph, id);
        let given = |value: ValueId| activations[value.index()];
        if !values.iter().flatten().any(|&value| given(value)) {
            continue;
        }
        let weights = rule.operands.iter().zip(&values).filter(|(_, value)| value.is_some_and(|value| !given(value)));
        for term in weights.flat_map(|(terms, _)| terms.iter().flatten()) {
            term.each_factor(&mut |factor| factors[factor].each_axis(&mut |axis| weighed[axis.index()] = true));
        }
    }
    weighed
}

/// What each factor is to a node that multiplies, of whose slots `is_activation` are activations.
fn of_factors(rule: &Rule, is_activation: &impl Fn(usize) -> bool) -> Vec<Role> {
    let mut roles = vec![Role::Channels; rule.factors.len()];
    let uses: Vec<Use> = (0..roles.len()).map(|factor| factor_use(rule, factor)).collect();
    // A convolution sums over its kernel beside: its weight is one even where it is computed from activations.
    if uses.contains(&Use::Reduced) {
        return roles;
    }
    let with = |factor: usize| slots_with(rule, factor);
    let of_use = |wanted: Use| uses.iter().enumerate().filter(move |(_, found)| **found == wanted).map(|(at, _)| at);
    let of_activations = |contracted: usize| with(contracted).all(is_activation);
    if !of_use(Use::Contracted).any(of_activations) {
        return roles;
    }
    for contracted in of_use(Use::Contracted) {
        roles[contracted] = Role::HeadDims;
        let multiplied = with(contracted).count();
        for kept in of_use(Use::Kept) {
            let shared = with(kept).filter(|slot| with(contracted).any(|other| other == *slot)).count();
            let role = match shared {
                _ if shared == multiplied => Role::Heads,
                // What comes through a parameter, such as queries that are learned, is a place.
                1 if of_activations(contracted) => Role::HeadDims,
                _ => continue,
            };
            roles[kept] = roles[kept].min(role);
        }
    }
    // Where each head of keys serves several of queries, these make up one dimension with it.
    for term in rule.operands.iter().flatten().chain(&rule.results).flatten() {
        let mut together = Vec::new();
        term.each_factor(&mut |factor| together.push(factor));
        if together.iter().any(|&factor| roles[factor] == Role::Heads) {
            for factor in together {
                roles[factor] = Role::Heads;
            }
        }
    }
    roles
}
