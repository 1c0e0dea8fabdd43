//! Products of matrices and vectors, and `einsum`.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::notation::{Pattern, pattern};
use super::rule::{Mark, Rule, Term};

/// `matmul` in every combination of ranks.
pub(super) fn matmul(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = match (node.shape("self")?.len(), node.shape("other")?.len()) {
        (1, 1) => pattern!("k, k -> {macs=(k)}"),
        (1, _) => pattern!("k, ... k n -> ... n {macs=(... k n)}"),
        (_, 1) => pattern!("... m k, k -> ... m {macs=(... m k)}"),
        _ => pattern!("... m k, ... k n -> ... m n {macs=(... m k n)}"),
    };
    pattern.instantiate(node, &[])
}

/// `addmm`, whose first argument is broadcast.
pub(super) fn addmm(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = match node.shape("self")?.len() {
        0 => pattern!(", m k, k n -> m n {macs=(m k n)}"),
        1 => pattern!("n, m k, k n -> m n {macs=(m k n)}"),
        _ => pattern!("m n, m k, k n -> m n {macs=(m k n)}"),
    };
    pattern.instantiate(node, &[])
}

/// `addmv`, whose first argument is broadcast.
pub(super) fn addmv(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = if node.shape("self")?.is_empty() {
        pattern!(", m k, k -> m {macs=(m k)}")
    } else {
        pattern!("m, m k, k -> m {macs=(m k)}")
    };
    pattern.instantiate(node, &[])
}

/// `baddbmm`, whose first argument is broadcast.
pub(super) fn baddbmm(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = match node.shape("self")?.len() {
        0 => pattern!(", b m k, b k n -> b m n {macs=(b m k n)}"),
        1 => pattern!("n, b m k, b k n -> b m n {macs=(b m k n)}"),
        2 => pattern!("m n, b m k, b k n -> b m n {macs=(b m k n)}"),
        _ => pattern!("b m n, b m k, b k n -> b m n {macs=(b m k n)}"),
    };
    pattern.instantiate(node, &[])
}

/// `inner`: over the last dimensions.
pub(super) fn inner(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = match (node.shape("self")?.len(), node.shape("other")?.len()) {
        (0, _) | (_, 0) => pattern!("..., ... -> ..."),
        _ => pattern!("a... k, b... k -> a... b... {macs=(a... b... k)}"),
    };
    pattern.instantiate(node, &[])
}

/// `einsum`, whose equation is a rule but for the marks.
pub(super) fn einsum(node: &NodeView) -> Result<Rule, RuleError> {
    let equation: String = node.str_or("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let tensors = node.list("tensors")?;
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, output.to_owned()),
        None => (equation.as_str(), implicit_output(&equation)),
    };
    let inputs: Vec<&str> = inputs.split(',').collect();
    let letters = |c: char| c.is_ascii_alphabetic() || c == '.';
    if inputs.len() != tensors.len() || !inputs.concat().chars().chain(output.chars()).all(letters) {
        return Err(node.unsupported(format!("the equation `{equation}`, which is not letters for each tensor")));
    }
    let text = |side: &[&str], spaced: &dyn Fn(&str) -> String| {
        side.iter().map(|tensor| spaced(tensor)).collect::<Vec<_>>().join(", ")
    };
    let pattern = format!("{} -> {}", text(&inputs, &spaced), spaced(&output));
    let mut rule = pattern.parse::<Pattern>()?.instantiate(node, &[])?;
    mark_sums(&mut rule);
    rule.macs = macs(&rule);
    Ok(rule)
}

/// `tensordot`: over pairs of dimensions.
pub(super) fn tensordot(node: &NodeView) -> Result<Rule, RuleError> {
    let (left, right) = (node.shape("self")?, node.shape("other")?);
    let pairs = (node.dims("dims_self", left.len())?, node.dims("dims_other", right.len())?);
    if pairs.0.len() != pairs.1.len() {
        return Err(node.error("dims_other", "as long as `dims_self`"));
    }
    let mut rule = Builder::new(node);
    let a = rule.factors("a", left, Mark::Free);
    let mut b = rule.factors("b", right, Mark::Free);
    for (&from, &to) in pairs.0.iter().zip(&pairs.1) {
        b[to] = a[from].clone();
    }
    let kept = |terms: &[Term], dims: &[usize]| {
        terms
            .iter()
            .enumerate()
            .filter(|(dim, _)| !dims.contains(dim))
            .map(|(_, term)| term.clone())
            .collect::<Vec<_>>()
    };
    let (rows, columns) = (kept(&a, &pairs.0), kept(&b, &pairs.1));
    rule.macs(Term::Product(a.iter().chain(&columns).cloned().collect()));
    rule.operand("self", a);
    rule.operand("other", b);
    rule.result([rows, columns].concat());
    rule.finish()
}

fn spaced(tensor: &str) -> String {
    let split = tensor.replace("...", ".");
    let terms: Vec<String> = split.chars().map(|c| if c == '.' { "...".to_owned() } else { c.to_string() }).collect();
    terms.join(" ")
}

/// What einsum gives without an arrow: the ellipsis, then the letters met once, in order.
fn implicit_output(equation: &str) -> String {
    let mut once: Vec<char> = equation
        .chars()
        .filter(|&letter| letter.is_ascii_alphabetic() && equation.matches(letter).count() == 1)
        .collect();
    once.sort_unstable();
    let ellipsis = if equation.contains("...") { "..." } else { "" };
    once.into_iter().fold(ellipsis.to_owned(), |mut output, letter| {
        output.push(letter);
        output
    })
}

/// A factor that one operand alone sums over is no contraction: no weight makes what is cut vanish.
fn mark_sums(rule: &mut Rule) {
    for factor in 0..rule.factors.len() {
        let has = |terms: &Vec<Term>| terms.contains(&Term::Factor(factor));
        let readers = rule.operands.iter().flatten().filter(|terms| has(terms)).count();
        if readers == 1 && !rule.results.iter().any(has) {
            rule.factors[factor].mark = Mark::Inexact;
        }
    }
}

/// Operands are contracted from left to right; each step costs the product of all factors that it meets.
fn macs(rule: &Rule) -> Option<Term> {
    let operands: Vec<Vec<Term>> = rule.operands.iter().flatten().cloned().collect();
    let mut operands = operands.into_iter().map(|mut terms| {
        terms.retain(|term| *term != Term::UNIT);
        terms
    });
    let mut left = operands.next()?;
    let mut right: Vec<Vec<Term>> = operands.collect();
    let mut steps = Vec::new();
    while !right.is_empty() {
        for term in right.remove(0) {
            if !left.contains(&term) {
                left.push(term);
            }
        }
        steps.push(Term::Product(left.clone()));
        left.retain(|term| right.iter().chain(&rule.results).any(|terms| terms.contains(term)));
    }
    if steps.len() > 1 { Some(Term::Sum(steps)) } else { steps.pop() }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::{Op, op};

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        matmul_follows_the_ranks,
        products_of_fixed_rank_contract_the_inner_dimension,
        what_is_added_to_a_product_is_broadcast,
        einsum_is_read_as_it_is_written,
        tensordot_contracts_pairs_of_dimensions,
    ];

    fn of(name: &str, left: &[i64], right: &[i64]) -> Op {
        let second = if matches!(name, "aten::mm" | "aten::bmm") { "mat2" } else { "other" };
        op(name).t("self", left).t(second, right)
    }

    #[test]
    fn matmul_follows_the_ranks() {
        of("aten::matmul", &[3], &[3]).gives([]).is("k, k -> {macs=(k)}");
        of("aten::matmul", &[3], &[3, 4]).gives([4]).is("k, k n -> n {macs=(k n)}");
        of("aten::matmul", &[3], &[2, 3, 4]).gives([2, 4]).is("k, d0 k n -> d0 n");
        of("aten::matmul", &[2, 3], &[3]).gives([2]).is("m k, k -> m {macs=(m k)}");
        of("aten::matmul", &[5, 2, 3], &[3]).gives([5, 2]).is("d0 m k, k -> d0 m");
        of("aten::matmul", &[2, 3], &[3, 4]).gives([2, 4]).is("m k, k n -> m n {macs=(m k n)}");
        of("aten::matmul", &[5, 6, 2, 3], &[6, 3, 4]).gives([5, 6, 2, 4]).is("d0 d1 m k, d1 k n -> d0 d1 m n");
        of("aten::matmul", &[5, 1, 2, 3], &[6, 3, 4]).gives([5, 6, 2, 4]).is("d0 1 m k, d1 k n -> d0 d1 m n");
    }

    #[test]
    fn products_of_fixed_rank_contract_the_inner_dimension() {
        of("aten::mm", &[2, 3], &[3, 4]).gives([2, 4]).is("m k, k n -> m n {macs=(m k n)}");
        of("aten::bmm", &[5, 2, 3], &[5, 3, 4]).gives([5, 2, 4]).is("b m k, b k n -> b m n {macs=(b m k n)}");
        op("aten::mv").t("self", [2, 3]).t("vec", [3]).gives([2]).is("m k, k -> m {macs=(m k)}");
        op("aten::dot").t("self", [3]).t("tensor", [3]).gives([]).is("k, k -> {macs=(k)}");
        op("aten::vdot").t("self", [3]).t("other", [3]).gives([]).is("k, k -> {macs=(k)}");
        op("aten::outer").t("self", [3]).t("vec2", [4]).gives([3, 4]).is("a, b -> a b {macs=(a b)}");
        op("aten::ger").t("self", [3]).t("vec2", [4]).gives([3, 4]).is("a, b -> a b");
        of("aten::inner", &[2, 3], &[5, 4, 3]).gives([2, 5, 4]).is("a0 k, b0 b1 k -> a0 b0 b1");
        of("aten::linalg_matmul", &[2, 3], &[3, 4]).gives([2, 4]).is("m k, k n -> m n {macs=(m k n)}");
        op("aten::cdist").t("x1", [2, 3, 8]).t("x2", [2, 4, 8]).gives([2, 3, 4]).is("d0 p ~m, d0 r m -> d0 p r");
        of("aten::inner", &[], &[5]).gives([5]).is(", d0 -> d0");
    }

    #[test]
    fn what_is_added_to_a_product_is_broadcast() {
        let addmm =
            |shape: &[i64]| op("aten::addmm").t("self", shape).t("mat1", [2, 3]).t("mat2", [3, 4]).gives([2, 4]);
        addmm(&[2, 4]).is("m n, m k, k n -> m n {macs=(m k n)}");
        addmm(&[4]).is("n, m k, k n -> m n");
        addmm(&[1, 4]).is("1 n, m k, k n -> m n");
        addmm(&[]).is(", m k, k n -> m n");
        let baddbmm = |shape: &[i64]| {
            op("aten::baddbmm").t("self", shape).t("batch1", [5, 2, 3]).t("batch2", [5, 3, 4]).gives([5, 2, 4])
        };
        baddbmm(&[5, 2, 4]).is("b m n, b m k, b k n -> b m n {macs=(b m k n)}");
        baddbmm(&[2, 1]).is("m 1, b m k, b k n -> b m n");
        baddbmm(&[4]).is("n, b m k, b k n -> b m n");
        baddbmm(&[]).is(", b m k, b k n -> b m n");
        let vector = |shape: &[i64]| op("aten::addmv").t("self", shape).t("mat", [2, 3]).t("vec", [3]).gives([2]);
        vector(&[2]).is("m, m k, k -> m {macs=(m k)}");
        vector(&[]).is(", m k, k -> m");
    }

    #[test]
    fn einsum_is_read_as_it_is_written() {
        let einsum = |equation| op("aten::einsum").s("equation", equation);
        einsum("bhld, bhsd -> bhls")
            .ts("tensors", &[&[2, 3, 4, 5], &[2, 3, 6, 5]])
            .gives([2, 3, 4, 6])
            .is("b h l d, b h s d -> b h l s {macs=(b h l d s)}");
        einsum("...ij,...jk")
            .ts("tensors", &[&[7, 2, 3], &[3, 4]])
            .gives([7, 2, 4])
            .is("d0 i j, j k -> d0 i k {macs=(d0 i j k)}");
        einsum("ba").ts("tensors", &[&[2, 3]]).gives([3, 2]).is("b a -> a b");
        einsum("ij->i").ts("tensors", &[&[2, 3]]).gives([2]).is("i ~j -> i");
        einsum("ij,ij->i").ts("tensors", &[&[2, 3], &[2, 1]]).gives([2]).is("i ~j, i 1 -> i {macs=(i j)}");
        einsum("ii->i").ts("tensors", &[&[3, 3]]).gives([3]).is("i i -> i");
        einsum("ab,bc,cd->ad")
            .ts("tensors", &[&[2, 3], &[3, 4], &[4, 5]])
            .gives([2, 5])
            .is("a b, b c, c d -> a d {macs=((a b c)+(a c d))}");
        let bad = einsum("ab->ab").ts("tensors", &[&[2, 3], &[3, 4]]).gives([2, 3]).error();
        assert!(bad.contains("aten::einsum") && bad.contains("ab->ab"), "{bad}");
    }

    #[test]
    fn tensordot_contracts_pairs_of_dimensions() {
        of("aten::tensordot", &[2, 3, 4], &[4, 5, 3])
            .arg("dims_self", [1, -1])
            .arg("dims_other", [2, 0])
            .gives([2, 5])
            .is("a0 a1 a2, a2 b1 a1 -> a0 b1 {macs=(a0 a1 a2 b1)}");
    }
}
