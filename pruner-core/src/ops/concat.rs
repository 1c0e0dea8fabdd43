//! Tensors put together along a dimension, and taken apart.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rewrite, Rule, Term};
use crate::graph::Argument;

/// `cat`, `concat`, `concatenate`.
pub(super) fn cat(node: &NodeView) -> Result<Rule, RuleError> {
    let result = node.result(0)?;
    let dim = node.dim_or("dim", 0, result.len())?;
    joined(node, result, dim)
}

/// `hstack`: the second dimension, or the first of vectors.
pub(super) fn hstack(node: &NodeView) -> Result<Rule, RuleError> {
    let result = node.result(0)?;
    joined(node, result, usize::from(result.len() > 1))
}

/// `stack`: the new dimension counts the tensors.
pub(super) fn stack(node: &NodeView) -> Result<Rule, RuleError> {
    let result = node.result(0)?;
    let dim = node.dim_or("dim", 0, result.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", result, Mark::Free);
    rule.result(terms.clone());
    if dim < terms.len() {
        rule.mark(&terms.remove(dim), Mark::Pinned);
    }
    for (slot, _) in node.list("tensors")? {
        rule.slot(slot, terms.clone());
    }
    rule.finish()
}

/// `split`, `chunk`, `tensor_split` and their like: equal parts may become unequal.
pub(super) fn split(node: &NodeView) -> Result<Rule, RuleError> {
    if node.optional_shape("tensor_indices_or_sections").is_some() || overlaps(node)? {
        return super::pin_all(node);
    }
    parted(node, |rule, node, dim, parts| {
        if let Some(own) = node.argument("self") {
            let sizes = Argument::Ints(parts.iter().map(|part| rule.size(part)).collect());
            rule.rewrite(Rewrite::Op {
                when: parts.to_vec(),
                op: "aten::split_with_sizes".to_owned(),
                overload: String::new(),
                arguments: vec![
                    ("self".to_owned(), own.clone()),
                    ("split_sizes".to_owned(), sizes),
                    ("dim".to_owned(), Argument::Int(dim as i64)),
                ],
            });
            rule.sizes("split_sizes", parts.to_vec());
        }
    })
}

/// `split_with_sizes`.
pub(super) fn split_with_sizes(node: &NodeView) -> Result<Rule, RuleError> {
    parted(node, |rule, _, _, parts| rule.sizes("split_sizes", parts.to_vec()))
}

/// `unbind`: a result for each position, so that none may go.
pub(super) fn unbind(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    rule.operand("self", terms.clone());
    if dim < terms.len() {
        rule.mark(&terms.remove(dim), Mark::Pinned);
    }
    for _ in 0..node.results().len() {
        rule.result(terms.clone());
    }
    rule.finish()
}

/// Whether the parts are not one after the other: the indices of `tensor_split` may be in any order.
fn overlaps(node: &NodeView) -> Result<bool, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let parts = node.results().map(|part| part.get(dim).copied().unwrap_or(0));
    let disordered = node.ints("indices").is_ok_and(|indices| !indices.is_sorted());
    Ok(disordered && parts.fold(0, i64::saturating_add) != shape.get(dim).copied().unwrap_or(0))
}

fn joined(node: &NodeView, result: &[i64], dim: usize) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", result, Mark::Free);
    let mut parts = Vec::new();
    for (slot, shape) in node.list("tensors")? {
        let Some(shape) = shape else { continue };
        // libtorch lets an empty vector stand among tensors of any rank.
        if shape == [0] && result.len() != 1 {
            continue;
        }
        let part = rule.factor(format!("p{}", parts.len()), shape.get(dim).copied().unwrap_or(1), Mark::Free);
        let mut operand = terms.clone();
        if let Some(term) = operand.get_mut(dim) {
            *term = part.clone();
        }
        rule.slot(slot, operand);
        parts.push(part);
    }
    if let Some(term) = terms.get_mut(dim) {
        *term = Term::Sum(parts);
    }
    rule.result(terms);
    rule.finish()
}

fn parted(node: &NodeView, rewrite: impl Fn(&mut Builder, &NodeView, usize, &[Term])) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    let mut parts = Vec::with_capacity(node.results().len());
    for (index, result) in node.results().enumerate() {
        let part = rule.factor(format!("p{index}"), result.get(dim).copied().unwrap_or(1), Mark::Free);
        let mut piece = terms.clone();
        if let Some(term) = piece.get_mut(dim) {
            *term = part.clone();
        }
        rule.result(piece);
        parts.push(part);
    }
    if let Some(term) = terms.get_mut(dim) {
        *term = Term::Sum(parts.clone());
    }
    rule.operand("self", terms);
    rewrite(&mut rule, node, dim, &parts);
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::graph::Argument;
    use crate::ops::Rewrite;
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] =
        &[concatenation_is_a_sum, stacking_makes_a_pinned_dimension, splits_become_splits_with_sizes, unbinding_pins];

    #[test]
    fn concatenation_is_a_sum() {
        for name in ["aten::cat", "aten::concat", "aten::concatenate"] {
            op(name)
                .ts("tensors", &[&[2, 3, 4], &[2, 5, 4]])
                .arg("dim", 1)
                .gives([2, 8, 4])
                .is("d0 p0 d2, d0 p1 d2 -> d0 (p0+p1) d2");
        }
        op("aten::cat")
            .ts("tensors", &[&[2, 1, 4], &[2, 5, 4], &[2, 1, 4]])
            .arg("dim", -2)
            .gives([2, 7, 4])
            .is("d0 p0 d2, d0 p1 d2, d0 p2 d2 -> d0 (p0+p1+p2) d2");
        op("aten::cat").ts("tensors", &[&[0], &[2, 5]]).arg("dim", 1).gives([2, 5]).is("_, d0 p0 -> d0 p0");
        op("aten::cat").ts("tensors", &[&[0, 5], &[2, 5]]).gives([2, 5]).is("p0 d1, p1 d1 -> p1 d1");
        op("aten::hstack").ts("tensors", &[&[2, 3], &[2, 4]]).gives([2, 7]).is("d0 p0, d0 p1 -> d0 (p0+p1)");
        op("aten::hstack").ts("tensors", &[&[3], &[4]]).gives([7]).is("p0, p1 -> (p0+p1)");
    }

    #[test]
    fn stacking_makes_a_pinned_dimension() {
        op("aten::stack")
            .ts("tensors", &[&[2, 3], &[2, 3]])
            .arg("dim", -1)
            .gives([2, 3, 2])
            .is("d0 d1, d0 d1 -> d0 d1 !d2");
        op("aten::stack").ts("tensors", &[&[], &[]]).gives([2]).is(", -> !d0");
    }

    #[test]
    fn splits_become_splits_with_sizes() {
        let split = |name| op(name).t("self", [2, 6]).arg("dim", 1).gives([2, 3]).gives([2, 3]);
        let rule = "d0 (p0+p1) -> d0 p0, d0 p1 {op=aten::split_with_sizes; split_sizes=[p0, p1]}";
        split("aten::split.Tensor").arg("split_size", 3).is(rule);
        split("aten::split.sizes").arg("split_size", [3, 3]).is(rule);
        split("aten::unsafe_split.Tensor").arg("split_size", 3).is(rule);
        split("aten::chunk").arg("chunks", 2).is(rule);
        split("aten::unsafe_chunk").arg("chunks", 2).is(rule);
        split("aten::tensor_split.sections").arg("sections", 2).is(rule);
        split("aten::split_with_sizes")
            .arg("split_sizes", [3, 3])
            .is("d0 (p0+p1) -> d0 p0, d0 p1 {split_sizes=[p0, p1]}");
        split("aten::unsafe_split_with_sizes")
            .arg("split_sizes", [3, 3])
            .is("d0 (p0+p1) -> d0 p0, d0 p1 {split_sizes=[p0, p1]}");
        op("aten::chunk").t("self", [6]).arg("chunks", 1).gives([6]).is("p0 -> p0");
        let at = |indices: [i64; 2]| op("aten::tensor_split.indices").t("self", [6]).arg("indices", indices);
        at([2, 5]).gives([2]).gives([3]).gives([1]).is("(p0+p1+p2) -> p0, p1, p2");
        at([5, 2]).gives([5]).gives([0]).gives([4]).is("!a0_0 -> !r0_0, !r1_0, !r2_0");
    }

    #[test]
    fn the_split_that_a_chunk_becomes_keeps_tensor_and_dimension() {
        let rule =
            op("aten::chunk").t("self", [2, 6]).arg("chunks", 2).arg("dim", -1).gives([2, 3]).gives([2, 3]).rule();
        let Some(Rewrite::Op { arguments, .. }) = rule.rewrites.first() else { panic!("{rule}") };
        assert_eq!(arguments[1], ("split_sizes".to_owned(), Argument::Ints(vec![3, 3])));
        assert_eq!(arguments[2], ("dim".to_owned(), Argument::Int(1)));
    }

    #[test]
    fn unbinding_pins() {
        op("aten::unbind.int").t("self", [2, 3]).arg("dim", 0).gives([3]).gives([3]).is("!d0 d1 -> d1, d1");
    }
}
