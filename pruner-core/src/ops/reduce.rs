//! Reductions: cutting an axis that is reduced changes what it is reduced to.

use super::build::{Builder, pin_all};
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;
use super::rule::{Mark, Rule, Term};

/// `sum`, `mean`, `amax` and their like.
pub(super) fn statistic(node: &NodeView) -> Result<Rule, RuleError> {
    reduced(node, Mark::Inexact)
}

/// `argmax`, `median` and others that give positions.
pub(super) fn position(node: &NodeView) -> Result<Rule, RuleError> {
    reduced(node, Mark::Pinned)
}

/// `max`, `min`: of all elements, over a dimension with the positions, or of two tensors element by element.
pub(super) fn extreme(node: &NodeView) -> Result<Rule, RuleError> {
    if !node.is_none("other") {
        return pattern!("..., ... -> ...").instantiate(node, &[]);
    }
    if node.is_none("dim") { statistic(node) } else { position(node) }
}

/// `softmax`, `sort`, `topk` and others of which each result depends on every position along a dimension.
pub(super) fn along(node: &NodeView) -> Result<Rule, RuleError> {
    same(node, "dim", -1, Mark::Pinned)
}

/// `cumsum` and its like: a result depends on the positions before it.
pub(super) fn cumulative(node: &NodeView) -> Result<Rule, RuleError> {
    same(node, "dim", 0, Mark::Inexact)
}

/// `diff`: differences of neighbours along a dimension, before and after which there may be more.
pub(super) fn difference(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    if shape.is_empty() {
        return Err(node.impossible("a tensor of rank 0 has no neighbours"));
    }
    let dim = node.dim_or("dim", -1, shape.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    for argument in ["self", "prepend", "append"] {
        if let Some(&size) = node.optional_shape(argument).and_then(|shape| shape.get(dim)) {
            terms[dim] = rule.factor(argument, size, Mark::Pinned);
            rule.operand(argument, terms.clone());
        }
    }
    if let Some(&size) = node.result(0)?.get(dim) {
        terms[dim] = rule.factor("n", size, Mark::Pinned);
    }
    rule.result(terms);
    rule.finish()
}

/// `cosine_similarity`: two tensors, broadcast, over a dimension.
pub(super) fn similarity(node: &NodeView) -> Result<Rule, RuleError> {
    let shapes = [node.shape("x1")?, node.shape("x2")?];
    let rank = shapes[0].len().max(shapes[1].len());
    let dim = node.dim_or("dim", 1, rank)?;
    let mut rule = Builder::new(node);
    let size = |dim: usize| {
        let sizes = shapes.iter().filter_map(|shape| (dim + shape.len()).checked_sub(rank).map(|dim| shape[dim]));
        sizes.fold(1, |all, size| if all == 1 { size } else { all })
    };
    let sizes: Vec<i64> = (0..rank).map(size).collect();
    let mut terms = rule.factors("d", &sizes, Mark::Free);
    for (argument, shape) in ["x1", "x2"].into_iter().zip(shapes) {
        rule.operand(argument, terms[rank - shape.len()..].to_vec());
    }
    if dim < rank {
        rule.mark(&terms.remove(dim), Mark::Inexact);
    }
    rule.result(terms);
    rule.finish()
}

fn reduced(node: &NodeView, mark: Mark) -> Result<Rule, RuleError> {
    let Some(argument) = ["self", "input"].into_iter().find(|name| !node.is_none(name)) else {
        return Err(node.error("self", "a tensor"));
    };
    let shape = node.shape(argument)?;
    let keepdim = node.bool_or("keepdim", false)?;
    let mut dims = if node.is_none("dim") { Vec::new() } else { node.dims("dim", shape.len())? };
    if dims.is_empty() {
        dims.extend(0..shape.len());
    }
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    let mut result = Vec::with_capacity(terms.len());
    for (dim, term) in terms.iter().enumerate() {
        if !dims.contains(&dim) {
            result.push(term.clone());
            continue;
        }
        rule.mark(term, mark);
        if keepdim {
            result.push(Term::UNIT);
        }
    }
    rule.operand(argument, terms);
    for _ in 0..node.results().len() {
        rule.result(result.clone());
    }
    rule.finish()
}

fn same(node: &NodeView, argument: &str, default: i64, mark: Mark) -> Result<Rule, RuleError> {
    let Some(name) = ["self", "input"].into_iter().find(|name| !node.is_none(name)) else {
        return pin_all(node);
    };
    let shape = node.shape(name)?;
    let dim = node.dim_or(argument, default, shape.len())?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    if let Some(term) = terms.get(dim) {
        rule.mark(term, mark);
    }
    rule.operand(name, terms.clone());
    for (index, result) in node.results().enumerate() {
        let mut terms = terms.clone();
        // `topk` gives fewer positions than it is given.
        if let (Some(term), Some(&size)) = (terms.get_mut(dim), result.get(dim))
            && size != shape[dim]
        {
            *term = rule.factor(format!("k{index}"), size, Mark::Pinned);
        }
        rule.result(terms);
    }
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        statistics_are_inexact_in_what_they_reduce,
        positions_pin_what_they_count,
        softmax_and_sorting_pin_their_dimension,
        running_statistics_are_inexact,
        differences_pin_their_dimension,
    ];

    #[test]
    fn differences_pin_their_dimension() {
        op("aten::diff").t("self", [2, 5]).gives([2, 4]).is("d0 !self -> d0 !n");
        let both = op("aten::diff").t("self", [2, 5]).arg("n", 1).arg("dim", 0).t("prepend", [1, 5]).none("append");
        both.gives([2, 5]).is("!self d1, !prepend d1 -> !n d1");
    }

    #[test]
    fn statistics_are_inexact_in_what_they_reduce() {
        let three = |name: &str| op(&format!("aten::{name}")).t("self", [2, 3, 4]);
        for name in [
            "mean",
            "sum",
            "nansum",
            "nanmean",
            "std",
            "var",
            "logsumexp",
            "amax",
            "amin",
            "norm",
            "linalg_norm",
            "linalg_vector_norm",
            "any",
            "all",
            "count_nonzero",
        ] {
            three(name).arg("dim", [1, -1]).arg("keepdim", false).gives([2]).is("d0 ~d1 ~d2 -> d0");
            three(name).arg("dim", [-1]).arg("keepdim", true).gives([2, 3, 1]).is("d0 d1 ~d2 -> d0 d1 1");
        }
        for name in ["mean", "sum", "max", "min", "norm", "prod", "var", "std", "any", "all"] {
            three(name).gives([]).is("~d0 ~d1 ~d2 ->");
        }
        three("prod.dim_int").arg("dim", 1).gives([2, 4]).is("d0 ~d1 d2 -> d0 d2");
        three("sum.dim_IntList").arg("dim", [] as [i64; 0]).gives([]).is("~d0 ~d1 ~d2 ->");
        three("sum.dim_IntList").none("dim").arg("keepdim", true).gives([1, 1, 1]).is("~d0 ~d1 ~d2 -> 1 1 1");
        for name in ["var_mean", "std_mean", "aminmax"] {
            three(name).arg("dim", [0]).gives([3, 4]).gives([3, 4]).is("~d0 d1 d2 -> d1 d2, d1 d2");
        }
    }

    #[test]
    fn positions_pin_what_they_count() {
        let two = |name: &str| op(&format!("aten::{name}")).t("self", [2, 3]);
        for name in ["max.dim", "min.dim", "median.dim", "nanmedian.dim", "mode", "kthvalue"] {
            two(name).arg("dim", 1).arg("keepdim", true).gives([2, 1]).gives([2, 1]).is("d0 !d1 -> d0 1, d0 1");
        }
        for name in ["argmax", "argmin"] {
            two(name).arg("dim", 1).gives([2]).is("d0 !d1 -> d0");
            two(name).none("dim").gives([]).is("!d0 !d1 ->");
        }
        two("max.other").t("other", [3]).gives([2, 3]).is("d0 d1, d1 -> d0 d1");
    }

    #[test]
    fn softmax_and_sorting_pin_their_dimension() {
        let two = |name: &str| op(&format!("aten::{name}")).t("self", [2, 3]).arg("dim", -1);
        for name in ["softmax.int", "log_softmax.int", "_softmax", "_log_softmax", "argsort"] {
            two(name).gives([2, 3]).is("d0 !d1 -> d0 d1");
        }
        two("sort").gives([2, 3]).gives([2, 3]).is("d0 !d1 -> d0 d1, d0 d1");
        two("topk").arg("k", 2).gives([2, 2]).gives([2, 2]).is("d0 !d1 -> d0 !k0, d0 !k1");
        for name in ["cummax", "cummin"] {
            two(name).gives([2, 3]).gives([2, 3]).is("d0 !d1 -> d0 d1, d0 d1");
        }
    }

    #[test]
    fn running_statistics_are_inexact() {
        for name in ["cumsum", "cumprod", "logcumsumexp"] {
            op(&format!("aten::{name}")).t("self", [2, 3]).arg("dim", 1).gives([2, 3]).is("d0 ~d1 -> d0 d1");
        }
        op("aten::cosine_similarity").t("x1", [2, 3]).t("x2", [3]).arg("dim", 1).gives([2]).is("d0 ~d1, d1 -> d0");
    }
}
