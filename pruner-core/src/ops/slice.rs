//! Parts of a dimension, and its positions in another order.

use super::build::{Builder, pin_all};
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rewrite, Rule, Term};
use crate::graph::Argument;

/// `slice`: what is before, what is taken and what comes after are axes of their own.
pub(super) fn slice(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let Some(&size) = shape.get(dim) else {
        return Err(node.impossible("a tensor of rank 0 has no slice"));
    };
    let step = node.int_or("step", 1)?;
    let bound = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound }.clamp(0, size);
    let (from, to) = (node.int_or("start", 0)?, node.int_or("end", i64::MAX)?);
    let (start, end) = (bound(from), bound(to).max(bound(from)));
    if step == 1 {
        let segment = Segment { dim, start, len: end - start, size };
        return segment.rule(node, |rule, [before, taken, after]| {
            let all = Term::Sum(vec![before.clone(), taken.clone(), after.clone()]);
            let upto = Term::Sum(vec![before.clone(), taken.clone()]);
            keep_negative(rule, "start", &all, from, start);
            keep_negative(rule, "end", &all, to, end);
            if start > 0 {
                rule.rewrite(Rewrite::Size { argument: "start".to_owned(), term: before.clone() });
            }
            if end < size {
                rule.rewrite(Rewrite::Size { argument: "end".to_owned(), term: upto });
            }
        });
    }
    // Every position of the same remainder: the remainder is an axis that stays, the quotient one that may go.
    let taken = node.result(0)?.get(dim).copied().unwrap_or(0);
    let even = step > 1 && size % step == 0 && (0..step).contains(&start) && taken == size / step;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    let mut result = terms.clone();
    if even {
        let quotient = rule.factor("q", taken, Mark::Free);
        let remainder = rule.factor("s", step, Mark::Pinned);
        let all = Term::Product(vec![quotient.clone(), remainder]);
        keep_negative(&mut rule, "start", &all, from, start);
        if end < size {
            let value = Argument::Int(end);
            rule.rewrite(Rewrite::Value { when: all.clone(), argument: "end".to_owned(), value });
            rule.rewrite(Rewrite::Size { argument: "end".to_owned(), term: all.clone() });
        }
        (terms[dim], result[dim]) = (all, quotient);
    } else {
        rule.mark(&terms[dim], Mark::Pinned);
        result[dim] = rule.factor("p", taken, Mark::Pinned);
    }
    rule.operand("self", terms);
    rule.result(result);
    rule.finish()
}

/// `narrow`.
pub(super) fn narrow(node: &NodeView) -> Result<Rule, RuleError> {
    if node.optional_shape("start").is_some() {
        return pin_all(node);
    }
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let size = shape.get(dim).copied().unwrap_or(0);
    let (from, len) = (node.int("start")?, node.int("length")?);
    let start = if from < 0 { from.saturating_add(size) } else { from };
    if !(0..=size).contains(&start) || !(0..=size - start).contains(&len) {
        return Err(node.error("length", "inside the dimension"));
    }
    Segment { dim, start, len, size }.rule(node, |rule, [before, taken, after]| {
        let all = Term::Sum(vec![before.clone(), taken.clone(), after.clone()]);
        keep_negative(rule, "start", &all, from, start);
        rule.rewrite(Rewrite::Size { argument: "start".to_owned(), term: before.clone() });
        rule.rewrite(Rewrite::Size { argument: "length".to_owned(), term: taken.clone() });
    })
}

/// `select`: the dimension goes, and its index with it.
pub(super) fn select(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    rule.operand("self", terms.clone());
    if dim < terms.len() {
        rule.mark(&terms.remove(dim), Mark::Pinned);
    }
    rule.result(terms);
    rule.finish()
}

/// `slice_scatter` and `select_scatter`: the dimension is written to by index.
pub(super) fn scatter(node: &NodeView) -> Result<Rule, RuleError> {
    let (shape, source) = (node.shape("self")?, node.shape("src")?);
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    let mut written = terms.clone();
    if dim < shape.len() {
        rule.mark(&terms[dim], Mark::Pinned);
        if source.len() < shape.len() {
            written.remove(dim);
        } else {
            written[dim] = rule.factor("p", source[dim], Mark::Pinned);
        }
    }
    rule.operand("self", terms.clone());
    rule.operand("src", written);
    rule.result(terms);
    rule.finish()
}

/// `roll`: what is rolled depends on every position. Without dimensions the tensor is rolled as if it were flat.
pub(super) fn roll(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dims = if node.is_none("dims") { Vec::new() } else { node.dims("dims", shape.len())? };
    let flat = dims.is_empty();
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    for (dim, term) in terms.iter().enumerate() {
        if flat || dims.contains(&dim) {
            rule.mark(term, Mark::Pinned);
        }
    }
    rule.operand("self", terms.clone());
    rule.result(terms);
    rule.finish()
}

/// `flip`: position `i` is the position `i` from the back.
pub(super) fn flip(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    reversed(node, &node.dims("dims", shape.len())?)
}

/// `fliplr`.
pub(super) fn fliplr(node: &NodeView) -> Result<Rule, RuleError> {
    reversed(node, &[1])
}

/// `flipud`.
pub(super) fn flipud(node: &NodeView) -> Result<Rule, RuleError> {
    reversed(node, &[0])
}

/// `diagonal`: the two dimensions become one at the end.
pub(super) fn diagonal(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dims = [node.dim_or("dim1", 0, shape.len())?, node.dim_or("dim2", 1, shape.len())?];
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    let mut result = Vec::with_capacity(terms.len());
    for (dim, term) in terms.iter().enumerate() {
        if dims.contains(&dim) { rule.mark(term, Mark::Pinned) } else { result.push(term.clone()) }
    }
    let len = node.result(0)?.last().copied().unwrap_or(1);
    result.push(rule.factor("p", len, Mark::Pinned));
    rule.operand("self", terms);
    rule.result(result);
    rule.finish()
}

/// `unfold`: windows over a dimension, the places in the window last.
pub(super) fn unfold(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dimension", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    let mut result = terms.clone();
    if dim < terms.len() {
        rule.mark(&terms[dim], Mark::Pinned);
        result[dim] = rule.factor("w", node.result(0)?.get(dim).copied().unwrap_or(0), Mark::Pinned);
    }
    result.push(rule.factor("k", node.int("size")?, Mark::Pinned));
    rule.operand("self", terms);
    rule.result(result);
    rule.finish()
}

/// A longer dimension is no channels: its positions are not worth a table.
const MOST_POSITIONS: i64 = 1 << 24;

struct Segment {
    dim: usize,
    start: i64,
    len: i64,
    size: i64,
}

impl Segment {
    fn rule(&self, node: &NodeView, rewrite: impl Fn(&mut Builder, &[Term; 3])) -> Result<Rule, RuleError> {
        let mut rule = Builder::new(node);
        let mut terms = rule.factors("d", node.shape("self")?, Mark::Free);
        let before = rule.factor("p", self.start, Mark::Free);
        let taken = rule.factor("a", self.len, Mark::Free);
        let after = rule.factor("s", self.size - self.start - self.len, Mark::Free);
        let parts = [before, taken, after];
        let mut result = terms.clone();
        if self.dim < terms.len() {
            terms[self.dim] = Term::Sum(parts.to_vec());
            result[self.dim] = parts[1].clone();
        }
        rule.operand("self", terms);
        rule.result(result);
        rewrite(&mut rule, &parts);
        rule.finish()
    }
}

/// A bound that counts from the back names another position once the dimension is shorter.
fn keep_negative(rule: &mut Builder, argument: &str, all: &Term, written: i64, meant: i64) {
    if written < 0 {
        let value = Argument::Int(meant);
        rule.rewrite(Rewrite::Value { when: all.clone(), argument: argument.to_owned(), value });
    }
}

fn reversed(node: &NodeView, dims: &[usize]) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    let mut result = terms.clone();
    for (dim, term) in result.iter_mut().enumerate().filter(|(dim, _)| dims.contains(dim)) {
        if shape[dim] <= MOST_POSITIONS {
            *term = Term::Index(dim, (0..shape[dim] as u32).rev().collect());
        } else {
            rule.mark(&terms[dim], Mark::Pinned);
        }
    }
    rule.operand("self", terms);
    rule.result(result);
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::{Op, op};

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        a_slice_takes_one_part_of_a_sum,
        a_strided_slice_takes_a_remainder,
        what_is_chosen_by_index_is_pinned,
        rolling_pins_and_flipping_reverses,
    ];

    fn slice(shape: &[i64], start: i64, end: i64, step: i64) -> Op {
        let slice = op("aten::slice.Tensor").t("self", shape).arg("dim", 1);
        slice.arg("start", start).arg("end", end).arg("step", step)
    }

    #[test]
    fn a_slice_takes_one_part_of_a_sum() {
        slice(&[2, 8], 2, 5, 1).gives([2, 3]).is("d0 (p+a+s) -> d0 a {start=p; end=(p+a)}");
        slice(&[2, 8], 0, 5, 1).gives([2, 5]).is("d0 (a+s) -> d0 a {end=(p+a)}");
        slice(&[2, 8], 3, i64::MAX, 1).gives([2, 5]).is("d0 (p+a) -> d0 a {start=p}");
        slice(&[2, 8], 0, i64::MAX, 1).gives([2, 8]).is("d0 a -> d0 a");
        slice(&[2, 8], -3, i64::MAX, 1).gives([2, 3]).is("d0 (p+a) -> d0 a {start=Int(5); start=p}");
        slice(&[2, 8], 0, -1, 1).gives([2, 7]).is("d0 (a+s) -> d0 a {end=Int(7); end=(p+a)}");
        op("aten::slice.Tensor").t("self", [8]).none("start").none("end").gives([8]).is("a -> a");
        let narrow = |start| op("aten::narrow").t("self", [2, 8]).arg("dim", 1).arg("start", start).arg("length", 3);
        narrow(2).gives([2, 3]).is("d0 (p+a+s) -> d0 a {start=p; length=a}");
        narrow(-3).gives([2, 3]).is("d0 (p+a) -> d0 a {start=Int(5); start=p; length=a}");
        let error = narrow(7).gives([2, 3]).error();
        assert!(error.contains("`length`"), "{error}");
    }

    #[test]
    fn a_strided_slice_takes_a_remainder() {
        slice(&[2, 8], 0, i64::MAX, 2).gives([2, 4]).is("d0 (q !s) -> d0 q");
        slice(&[2, 8], 1, 8, 2).gives([2, 4]).is("d0 (q !s) -> d0 q");
        slice(&[2, 8], 0, 7, 2).gives([2, 4]).is("d0 (q !s) -> d0 q {end=Int(7); end=(q s)}");
        slice(&[2, 7], 0, i64::MAX, 2).gives([2, 4]).is("d0 !d1 -> d0 !p");
        slice(&[2, 8], 2, i64::MAX, 2).gives([2, 3]).is("d0 !d1 -> d0 !p");
    }

    #[test]
    fn what_is_chosen_by_index_is_pinned() {
        op("aten::select.int").t("self", [2, 3]).arg("dim", -1).arg("index", 0).gives([2]).is("d0 !d1 -> d0");
        op("aten::select_scatter")
            .t("self", [2, 3])
            .t("src", [2])
            .arg("dim", 1)
            .gives([2, 3])
            .is("d0 !d1, d0 -> d0 d1");
        op("aten::slice_scatter")
            .t("self", [2, 3])
            .t("src", [2, 1])
            .arg("dim", 1)
            .gives([2, 3])
            .is("d0 !d1, d0 !p -> d0 d1");
        op("aten::diagonal").t("self", [2, 3, 3]).arg("dim1", 1).arg("dim2", 2).gives([2, 3]).is("d0 !d1 !d2 -> d0 !p");
        op("aten::unfold")
            .t("self", [2, 8])
            .arg("dimension", 1)
            .arg("size", 3)
            .arg("step", 1)
            .gives([2, 6, 3])
            .is("d0 !d1 -> d0 !w !k");
        for name in ["aten::tril", "aten::triu"] {
            op(name).t("self", [2, 3, 3]).arg("diagonal", 0).gives([2, 3, 3]).is("d0 !m !n -> d0 m n");
        }
        op("aten::as_strided").t("self", [6]).gives([2, 3]).is("!a0_0 -> !r0_0 !r0_1");
        op("aten::diag").t("self", [3]).gives([3, 3]).is("!a0_0 -> !r0_0 !r0_1");
        op("aten::diag_embed").t("self", [2, 3]).gives([2, 3, 3]).is("!a0_0 !a0_1 -> !r0_0 !r0_1 !r0_2");
        op("aten::trace").t("self", [3, 3]).gives([]).is("!a0_0 !a0_1 ->");
        op("aten::rot90").t("self", [2, 3]).gives([3, 2]).is("!a0_0 !a0_1 -> !r0_0 !r0_1");
    }

    #[test]
    fn rolling_pins_and_flipping_reverses() {
        op("aten::roll")
            .t("self", [2, 8, 8, 3])
            .arg("shifts", [-2, -2])
            .arg("dims", [1, 2])
            .gives([2, 8, 8, 3])
            .is("d0 !d1 !d2 d3 -> d0 d1 d2 d3");
        op("aten::roll").t("self", [2, 8]).arg("shifts", [1]).gives([2, 8]).is("!d0 !d1 -> d0 d1");
        op("aten::flip").t("self", [2, 3]).arg("dims", [-1]).gives([2, 3]).is("d0 d1 -> d0 d1[::-1]");
        op("aten::fliplr").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1[::-1]");
        op("aten::flipud").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0[::-1] d1");
    }
}
