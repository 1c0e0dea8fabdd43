//! Positions chosen by tensors of indices: what is indexed is pinned, the rest free.
//!
//! An axis of the indices themselves may go where they read, or where they add: nothing then adds nothing. Where they
//! overwrite it is pinned, since what is not written keeps what it was.

use super::build::{Builder, pin_all};
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rule, Term};

/// `index`: advanced indexing, as in `NumPy`.
pub(super) fn index(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let Some(parts) = Advanced::new(node, &mut rule)? else {
        return pin_all(node);
    };
    rule.operand("self", parts.operand);
    rule.result(parts.indexed);
    rule.finish()
}

/// `index_put`, which writes where `index` reads.
pub(super) fn index_put(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let Some(parts) = Advanced::new(node, &mut rule)? else {
        return pin_all(node);
    };
    let values = node.shape("values")?.len();
    if values > parts.indexed.len() {
        return pin_all(node);
    }
    if !node.bool_or("accumulate", false)? {
        rule.mark_all(&parts.axes, Mark::Pinned);
    }
    rule.operand("values", parts.indexed[parts.indexed.len() - values..].to_vec());
    rule.operand("self", parts.operand.clone());
    rule.result(parts.operand);
    rule.finish()
}

/// `index_select`: one dimension is indexed by a vector.
pub(super) fn index_select(node: &NodeView) -> Result<Rule, RuleError> {
    let mut along = Along::new(node)?;
    let index = along.index("index")?;
    let mut result = along.terms.clone();
    if let Some(term) = result.get_mut(along.dim) {
        *term = index;
    }
    along.rule.operand("self", along.terms);
    along.rule.result(result);
    along.rule.finish()
}

/// `index_add`, `index_copy`, `index_fill`: one dimension is written to by a vector of indices.
pub(super) fn index_write(node: &NodeView) -> Result<Rule, RuleError> {
    let mut along = Along::new(node)?;
    let index = along.index("index")?;
    if node.op().trim_end_matches('_') != "aten::index_add" {
        along.rule.mark(&index, Mark::Pinned);
    }
    let mut source = along.terms.clone();
    if let Some(term) = source.get_mut(along.dim) {
        *term = index;
    }
    if node.optional_shape("source").is_some_and(<[i64]>::is_empty) {
        source.clear();
    }
    along.rule.operand("source", source);
    along.rule.operand("value", Vec::new());
    along.rule.operand("self", along.terms.clone());
    along.rule.result(along.terms);
    along.rule.finish()
}

/// `gather`, whose index is as large as the result and no larger than the tensor in the other dimensions.
pub(super) fn gather(node: &NodeView) -> Result<Rule, RuleError> {
    let mut along = Along::new(node)?;
    let index = along.beside("index")?;
    along.rule.operand("index", index.clone());
    along.rule.operand("self", along.terms);
    along.rule.result(index);
    along.rule.finish()
}

/// `take_along_dim`, whose tensors are broadcast in the other dimensions.
pub(super) fn take_along_dim(node: &NodeView) -> Result<Rule, RuleError> {
    let (shape, index, result) = (node.shape("self")?, node.shape("indices")?, node.result(0)?);
    if node.is_none("dim") || shape.len() != result.len() || index.len() != result.len() {
        return pin_all(node);
    }
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", result, Mark::Free);
    let mut operand = terms.clone();
    if dim < operand.len() {
        operand[dim] = rule.factor("p", shape[dim], Mark::Pinned);
    }
    rule.operand("self", operand);
    rule.operand("indices", terms.clone());
    rule.result(terms);
    rule.finish()
}

/// `scatter`, `scatter_add`, `scatter_reduce`: `gather` the other way round.
pub(super) fn scatter(node: &NodeView) -> Result<Rule, RuleError> {
    let mut along = Along::new(node)?;
    let index = along.beside("index")?;
    if let Some(source) = node.optional_shape("src") {
        // The source may be larger than the index; then its positions are not all read.
        let sizes = index.iter().zip(source).enumerate();
        let terms: Vec<Term> = sizes
            .map(|(dim, (term, &size))| {
                if along.rule.size(term) == size {
                    return term.clone();
                }
                along.rule.mark(term, Mark::Pinned);
                along.rule.factor(format!("s{dim}"), size, Mark::Pinned)
            })
            .collect();
        along.rule.operand("src", terms);
    }
    if node.op().trim_end_matches('_') != "aten::scatter_add" {
        along.rule.mark_all(index.get(along.dim), Mark::Pinned);
    }
    along.rule.operand("index", index);
    along.rule.operand("value", Vec::new());
    along.rule.operand("self", along.terms.clone());
    along.rule.result(along.terms);
    along.rule.finish()
}

/// The dimensions of a tensor that is indexed along one.
struct Along<'n, 'g> {
    node: &'n NodeView<'g>,
    rule: Builder<'n, 'g>,
    dim: usize,
    terms: Vec<Term>,
}

impl<'n, 'g> Along<'n, 'g> {
    fn new(node: &'n NodeView<'g>) -> Result<Self, RuleError> {
        let shape = node.shape("self")?;
        let dim = node.dim_or("dim", 0, shape.len())?;
        let mut rule = Builder::new(node);
        let terms = rule.pinned_along(shape, dim);
        Ok(Self { node, rule, dim, terms })
    }

    /// The dimension that a vector of indices makes; a number makes one of size 1.
    fn index(&mut self, argument: &str) -> Result<Term, RuleError> {
        Ok(match self.node.shape(argument)? {
            [] => {
                self.rule.operand(argument, Vec::new());
                Term::UNIT
            }
            shape => {
                let term = self.rule.factor("k", shape[0], Mark::Free);
                self.rule.operand(argument, vec![term.clone()]);
                term
            }
        })
    }

    /// The dimensions of an index that lies beside the tensor: the same axes where it is as large.
    fn beside(&mut self, argument: &str) -> Result<Vec<Term>, RuleError> {
        let (shape, node) = (self.node.shape(argument)?, self.node);
        let own = node.shape("self")?;
        let mut terms = Vec::with_capacity(shape.len());
        for (dim, &size) in shape.iter().enumerate() {
            if dim != self.dim && own.get(dim) == Some(&size) {
                terms.push(self.terms[dim].clone());
                continue;
            }
            let mut mark = Mark::Free;
            if let Some(term) = self.terms.get(dim).filter(|_| dim != self.dim) {
                mark = Mark::Pinned;
                self.rule.mark(term, mark);
            }
            terms.push(self.rule.factor(format!("k{dim}"), size, mark));
        }
        Ok(terms)
    }
}

/// The dimensions of a tensor under advanced indexing, and of what is read or written there.
struct Advanced {
    operand: Vec<Term>,
    indexed: Vec<Term>,
    /// The dimensions that the indices make together.
    axes: Vec<Term>,
}

impl Advanced {
    /// Sets the terms of the indices. `None` where the shapes are not those of an index.
    fn new(node: &NodeView, rule: &mut Builder) -> Result<Option<Self>, RuleError> {
        let shape = node.shape("self")?;
        let operand = rule.factors("d", shape, Mark::Free);
        let list = node.list("indices")?;
        let chosen: Vec<(usize, &[i64])> = list.iter().filter_map(|&(slot, shape)| Some((slot, shape?))).collect();
        let Some(axes) = index_axes(node, rule, &chosen)? else {
            return Ok(None);
        };
        let (mut kept, mut at, mut first, mut runs, mut inside) = (Vec::new(), 0, None, 0, false);
        for &(slot, index) in &list {
            let Some(index) = index else {
                kept.extend(operand.get(at).cloned());
                (at, inside) = (at + 1, false);
                continue;
            };
            let (width, terms) = if node.is_mask(slot) { (index.len(), None) } else { (1, Some(axes.of(index.len()))) };
            let Some(covered) = operand.get(at..at + width) else { return Ok(None) };
            rule.mark_all(covered, Mark::Pinned);
            // A mask lies on the dimensions that it selects from.
            rule.slot(slot, terms.unwrap_or_else(|| covered.to_vec()));
            first = first.or(Some(kept.len()));
            runs += usize::from(!std::mem::replace(&mut inside, true));
            at += width;
        }
        kept.extend(operand[at.min(operand.len())..].iter().cloned());
        // Indices that do not stand side by side put their dimensions first.
        let place = if runs > 1 { 0 } else { first.unwrap_or(0) };
        kept.splice(place..place, axes.terms.iter().cloned());
        Ok(Some(Self { operand, indexed: kept, axes: axes.terms }))
    }
}

/// The dimensions that the indices make together, broadcast.
struct Axes {
    terms: Vec<Term>,
}

impl Axes {
    fn of(&self, rank: usize) -> Vec<Term> {
        self.terms[self.terms.len() - rank..].to_vec()
    }
}

fn index_axes(node: &NodeView, rule: &mut Builder, chosen: &[(usize, &[i64])]) -> Result<Option<Axes>, RuleError> {
    let numbers: Vec<&[i64]> =
        chosen.iter().filter(|(slot, _)| !node.is_mask(*slot)).map(|&(_, shape)| shape).collect();
    if numbers.len() < chosen.len() {
        // How many positions a mask selects only the run tells: with one mask and no index the result does.
        if chosen.len() > 1 {
            return Ok(None);
        }
        let masked = chosen[0].1.len();
        let before = node.slots()[chosen[0].0].index.unwrap_or(0);
        let size = match node.optional_shape("values") {
            None => node.result(0)?.get(before).copied(),
            Some(values) => {
                let rest = node.shape("self")?.len().saturating_sub(before + masked);
                values.len().checked_sub(rest + 1).map(|dim| values[dim]).or(Some(1))
            }
        };
        return Ok(size.map(|size| Axes { terms: vec![rule.factor("k", size, Mark::Pinned)] }));
    }
    let rank = numbers.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let size = |dim: usize| {
        let sizes = numbers.iter().filter_map(|shape| (dim + shape.len()).checked_sub(rank).map(|dim| shape[dim]));
        sizes.fold(1, |all, size| if all == 1 { size } else { all })
    };
    let sizes: Vec<i64> = (0..rank).map(size).collect();
    Ok(Some(Axes { terms: rule.factors("k", &sizes, Mark::Free) }))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] =
        &[advanced_indexing_pins_what_it_indexes, writing_by_index_joins_the_values, reading_along_a_dimension_pins_it];

    #[test]
    fn advanced_indexing_pins_what_it_indexes() {
        let index = |shape: &[i64]| op("aten::index.Tensor").t("self", shape);
        index(&[9, 4]).ts("indices", &[&[6]]).gives([6, 4]).is("!d0 d1, k0 -> k0 d1");
        index(&[9, 4]).ts("indices", &[&[2, 3]]).gives([2, 3, 4]).is("!d0 d1, k0 k1 -> k0 k1 d1");
        index(&[2, 9, 4]).absent_then("indices", &[1], &[&[6]]).gives([2, 6, 4]).is("d0 !d1 d2, _, k0 -> d0 k0 d2");
        index(&[2, 8, 8])
            .absent_then("indices", &[1], &[&[4, 1], &[5]])
            .gives([2, 4, 5])
            .is("d0 !d1 !d2, _, k0 1, k1 -> d0 k0 k1");
        index(&[8, 2, 8])
            .ts("indices", &[&[5]])
            .absent_then("indices", &[1], &[&[5]])
            .gives([5, 2])
            .is("!d0 d1 !d2, k0, _, k0 -> k0 d1");
        op("aten::_unsafe_index.Tensor")
            .t("self", [9, 4])
            .ts("indices", &[&[6]])
            .gives([6, 4])
            .is("!d0 d1, k0 -> k0 d1");
        index(&[3, 4]).masks("indices", &[&[3, 4]]).gives([5]).is("!d0 !d1, d0 d1 -> !k");
        index(&[3, 4]).masks("indices", &[&[3]]).gives([2, 4]).is("!d0 d1, d0 -> !k d1");
    }

    #[test]
    fn writing_by_index_joins_the_values() {
        let put = |shape: &[i64]| op("aten::index_put_").t("self", shape).gives(shape);
        put(&[9, 4]).ts("indices", &[&[6]]).t("values", [6, 4]).is("!d0 d1, !k0, k0 d1 -> d0 d1");
        put(&[9, 4]).ts("indices", &[&[6]]).t("values", []).is("!d0 d1, !k0, -> d0 d1");
        put(&[9, 4])
            .ts("indices", &[&[6]])
            .t("values", [6, 4])
            .arg("accumulate", true)
            .is("!d0 d1, k0, k0 d1 -> d0 d1");
        put(&[9, 4]).masks("indices", &[&[9, 4]]).t("values", []).is("!d0 !d1, d0 d1, -> d0 d1");
        op("aten::_unsafe_index_put")
            .t("self", [9, 4])
            .ts("indices", &[&[6]])
            .t("values", [6, 1])
            .arg("accumulate", false)
            .gives([9, 4])
            .is("!d0 d1, !k0, k0 1 -> d0 d1");
        op("aten::index_add")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6])
            .t("source", [6, 4])
            .gives([9, 4])
            .is("!d0 d1, k, k d1 -> d0 d1");
        op("aten::index_copy")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6])
            .t("source", [6, 4])
            .gives([9, 4])
            .is("!d0 d1, !k, k d1 -> d0 d1");
        op("aten::index_fill.int_Scalar")
            .t("self", [9, 4])
            .arg("dim", -1)
            .t("index", [6])
            .arg("value", 0.0)
            .gives([9, 4])
            .is("d0 !d1, !k -> d0 d1");
        op("aten::scatter.src")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6, 4])
            .t("src", [6, 4])
            .gives([9, 4])
            .is("!d0 d1, !k0 d1, k0 d1 -> d0 d1");
        op("aten::scatter.value")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6, 3])
            .arg("value", 1.0)
            .gives([9, 4])
            .is("!d0 !d1, !k0 !k1 -> d0 d1");
        op("aten::scatter_add")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6, 4])
            .t("src", [7, 4])
            .gives([9, 4])
            .is("!d0 d1, !k0 d1, !s0 d1 -> d0 d1");
        op("aten::scatter_reduce.two")
            .t("self", [9, 4])
            .arg("dim", 0)
            .t("index", [6, 4])
            .t("src", [6, 4])
            .gives([9, 4])
            .is("!d0 d1, !k0 d1, k0 d1 -> d0 d1");
    }

    #[test]
    fn reading_along_a_dimension_pins_it() {
        op("aten::index_select").t("self", [2, 9]).arg("dim", 1).t("index", [6]).gives([2, 6]).is("d0 !d1, k -> d0 k");
        op("aten::index_select").t("self", [2, 9]).arg("dim", 1).t("index", []).gives([2, 1]).is("d0 !d1, -> d0 1");
        op("aten::gather")
            .t("self", [2, 9])
            .arg("dim", 1)
            .t("index", [2, 6])
            .gives([2, 6])
            .is("d0 !d1, d0 k1 -> d0 k1");
        op("aten::gather")
            .t("self", [3, 9])
            .arg("dim", 1)
            .t("index", [2, 6])
            .gives([2, 6])
            .is("!d0 !d1, !k0 k1 -> k0 k1");
        op("aten::take_along_dim")
            .t("self", [2, 9])
            .t("indices", [1, 6])
            .arg("dim", 1)
            .gives([2, 6])
            .is("d0 !p, 1 d1 -> d0 d1");
        op("aten::masked_scatter")
            .t("self", [2, 9])
            .t("mask", [2, 9])
            .t("source", [5])
            .gives([2, 9])
            .is("!a0_0 !a0_1, !a1_0 !a1_1, !a2_0 -> !r0_0 !r0_1");
        op("aten::take").t("self", [2, 9]).t("index", [5]).gives([5]).is("!a0_0 !a0_1, !a1_0 -> !r0_0");
        op("aten::nonzero").t("self", [2, 9]).gives([5, 2]).is("!a0_0 !a0_1 -> !r0_0 !r0_1");
        op("aten::masked_select")
            .t("self", [2, 9])
            .t("mask", [2, 9])
            .gives([5])
            .is("!a0_0 !a0_1, !a1_0 !a1_1 -> !r0_0");
    }
}
