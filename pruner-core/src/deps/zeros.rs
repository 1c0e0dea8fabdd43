//! Contractions of activations: where masking a coordinate does not take it out of a sum.
//!
//! Masking makes the slices of a coordinate zero in every parameter, and in parameters alone: buffers and constants keep
//! what they hold. A sum over an axis then leaves the coordinate out if what it multiplies there is zero in one operand.
//! In a parameter it is; in an activation it is as long as nothing on the way made another number of zero, as a sigmoid
//! does. This pass follows the zeros through the graph, and marks as inexact the variables that a node contracts without
//! one, and those along which a node is given zeros that it makes no finite number of.

use std::borrow::Cow;

use crate::deps::axes::Axis;
use crate::deps::expr::Expr;
use crate::deps::memory::Memory;
use crate::deps::operands::Operands;
use crate::deps::uses::{Use, Uses};
use crate::deps::{NodeAxes, Nodes};
use crate::graph::{Graph, Origin};
use crate::ids::{AxisId, NodeId, ValueId};
use crate::ops::{NodeView, Zeros, zeros};

/// How a node passes zeros on.
pub(super) fn zeros_of<'n>(graph: &Graph, nodes: &'n Nodes, id: NodeId) -> Cow<'n, Zeros> {
    match &nodes[id.index()] {
        Ok(axes) => Cow::Borrowed(&axes.known.zeros),
        Err(_) => Cow::Owned(zeros(&NodeView::new(graph, id))),
    }
}

/// Marks what contractions make inexact. All expressions are final.
pub(super) fn mark_inexact(graph: &Graph, operands: &Operands, dims: &[Vec<Expr>], nodes: &Nodes, axes: &mut [Axis]) {
    let written = graph.nodes().any(|(id, _)| !zeros_of(graph, nodes, id).written.is_empty());
    let suspects = suspects(graph, operands, nodes, axes, written);
    if !suspects.contains(&true) {
        return;
    }
    let zero = graph.values().map(|(id, value)| match value.origin {
        Origin::Parameter => variables(dims[id.index()].iter(), &suspects),
        _ => Vec::new(),
    });
    let zero = zero.collect();
    let memory = written.then(|| Memory::new(graph.values().len()));
    let mut pass = Pass { graph, operands, suspects, zero, memory };
    for (id, _) in graph.nodes() {
        pass.node(id, nodes, &mut |axis| _ = axes[axis.index()].inexact.get_or_insert(id));
    }
}

/// For each variable, whether it may be cut and some node contracts it without a parameter: only those are followed.
/// Where nodes write to what they read, a parameter counts no more than others.
fn suspects(graph: &Graph, operands: &Operands, nodes: &Nodes, axes: &[Axis], written: bool) -> Vec<bool> {
    let mut suspects = vec![false; axes.len()];
    for ((id, _), node) in graph.nodes().zip(nodes) {
        let Ok(NodeAxes { known, factors }) = node else { continue };
        let values = operands.of(id);
        let is_parameter =
            |slot: usize| !written && values[slot].is_some_and(|value| graph.value(value).origin == Origin::Parameter);
        for (factor, e) in factors.iter().enumerate() {
            let weights = known.zeros.recurrent.iter().filter(|&&slot| known.form.uses.reads(slot, factor));
            let singular = known.zeros.singular.iter().any(|&slot| known.form.uses.reads(slot, factor));
            let suspect = singular
                || match known.form.uses.of(factor) {
                    Use::Contracted => !known.form.uses.slots(factor).any(is_parameter),
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
    operands: &'a Operands,
    suspects: Vec<bool>,
    /// For each value, the suspects along which it is zero at every masked coordinate, ascending; as it was made.
    zero: Vec<Vec<AxisId>>,
    /// What later writes left of that; `None` where nothing is written to.
    memory: Option<Memory>,
}

impl Pass<'_> {
    /// Follows the zeros through a node; calls `inexact` with the suspects that it contracts without one.
    fn node(&mut self, id: NodeId, nodes: &Nodes, inexact: &mut impl FnMut(AxisId)) {
        let zeros = zeros_of(self.graph, nodes, id);
        let results = &self.graph.node(id).results;
        let values = self.operands.of(id);
        // The factors whose results are zero along a variable, and those whose are not.
        let mut passed = Vec::new();
        if let Ok(NodeAxes { known, factors }) = &nodes[id.index()] {
            let uses = &known.form.uses;
            let site = Site { pass: self, uses, zeros: &zeros, values };
            for (factor, e) in factors.iter().enumerate() {
                e.each_axis(&mut |axis| {
                    if !self.suspects[axis.index()] {
                        return;
                    }
                    let makes_inexact = match uses.of(factor) {
                        Use::Kept => {
                            passed.push((axis, factor, site.passes(factor, axis)));
                            !site.stays_out(factor, axis)
                        }
                        Use::Contracted => !site.vanishes(factor, axis),
                        Use::Reduced => false,
                    };
                    if makes_inexact || site.is_singular(factor, axis) {
                        inexact(axis);
                    }
                });
            }
            passed.sort_unstable();
            for (result, value) in results.iter().enumerate().take(zeros.results) {
                self.zero[value.index()] = made(&passed, uses, result);
            }
        }
        if let Some(memory) = &mut self.memory {
            for &operand in zeros.shared.iter().filter_map(|&slot| values[slot].as_ref()) {
                for &result in results {
                    memory.share(operand, result);
                }
            }
            for &operand in zeros.written.iter().filter_map(|&slot| values[slot].as_ref()) {
                memory.write(operand, results.first().map_or(&[], |result| &self.zero[result.index()]));
            }
        }
    }
}

/// The variables along which a result is zero: every factor that it has of such a variable passes zeros on.
fn made(passed: &[(AxisId, usize, bool)], uses: &Uses, result: usize) -> Vec<AxisId> {
    let mut made = Vec::new();
    for of_axis in passed.chunk_by(|(a, ..), (b, ..)| a == b) {
        let mut of_result = of_axis.iter().filter(|(_, factor, _)| uses.makes(result, *factor)).peekable();
        if of_result.peek().is_some() && of_result.all(|(.., passes)| *passes) {
            made.push(of_axis[0].0);
        }
    }
    made
}

/// A node, with what is known of its operands.
struct Site<'p> {
    pass: &'p Pass<'p>,
    uses: &'p Uses,
    zeros: &'p Zeros,
    values: &'p [Option<ValueId>],
}

impl Site<'_> {
    /// Whether the operand in a slot has the factor, and is zero where a coordinate of the variable is masked.
    fn is_zero(&self, slot: usize, factor: usize, axis: AxisId) -> bool {
        self.uses.reads(slot, factor)
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
        let has = |slots: &Vec<usize>| slots.iter().any(|&slot| self.uses.reads(slot, factor));
        let zero = |slots: &Vec<usize>| slots.iter().any(|&slot| self.is_zero(slot, factor, axis));
        let divided = self.zeros.divisors.iter().any(|&slot| self.uses.reads(slot, factor));
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
        let has = |slots: &&Vec<usize>| slots.iter().any(|&slot| self.uses.reads(slot, factor));
        let zero = |slot: usize| self.is_zero(slot, factor, axis);
        let said = self.zeros.products.iter().flatten().filter(|_| !self.zeros.pieces);
        let mut summed = said.filter(has).peekable();
        if summed.peek().is_some() {
            summed.all(|slots| slots.iter().any(|&slot| zero(slot)))
        } else {
            self.uses.slots(factor).any(zero)
        }
    }

    /// Whether a node that multiplies its results with weights has only weights that are zero along a variable.
    fn stays_out(&self, factor: usize, axis: AxisId) -> bool {
        let mut weights = self.zeros.recurrent.iter().filter(|&&slot| self.uses.reads(slot, factor));
        weights.all(|&slot| self.is_zero(slot, factor, axis))
    }
}
