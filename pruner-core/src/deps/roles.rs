//! Heads and their dimensions: what axes are where activations are multiplied with activations.
//!
//! Attention multiplies queries with keys and what comes of it with values, each head by itself. So an axis that all
//! factors of such a product have and that stays is one of heads, and one that is summed over there or comes through it
//! from one side is one of a head's dimensions. Axes of places are neither: no weight has them.

use crate::deps::axes::Axis;
use crate::deps::group::Role;
use crate::deps::operands::Operands;
use crate::deps::uses::{Use, Uses};
use crate::deps::zeros::zeros_of;
use crate::deps::{NodeAxes, Nodes};
use crate::graph::{Graph, Origin};
use crate::ids::{AxisId, NodeId};
use crate::ops::Rule;

/// The role of each variable. All expressions are final.
pub(super) fn roles(graph: &Graph, operands: &Operands, nodes: &Nodes, axes: &[Axis]) -> Vec<Role> {
    let activations = activations(graph, operands, nodes);
    let weighed = weighed(operands, nodes, axes.len(), &activations);
    let may_have_one = |axis: AxisId| weighed[axis.index()] && axes[axis.index()].pin.is_none();
    let mut roles = vec![Role::Channels; axes.len()];
    for (id, NodeAxes { known, factors }) in products(nodes) {
        let values = operands.of(id);
        let is_activation = |slot: usize| values[slot].is_some_and(|value| activations[value.index()]);
        let Some(found) = of_factors(&known.form.rule, &known.form.uses, &is_activation) else { continue };
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
fn products(nodes: &Nodes) -> impl Iterator<Item = (NodeId, &NodeAxes)> {
    let known = nodes.iter().enumerate().filter_map(|(at, axes)| Some((NodeId::new(at), axes.as_ref().ok()?)));
    known.filter(|(_, axes)| axes.known.form.rule.macs.is_some())
}

/// For each value, whether it depends on what the network is given.
fn activations(graph: &Graph, operands: &Operands, nodes: &Nodes) -> Vec<bool> {
    let mut given: Vec<bool> = graph.values().map(|(_, value)| value.origin == Origin::Input).collect();
    for (id, node) in graph.nodes() {
        if operands.read(id).any(|input| given[input.index()]) {
            let (zeros, values) = (zeros_of(graph, nodes, id), operands.of(id));
            let written = zeros.written.iter().filter_map(|&slot| values[slot]);
            for value in node.results.iter().copied().chain(written) {
                given[value.index()] = true;
            }
        }
    }
    given
}

/// For each variable, whether some activation is multiplied with a weight that has it.
fn weighed(operands: &Operands, nodes: &Nodes, axes: usize, activations: &[bool]) -> Vec<bool> {
    let mut weighed = vec![false; axes];
    for (id, NodeAxes { known, factors }) in products(nodes) {
        if !operands.read(id).any(|value| activations[value.index()]) {
            continue;
        }
        let read = known.form.rule.operands.iter().zip(operands.of(id));
        let weights = read.filter(|(_, value)| value.is_some_and(|value| !activations[value.index()]));
        for term in weights.flat_map(|(terms, _)| terms.iter().flatten()) {
            term.each_factor(&mut |factor| factors[factor].each_axis(&mut |axis| weighed[axis.index()] = true));
        }
    }
    weighed
}

/// What each factor is to a node that multiplies, of whose slots `is_activation` are activations; `None` where all are channels.
fn of_factors(rule: &Rule, uses: &Uses, is_activation: &impl Fn(usize) -> bool) -> Option<Vec<Role>> {
    let of_use = |wanted: Use| (0..uses.all().len()).filter(move |&factor| uses.of(factor) == wanted);
    let of_activations = |contracted: usize| uses.slots(contracted).all(is_activation);
    // A convolution sums over its kernel beside: its weight is one even where it is computed from activations.
    if uses.all().contains(&Use::Reduced) || !of_use(Use::Contracted).any(of_activations) {
        return None;
    }
    let mut roles = vec![Role::Channels; uses.all().len()];
    for contracted in of_use(Use::Contracted) {
        roles[contracted] = Role::HeadDims;
        let multiplied = uses.slots(contracted).count();
        for kept in of_use(Use::Kept) {
            let shared = uses.slots(kept).filter(|&slot| uses.reads(slot, contracted)).count();
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
    Some(roles)
}
