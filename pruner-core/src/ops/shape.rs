//! The order of dimensions, dimensions of size 1, and repetition.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rewrite, Rule, Term};
use crate::graph::Argument;

/// `permute`.
pub(super) fn permute(node: &NodeView) -> Result<Rule, RuleError> {
    let dims = node.dims("dims", node.shape("self")?.len())?;
    reordered(node, &dims)
}

/// `transpose`.
pub(super) fn transpose(node: &NodeView) -> Result<Rule, RuleError> {
    swapped(node, "dim0", "dim1")
}

/// `swapaxes`.
pub(super) fn swapaxes(node: &NodeView) -> Result<Rule, RuleError> {
    swapped(node, "axis0", "axis1")
}

/// `numpy_T` and `t`: all dimensions the other way round.
pub(super) fn reverse(node: &NodeView) -> Result<Rule, RuleError> {
    let dims: Vec<usize> = (0..node.shape("self")?.len()).rev().collect();
    reordered(node, &dims)
}

/// `movedim`: the others keep their order.
pub(super) fn movedim(node: &NodeView) -> Result<Rule, RuleError> {
    let rank = node.shape("self")?.len();
    let (source, destination) = (node.dims("source", rank)?, node.dims("destination", rank)?);
    let mut others = (0..rank).filter(|dim| !source.contains(dim));
    let moved = |dim| destination.iter().position(|&to| to == dim).and_then(|place| source.get(place).copied());
    let dims: Vec<usize> = (0..rank).filter_map(|dim| moved(dim).or_else(|| others.next())).collect();
    reordered(node, &dims)
}

/// `squeeze` in all its overloads: a dimension that a cut makes 1 must not vanish.
pub(super) fn squeeze(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let named = if node.is_none("dim") { (0..shape.len()).collect() } else { node.dims("dim", shape.len())? };
    let gone: Vec<usize> = (0..shape.len()).filter(|dim| named.contains(dim) && shape[*dim] == 1).collect();
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    let at_risk: Vec<Term> =
        named.iter().filter(|dim| !gone.contains(dim)).filter_map(|&dim| terms.get(dim).cloned()).collect();
    for &dim in &gone {
        terms[dim] = Term::UNIT;
    }
    let kept = (0..shape.len()).filter(|dim| !gone.contains(dim)).map(|dim| terms[dim].clone()).collect();
    rule.operand("self", terms);
    rule.result(kept);
    if let (false, Some(own)) = (at_risk.is_empty(), node.argument("self")) {
        let dims = Argument::Ints(gone.iter().map(|&dim| dim as i64).collect());
        rule.rewrite(Rewrite::Op {
            when: at_risk,
            op: node.op().to_owned(),
            overload: "dims".to_owned(),
            arguments: vec![("self".to_owned(), own.clone()), ("dim".to_owned(), dims)],
        });
    }
    rule.finish()
}

/// `unsqueeze`.
pub(super) fn unsqueeze(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len() + 1)?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    rule.operand("self", terms.clone());
    terms.insert(dim, Term::UNIT);
    rule.result(terms);
    rule.finish()
}

/// `expand`, `broadcast_to`: dimensions of size 1 get an axis of their own, as long as the argument says.
pub(super) fn expand(node: &NodeView) -> Result<Rule, RuleError> {
    let (shape, result) = (node.shape("self")?, node.result(0)?);
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", result, Mark::Free);
    rule.operand("self", last(&terms, shape.len()));
    rule.sizes("size", terms.clone());
    rule.result(terms);
    rule.finish()
}

/// `expand_as`: the result has the axes of `other`.
pub(super) fn expand_as(node: &NodeView) -> Result<Rule, RuleError> {
    let (shape, result) = (node.shape("self")?, node.result(0)?);
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", result, Mark::Free);
    rule.operand("self", last(&terms, shape.len()));
    rule.operand("other", terms.clone());
    rule.result(terms);
    rule.finish()
}

/// `repeat`: the whole of each dimension again and again.
pub(super) fn repeat(node: &NodeView) -> Result<Rule, RuleError> {
    repeated(node, "repeats")
}

/// `tile`, whose list may be shorter than the shape.
pub(super) fn tile(node: &NodeView) -> Result<Rule, RuleError> {
    repeated(node, "dims")
}

/// `repeat_interleave` by a number: each position again and again. By a tensor it pins the dimension.
pub(super) fn repeat_interleave(node: &NodeView) -> Result<Rule, RuleError> {
    let Some(shape) = node.optional_shape("self") else {
        return super::pin_all(node);
    };
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    rule.operand("self", terms.clone());
    let flat = node.is_none("dim");
    let dim = if flat { 0 } else { node.dim_or("dim", 0, shape.len())? };
    if flat {
        terms = vec![Term::Product(terms)];
    }
    if let Some(repeats) = node.optional_shape("repeats") {
        let size = node.result(0)?.get(dim).copied().unwrap_or(1);
        let pinned = rule.factors("p", repeats, Mark::Pinned);
        rule.operand("repeats", pinned);
        if let Some(term) = terms.get_mut(dim) {
            rule.mark(term, Mark::Pinned);
            *term = rule.factor("r", size, Mark::Pinned);
        }
    } else {
        let times = rule.factor("r", node.int("repeats")?, Mark::Free);
        rule.rewrite(Rewrite::Size { argument: "repeats".to_owned(), term: times.clone() });
        match terms.get_mut(dim) {
            Some(term) => *term = Term::Product(vec![term.clone(), times]),
            None => terms.push(times),
        }
        if !node.is_none("output_size") {
            rule.rewrite(Rewrite::Size { argument: "output_size".to_owned(), term: terms[dim].clone() });
        }
    }
    rule.result(terms);
    rule.finish()
}

fn repeated(node: &NodeView, argument: &str) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let times = node.ints(argument)?;
    let rank = shape.len().max(times.len());
    let mut rule = Builder::new(node);
    let own = rule.factors("d", shape, Mark::Free);
    let repeats = rule.factors("r", &times, Mark::Free);
    let at = |terms: &[Term], dim: usize| (dim + terms.len()).checked_sub(rank).map(|dim| terms[dim].clone());
    let result = (0..rank).map(|dim| {
        let factors = [at(&repeats, dim), at(&own, dim)].into_iter().flatten().collect();
        Term::Product(factors)
    });
    rule.result(result.collect());
    rule.operand("self", own);
    rule.sizes(argument, repeats);
    rule.finish()
}

fn swapped(node: &NodeView, first: &str, second: &str) -> Result<Rule, RuleError> {
    let rank = node.shape("self")?.len();
    let (first, second) = (node.dim_or(first, 0, rank)?, node.dim_or(second, 1, rank)?);
    let mut dims: Vec<usize> = (0..rank).collect();
    if rank > 0 {
        dims.swap(first, second);
    }
    reordered(node, &dims)
}

/// `mT`, `mH`, `adjoint`: the last two dimensions change places.
pub(super) fn transpose_last(node: &NodeView) -> Result<Rule, RuleError> {
    let rank = node.shape("self")?.len();
    let mut dims: Vec<usize> = (0..rank).collect();
    if rank > 1 {
        dims.swap(rank - 2, rank - 1);
    }
    reordered(node, &dims)
}

fn reordered(node: &NodeView, dims: &[usize]) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", node.shape("self")?, Mark::Free);
    rule.result(dims.iter().filter_map(|&dim| terms.get(dim).cloned()).collect());
    rule.operand("self", terms);
    rule.finish()
}

fn last(terms: &[Term], count: usize) -> Vec<Term> {
    terms[terms.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        dimensions_change_places,
        squeezing_keeps_what_a_cut_makes_one,
        expanding_makes_axes_of_dimensions_of_size_one,
        repeats_are_factors,
    ];

    #[test]
    fn dimensions_change_places() {
        let three = |name| op(name).t("self", [2, 3, 4]);
        three("aten::permute").arg("dims", [2, 0, -2]).gives([4, 2, 3]).is("d0 d1 d2 -> d2 d0 d1");
        three("aten::transpose.int").arg("dim0", 1).arg("dim1", -1).gives([2, 4, 3]).is("d0 d1 d2 -> d0 d2 d1");
        three("aten::transpose_").arg("dim0", 1).arg("dim1", -1).gives([2, 4, 3]).is("d0 d1 d2 -> d0 d2 d1");
        three("aten::swapdims").arg("dim0", 0).arg("dim1", 2).gives([4, 3, 2]).is("d0 d1 d2 -> d2 d1 d0");
        three("aten::swapaxes").arg("axis0", 0).arg("axis1", 2).gives([4, 3, 2]).is("d0 d1 d2 -> d2 d1 d0");
        three("aten::mT").gives([2, 4, 3]).is("d0 d1 d2 -> d0 d2 d1");
        three("aten::mH").gives([2, 4, 3]).is("d0 d1 d2 -> d0 d2 d1");
        three("aten::adjoint").gives([2, 4, 3]).is("d0 d1 d2 -> d0 d2 d1");
        three("aten::numpy_T").gives([4, 3, 2]).is("d0 d1 d2 -> d2 d1 d0");
        three("aten::movedim.int").arg("source", 0).arg("destination", -1).gives([3, 4, 2]).is("d0 d1 d2 -> d1 d2 d0");
        three("aten::moveaxis.intlist")
            .arg("source", [2, 0])
            .arg("destination", [0, 1])
            .gives([4, 2, 3])
            .is("d0 d1 d2 -> d2 d0 d1");
        op("aten::t").t("self", [2, 3]).gives([3, 2]).is("d0 d1 -> d1 d0");
        op("aten::t").t("self", [2]).gives([2]).is("d0 -> d0");
        let error = three("aten::permute").arg("dims", [3, 0, 1]).gives([2, 3, 4]).error();
        assert_eq!(error, "n0 (aten::permute): argument `dims` names dimension 3 of a tensor of rank 3");
    }

    #[test]
    fn squeezing_keeps_what_a_cut_makes_one() {
        op("aten::squeeze").t("self", [2, 1, 3, 1]).gives([2, 3]).is("d0 1 d2 1 -> d0 d2 {op=aten::squeeze.dims}");
        op("aten::squeeze.dim").t("self", [2, 1, 3]).arg("dim", 1).gives([2, 3]).is("d0 1 d2 -> d0 d2");
        op("aten::squeeze.dim")
            .t("self", [2, 4])
            .arg("dim", 1)
            .gives([2, 4])
            .is("d0 d1 -> d0 d1 {op=aten::squeeze.dims}");
        op("aten::squeeze_.dims")
            .t("self", [2, 1, 3])
            .arg("dim", [1, -1])
            .gives([2, 3])
            .is("d0 1 d2 -> d0 d2 {op=aten::squeeze_.dims}");
        op("aten::squeeze.dim").t("self", []).arg("dim", 0).gives([]).is("->");
        op("aten::unsqueeze").t("self", [2, 3]).arg("dim", -1).gives([2, 3, 1]).is("d0 d1 -> d0 d1 1");
        op("aten::unsqueeze_").t("self", [2, 3]).arg("dim", 0).gives([1, 2, 3]).is("d0 d1 -> 1 d0 d1");
    }

    #[test]
    fn expanding_makes_axes_of_dimensions_of_size_one() {
        op("aten::expand")
            .t("self", [1, 3, 1])
            .arg("size", [2, -1, 4])
            .gives([2, 3, 4])
            .is("1 d1 1 -> d0 d1 d2 {size=[d0, d1, d2]}");
        op("aten::expand").t("self", [3]).arg("size", [2, 3]).gives([2, 3]).is("d1 -> d0 d1 {size=[d0, d1]}");
        op("aten::broadcast_to")
            .t("self", [3, 1])
            .arg("size", [3, 4])
            .gives([3, 4])
            .is("d0 1 -> d0 d1 {size=[d0, d1]}");
        op("aten::expand_as").t("self", [3, 1]).t("other", [2, 3, 4]).gives([2, 3, 4]).is("d1 1, d0 d1 d2 -> d0 d1 d2");
    }

    #[test]
    fn repeats_are_factors() {
        op("aten::repeat")
            .t("self", [2, 3])
            .arg("repeats", [4, 1, 5])
            .gives([4, 2, 15])
            .is("d0 d1 -> r0 d0 (r2 d1) {repeats=[r0, r1, r2]}");
        op("aten::tile").t("self", [2, 3]).arg("dims", [5]).gives([2, 15]).is("d0 d1 -> d0 (r0 d1) {dims=[r0]}");
        op("aten::repeat_interleave.self_int")
            .t("self", [2, 3])
            .arg("repeats", 4)
            .arg("dim", 1)
            .none("output_size")
            .gives([2, 12])
            .is("d0 d1 -> d0 (d1 r) {repeats=r}");
        op("aten::repeat_interleave.self_int")
            .t("self", [2, 3])
            .arg("repeats", 4)
            .none("dim")
            .arg("output_size", 24)
            .gives([24])
            .is("d0 d1 -> (d0 d1 r) {repeats=r; output_size=((d0 d1) r)}");
        op("aten::repeat_interleave.self_Tensor")
            .t("self", [2, 3])
            .t("repeats", [3])
            .arg("dim", 1)
            .gives([2, 7])
            .is("d0 !d1, !p0 -> d0 !r");
        op("aten::repeat_interleave.Tensor").t("repeats", [3]).gives([7]).is("!a0_0 -> !r0_0");
    }
}
