//! Contractions of activations: where masking a coordinate does not take it out of a sum.
//!
//! Masking makes the slices of a coordinate zero in every parameter, and in parameters alone: buffers and constants keep
//! what they hold. A sum over an axis then leaves the coordinate out if what it multiplies there is zero in one operand.
//! In a parameter it is; in an activation it is as long as nothing on the way made another number of zero, as a sigmoid
//! does. This pass follows the zeros through the graph, and marks as inexact the variables that a node contracts without
//! one, and those along which a node is given zeros that it makes no finite number of.

use std::sync::Arc;

use crate::deps::NodeAxes;
use crate::deps::axes::Axis;
use crate::deps::expr::Expr;
use crate::deps::memory::Memory;
use crate::graph::{Graph, Origin};
use crate::ids::{AxisId, NodeId, ValueId};
use crate::ops::{NodeView, Rule, Zeros, writes, zeros};

/// Marks what contractions make inexact. All expressions are final.
pub(super) fn mark_inexact(graph: &Graph, dims: &[Vec<Expr>], nodes: &[Option<NodeAxes>], axes: &mut [Axis]) {
    let written = graph.nodes().any(|(id, _)| writes(&NodeView::new(graph, id)));
    let suspects = suspects(graph, nodes, axes, written);
    if !suspects.contains(&true) {
        return;
    }
    let zero = graph.values().map(|(id, value)| match value.origin {
        Origin::Parameter => variables(dims[id.index()].iter(), &suspects),
        _ => Vec::new(),
    });
    let zero = zero.collect();
    let memory = written.then(|| Memory::new(graph.values().len()));
    let mut pass = Pass { graph, suspects, zero, memory };
    for ((id, _), node) in graph.nodes().zip(nodes) {
        for axis in pass.node(id, node.as_ref()) {
            axes[axis.index()].inexact.get_or_insert(id);
        }
    }
}

/// For each variable, whether it may be cut and some node contracts it without a parameter: only those are followed.
/// Where nodes write to what they read, a parameter counts no more than others.
fn suspects(graph: &Graph, nodes: &[Option<NodeAxes>], axes: &[Axis], written: bool) -> Vec<bool> {
    let mut suspects = vec![false; axes.len()];
    for ((id, _), node) in graph.nodes().zip(nodes) {
        let Some(NodeAxes { rule, zeros, factors }) = node else { continue };
        let view = NodeView::new(graph, id);
        let is_parameter = |slot: usize| {
            let value = view.slots()[slot].value;
            !written && value.is_some_and(|value| graph.value(value).origin == Origin::Parameter)
        };
        for (factor, e) in factors.iter().enumerate() {
            let weights = zeros.recurrent.iter().filter(|&&slot| mentions(rule, slot, factor));
            let singular = zeros.singular.iter().any(|&slot| mentions(rule, slot, factor));
            let suspect = singular
                || match factor_use(rule, factor) {
                    Use::Contracted => !slots_with(rule, factor).any(is_parameter),
                    Use::Kept => !weights.copied().all(is_parameter),
                    Use::Reduced => false,
                };
            if suspect {
                e.each_axis(&mut |axis| {
                    let Axis { size, pin, inexact, .. } = &axes[axis.index()];
                    suspects[axis.index()] |= *size > 1 && pin.is_none() && inexact.is_none();
                });
            }
        }
    }
    suspects
}

/// What a node does to a factor of its rule.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is an axis of a result.
    Kept,
    /// Several operands have it and no result.
    Contracted,
    /// One operand has it and no result: the row says what that means.
    Reduced,
}

pub(super) fn factor_use(rule: &Rule, factor: usize) -> Use {
    if rule.results.iter().flatten().any(|term| term.mentions(factor)) {
        return Use::Kept;
    }
    if slots_with(rule, factor).nth(1).is_some() { Use::Contracted } else { Use::Reduced }
}

fn mentions(rule: &Rule, slot: usize, factor: usize) -> bool {
    rule.operands[slot].iter().flatten().any(|term| term.mentions(factor))
}

/// The operands that have a factor.
pub(super) fn slots_with(rule: &Rule, factor: usize) -> impl Iterator<Item = usize> + '_ {
    (0..rule.operands.len()).filter(move |&slot| mentions(rule, slot, factor))
}

/// The suspects that occur in expressions, ascending.
fn variables<'e>(expressions: impl Iterator<Item = &'e Expr>, suspects: &[bool]) -> Vec<AxisId> {
    let mut found = Vec::new();
    for e in expressions {
        e.each_axis(&mut |axis| found.extend(Some(axis).filter(|axis| suspects[axis.index()])));
    }
    found.sort_unstable();
    found.dedup();
    found
}

struct Pass<'a> {
    graph: &'a Graph,
    suspects: Vec<bool>,
    /// For each value, the suspects along which it is zero at every masked coordinate, ascending; as it was made.
    zero: Vec<Vec<AxisId>>,
    /// What later writes left of that; `None` where nothing is written to.
    memory: Option<Memory>,
}

impl Pass<'_> {
    /// Follows the zeros through a node; gives the suspects that it contracts without one.
    fn node(&mut self, id: NodeId, axes: Option<&NodeAxes>) -> Vec<AxisId> {
        let view = NodeView::new(self.graph, id);
        let zeros = axes.map_or_else(|| Arc::new(zeros(&view)), |axes| Arc::clone(&axes.zeros));
        let results = &self.graph.node(id).results;
        let values: Vec<Option<ValueId>> = view.slots().iter().map(|slot| slot.value).collect();
        let mut inexact = Vec::new();
        let mut made = vec![Vec::new(); results.len()];
        if let Some(NodeAxes { rule, factors, .. }) = axes {
            let site = Site { pass: self, rule, zeros: &zeros, values: &values };
            // The factors whose results are zero along a variable, and those whose are not.
            let mut passed = Vec::new();
            for (factor, e) in factors.iter().enumerate() {
                for axis in variables(std::iter::once(e), &self.suspects) {
                    inexact.extend(site.is_singular(factor, axis).then_some(axis));
                    match factor_use(rule, factor) {
                        Use::Kept => {
                            passed.push((axis, factor, site.passes(factor, axis)));
                            inexact.extend((!site.stays_out(factor, axis)).then_some(axis));
                        }
                        Use::Contracted => inexact.extend((!site.vanishes(factor, axis)).then_some(axis)),
                        Use::Reduced => {}
                    }
                }
            }
            passed.sort_unstable();
            for (made, terms) in made.iter_mut().zip(&rule.results).take(zeros.results) {
                let has = |factor: usize| terms.iter().any(|term| term.mentions(factor));
                for of_axis in passed.chunk_by(|(a, ..), (b, ..)| a == b) {
                    let mut of_result = of_axis.iter().filter(|(_, factor, _)| has(*factor)).peekable();
                    if of_result.peek().is_some() && of_result.all(|(.., passes)| *passes) {
                        made.push(of_axis[0].0);
                    }
                }
            }
        }
        if let Some(memory) = &mut self.memory {
            let slots = |slots: &[usize]| slots.iter().filter_map(|&slot| values[slot]).collect::<Vec<_>>();
            for (operand, &result) in slots(&zeros.shared).into_iter().flat_map(|v| results.iter().map(move |r| (v, r)))
            {
                memory.share(operand, result);
            }
            for operand in slots(&zeros.written) {
                memory.write(operand, made.first().map_or(&[], Vec::as_slice));
            }
        }
        for (&result, made) in results.iter().zip(made) {
            self.zero[result.index()] = made;
        }
        inexact
    }
}

/// A node, with what is known of its operands.
struct Site<'p> {
    pass: &'p Pass<'p>,
    rule: &'p Rule,
    zeros: &'p Zeros,
    values: &'p [Option<ValueId>],
}

impl Site<'_> {
    /// Whether the operand in a slot has the factor, and is zero where a coordinate of the variable is masked.
    fn is_zero(&self, slot: usize, factor: usize, axis: AxisId) -> bool {
        mentions(self.rule, slot, factor)
            && self.values[slot].is_some_and(|value| {
                self.pass.zero[value.index()].binary_search(&axis).is_ok()
                    && self.pass.memory.as_ref().is_none_or(|memory| memory.keeps(value, axis))
            })
    }

    /// Whether the node is given zeros along a variable that it makes no finite number of.
    fn is_singular(&self, factor: usize, axis: AxisId) -> bool {
        self.zeros.singular.iter().any(|&slot| self.is_zero(slot, factor, axis))
    }

    /// Whether results are zero along a variable as far as it is in this factor of them.
    fn passes(&self, factor: usize, axis: AxisId) -> bool {
        let Some(products) = &self.zeros.products else { return false };
        let has = |slots: &Vec<usize>| slots.iter().any(|&slot| mentions(self.rule, slot, factor));
        let zero = |slots: &Vec<usize>| slots.iter().any(|&slot| self.is_zero(slot, factor, axis));
        let divided = self.zeros.divisors.iter().any(|&slot| mentions(self.rule, slot, factor));
        !divided
            && if self.zeros.pieces {
                products.iter().any(has) && products.iter().filter(|slots| has(slots)).all(zero)
            } else {
                products.iter().all(zero)
            }
    }

    /// Whether what the node sums over a factor is zero along a variable. Where the row does not say what it sums, it is
    /// the product of all operands that have the factor.
    fn vanishes(&self, factor: usize, axis: AxisId) -> bool {
        let has = |slots: &&Vec<usize>| slots.iter().any(|&slot| mentions(self.rule, slot, factor));
        let zero = |slot: usize| self.is_zero(slot, factor, axis);
        let said = self.zeros.products.iter().flatten().filter(|_| !self.zeros.pieces);
        let mut summed = said.filter(has).peekable();
        if summed.peek().is_some() {
            summed.all(|slots| slots.iter().any(|&slot| zero(slot)))
        } else {
            slots_with(self.rule, factor).any(zero)
        }
    }

    /// Whether a node that multiplies its results with weights has only weights that are zero along a variable.
    fn stays_out(&self, factor: usize, axis: AxisId) -> bool {
        let mut weights = self.zeros.recurrent.iter().filter(|&&slot| mentions(self.rule, slot, factor));
        weights.all(|&slot| self.is_zero(slot, factor, axis))
    }
}
