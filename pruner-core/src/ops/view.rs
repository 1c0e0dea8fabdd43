//! Reshapes: the common refinement of the dimensions before and after, row-major.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rule, Term};

/// `view`, `_unsafe_view`: the argument is `size`.
pub(super) fn view(node: &NodeView) -> Result<Rule, RuleError> {
    // `view.dtype` takes the bytes of elements for other elements.
    let reads_bytes = node.overload() == "dtype" && node.shape("self")? != node.result(0)?;
    if reads_bytes { super::pin_all(node) } else { reshaped(node, Some("size")) }
}

/// `reshape`: the argument is `shape`.
pub(super) fn reshape(node: &NodeView) -> Result<Rule, RuleError> {
    reshaped(node, Some("shape"))
}

/// `flatten`, `ravel`: no argument is a size.
pub(super) fn flatten(node: &NodeView) -> Result<Rule, RuleError> {
    reshaped(node, None)
}

/// `view_as`, `reshape_as`: the result has the axes of `other`.
pub(super) fn reshape_as(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let (from, to) = refine(&mut rule, node)?;
    rule.operand("self", from);
    rule.operand("other", to.clone());
    rule.result(to);
    rule.finish()
}

/// `unflatten`: one dimension becomes several of the `sizes`.
pub(super) fn unflatten(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let count = node.ints("sizes")?.len();
    let mut rule = Builder::new(node);
    let (from, to) = refine(&mut rule, node)?;
    if let Some(parts) = to.get(dim..dim + count) {
        rule.sizes("sizes", parts.to_vec());
    }
    rule.operand("self", from);
    rule.result(to);
    rule.finish()
}

fn reshaped(node: &NodeView, argument: Option<&str>) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let (from, to) = refine(&mut rule, node)?;
    // `view.dtype` has no sizes.
    if let Some(argument) = argument.filter(|argument| !node.is_none(argument)) {
        rule.sizes(argument, to.clone());
    }
    rule.operand("self", from);
    rule.result(to);
    rule.finish()
}

/// The dimensions before and after in terms of the factors that both are products of. What has no common refinement
/// is pinned.
fn refine(rule: &mut Builder, node: &NodeView) -> Result<(Vec<Term>, Vec<Term>), RuleError> {
    let (from, to) = (node.shape("self")?, node.result(0)?);
    if elements(from) != elements(to) {
        return Err(node.impossible(format!("{from:?} and {to:?} have not the same number of elements")));
    }
    if from == to {
        let terms: Vec<Term> = (0..from.len()).map(|dim| rule.factor(letter(dim), from[dim], Mark::Free)).collect();
        return Ok((terms.clone(), terms));
    }
    if from.contains(&0) || to.contains(&0) {
        return Ok((rule.factors("from", from, Mark::Pinned), rule.factors("to", to, Mark::Pinned)));
    }
    let (mut from, mut to) = (Side::new(from), Side::new(to));
    let mut pieces = Pieces { rule, count: 0 };
    while let (Some(left), Some(right)) = (from.next(), to.next()) {
        let (mut left, mut right) = (vec![left], vec![right]);
        let product = |dims: &[Dim]| dims.iter().fold(1, |all: i64, dim| all.saturating_mul(dim.left));
        loop {
            let more = match product(&left).cmp(&product(&right)) {
                std::cmp::Ordering::Less => from.next().map(|dim| left.push(dim)),
                std::cmp::Ordering::Equal => break,
                std::cmp::Ordering::Greater => to.next().map(|dim| right.push(dim)),
            };
            if more.is_none() {
                break;
            }
        }
        pieces.refine(&mut left, &mut right);
        from.take(left);
        to.take(right);
    }
    Ok((from.terms, to.terms))
}

/// The dimensions of one shape, those of size 1 left out since they are no axes.
struct Side<'s> {
    shape: &'s [i64],
    at: usize,
    terms: Vec<Term>,
}

impl<'s> Side<'s> {
    fn new(shape: &'s [i64]) -> Self {
        Self { shape, at: 0, terms: vec![Term::UNIT; shape.len()] }
    }

    fn next(&mut self) -> Option<Dim> {
        let at = self.at + self.shape[self.at..].iter().position(|&size| size != 1)?;
        self.at = at + 1;
        Some(Dim { at, left: self.shape[at], first: Vec::new(), last: Vec::new() })
    }

    fn take(&mut self, dims: Vec<Dim>) {
        for Dim { at, first, last, .. } in dims {
            let mut factors: Vec<Term> = first.into_iter().chain(last.into_iter().rev()).collect();
            self.terms[at] = if factors.len() == 1 { factors.remove(0) } else { Term::Product(factors) };
        }
    }
}

/// A dimension that is being divided: the factors found at its front and (in reverse) at its back, and the size that
/// is left between them.
struct Dim {
    at: usize,
    left: i64,
    first: Vec<Term>,
    last: Vec<Term>,
}

struct Pieces<'b, 'n, 'g> {
    rule: &'b mut Builder<'n, 'g>,
    count: usize,
}

impl Pieces<'_, '_, '_> {
    /// Divides two runs of dimensions with the same product: the back by common divisors, then the front; what is
    /// left between is pinned.
    fn refine(&mut self, from: &mut [Dim], to: &mut [Dim]) {
        let (mut starts, mut ends) = ((0, 0), (from.len(), to.len()));
        while starts.0 < ends.0 && starts.1 < ends.1 {
            let (a, b) = (&mut from[ends.0 - 1], &mut to[ends.1 - 1]);
            let common = gcd(a.left, b.left);
            if common == 1 {
                break;
            }
            let piece = self.piece(common, Mark::Free);
            a.last.push(piece.clone());
            b.last.push(piece);
            (a.left, b.left) = (a.left / common, b.left / common);
            ends = (ends.0 - usize::from(a.left == 1), ends.1 - usize::from(b.left == 1));
        }
        while starts.0 < ends.0 && starts.1 < ends.1 {
            let (a, b) = (&mut from[starts.0], &mut to[starts.1]);
            let common = gcd(a.left, b.left);
            if common == 1 {
                break;
            }
            let piece = self.piece(common, Mark::Free);
            a.first.push(piece.clone());
            b.first.push(piece);
            (a.left, b.left) = (a.left / common, b.left / common);
            starts = (starts.0 + usize::from(a.left == 1), starts.1 + usize::from(b.left == 1));
        }
        for dim in from.iter_mut().chain(to.iter_mut()).filter(|dim| dim.left > 1) {
            let rest = self.piece(dim.left, Mark::Pinned);
            dim.first.push(rest);
        }
    }

    fn piece(&mut self, size: i64, mark: Mark) -> Term {
        self.count += 1;
        self.rule.factor(letter(self.count - 1), size, mark)
    }
}

fn elements(shape: &[i64]) -> i64 {
    shape.iter().fold(1, |all, &size| all.saturating_mul(size))
}

fn letter(place: usize) -> String {
    let letter = char::from(b'a' + (place % 26) as u8);
    if place < 26 { letter.to_string() } else { format!("{letter}{}", place / 26) }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        dimensions_of_size_one_in_what_is_merged_or_split_are_left_out,
        swap_of_a_multiple_keeps_the_common_divisor,
        three_dimensions_become_two_across_their_bounds,
        the_same_shape_is_the_same_axes,
        merge,
        split,
        three_way_split,
        split_and_merge,
        groups_of_dimensions_are_divided_by_themselves,
        swap_without_a_common_divisor_is_pinned,
        swap_with_a_common_divisor_is_pinned_between,
        dimensions_of_size_one_are_no_axes,
        dimensions_of_size_zero_are_pinned,
        every_form_of_a_reshape_names_its_sizes,
    ];

    #[track_caller]
    fn view(from: &[i64], to: &[i64], rule: &str) {
        op("aten::view").t("self", from).arg("size", to).gives(to).is(rule);
    }

    #[test]
    fn the_same_shape_is_the_same_axes() {
        view(&[2, 3], &[2, 3], "a b -> a b {size=[a, b]}");
        view(&[0, 3], &[0, 3], "a b -> a b");
        view(&[], &[], "->");
    }

    #[test]
    fn merge() {
        view(&[2, 4], &[8], "b a -> (b a) {size=[(b a)]}");
        view(&[2, 3, 4, 5], &[2, 60], "a d c b -> a (d c b) {size=[a, (d c b)]}");
    }

    #[test]
    fn split() {
        view(&[8], &[2, 4], "(b a) -> b a {size=[b, a]}");
        view(&[7, 8], &[7, 2, 4], "a (c b) -> a c b");
    }

    #[test]
    fn three_way_split() {
        view(&[30], &[2, 3, 5], "(c b a) -> c b a");
    }

    #[test]
    fn split_and_merge() {
        view(&[8, 4], &[2, 16], "(c b) a -> c (b a)");
        view(&[2, 16], &[8, 4], "c (b a) -> (c b) a");
        view(&[4, 6, 10], &[24, 2, 5], "b a (d c) -> (b a) d c");
    }

    #[test]
    fn groups_of_dimensions_are_divided_by_themselves() {
        view(&[2, 3, 7, 3, 2], &[3, 2, 7, 2, 3], "!a !b e !f !g -> !c !d e !h !i");
        view(&[6, 7, 8], &[3, 2, 7, 2, 4], "(b a) c (e d) -> b a c e d");
    }

    #[test]
    fn swap_without_a_common_divisor_is_pinned() {
        view(&[2, 3], &[3, 2], "!a !b -> !c !d");
        view(&[5, 2, 3], &[5, 3, 2], "a !b !c -> a !d !e");
    }

    #[test]
    fn swap_with_a_common_divisor_is_pinned_between() {
        view(&[4, 6], &[6, 4], "(b !c) (!d a) -> (b !e) (!f a)");
        view(&[2, 4], &[4, 2], "c (b a) -> (c b) a");
    }

    #[test]
    fn dimensions_of_size_one_are_no_axes() {
        view(&[2, 3, 1, 1], &[2, 3], "a b 1 1 -> a b {size=[a, b]}");
        view(&[2, 3], &[1, 2, 1, 3], "a b -> 1 a 1 b {size=[1, a, 1, b]}");
        view(&[1], &[], "1 ->");
        view(&[], &[1, 1], "-> 1 1");
    }

    #[test]
    fn dimensions_of_size_one_in_what_is_merged_or_split_are_left_out() {
        view(&[2, 1, 4], &[8], "b 1 a -> (b a)");
        view(&[8, 1], &[2, 1, 4], "(b a) 1 -> b 1 a");
        view(&[1, 1], &[1], "1 1 -> 1");
    }

    #[test]
    fn swap_of_a_multiple_keeps_the_common_divisor() {
        view(&[4, 8], &[8, 4], "c (b a) -> (c b) a");
        view(&[8, 4], &[4, 8], "(c b) a -> c (b a)");
    }

    #[test]
    fn three_dimensions_become_two_across_their_bounds() {
        view(&[2, 6, 5], &[4, 15], "d (c b) a -> (d c) (b a)");
    }

    #[test]
    fn dimensions_of_size_zero_are_pinned() {
        view(&[0, 3], &[0], "!from0 !from1 -> !to0");
        view(&[3, 0, 2], &[2, 0], "!from0 !from1 !from2 -> !to0 !to1");
        view(&[2, 0], &[2, 0, 5], "!from0 !from1 -> !to0 !to1 !to2");
    }

    #[test]
    fn every_form_of_a_reshape_names_its_sizes() {
        op("aten::reshape")
            .t("self", [2, 12])
            .arg("shape", [2, -1, 4])
            .gives([2, 3, 4])
            .is("a (c b) -> a c b {shape=[a, c, b]}");
        op("aten::_unsafe_view")
            .t("self", [2, 3, 4])
            .arg("size", [6, 4])
            .gives([6, 4])
            .is("b a c -> (b a) c {size=[(b a), c]}");
        op("aten::flatten.using_ints")
            .t("self", [2, 3, 4])
            .arg("start_dim", 1)
            .arg("end_dim", -1)
            .gives([2, 12])
            .is("a c b -> a (c b)");
        op("aten::ravel").t("self", [2, 3]).gives([6]).is("b a -> (b a)");
        op("aten::unflatten.int")
            .t("self", [2, 12])
            .arg("dim", -1)
            .arg("sizes", [3, 4])
            .gives([2, 3, 4])
            .is("a (c b) -> a c b {sizes=[c, b]}");
        op("aten::view_as").t("self", [2, 12]).t("other", [2, 3, 4]).gives([2, 3, 4]).is("a (c b), a c b -> a c b");
        op("aten::reshape_as").t("self", [2, 12]).t("other", [24]).gives([24]).is("b a, (b a) -> (b a)");
        op("aten::view.dtype").t("self", [2, 12]).gives([2, 24]).is("!a0_0 !a0_1 -> !r0_0 !r0_1");
        op("aten::view.dtype").t("self", [2, 12]).gives([2, 12]).is("a b -> a b");
    }

    #[test]
    fn a_view_that_cannot_be_is_an_error() {
        let error = op("aten::view").t("self", [2, 3]).arg("size", [7]).gives([7]).error();
        assert!(error.starts_with("n0 (aten::view): "), "{error}");
    }
}
