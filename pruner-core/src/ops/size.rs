//! What reads or asserts the sizes of a tensor and makes no tensor.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rewrite, Rule};
use crate::graph::Argument;

/// `sym_size`: the network computes with the size of the dimension, which must stay what it is.
pub(super) fn size(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", 0, shape.len())?;
    let mut rule = Builder::new(node);
    let terms = rule.pinned_along(shape, dim);
    rule.operand("self", terms);
    rule.finish()
}

/// `_assert_tensor_metadata`: sizes that are asserted follow their axes, strides are no longer asserted.
pub(super) fn assert_metadata(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", node.shape("a")?, Mark::Free);
    rule.sizes("size", terms.clone());
    if !node.is_none("stride") {
        for when in terms.clone() {
            rule.rewrite(Rewrite::Value { when, argument: "stride".to_owned(), value: Argument::None });
        }
    }
    rule.operand("a", terms);
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[a_size_that_is_read_is_pinned, what_is_asserted_follows];

    #[test]
    fn a_size_that_is_read_is_pinned() {
        op("aten::sym_size.int").t("self", [2, 3]).arg("dim", 1).is("d0 !d1 ->");
        op("aten::sym_size.int").t("self", [2, 3]).arg("dim", -2).is("!d0 d1 ->");
        op("aten::item").t("self", [1]).is("!a0_0 ->");
        op("aten::_local_scalar_dense").t("self", []).is("->");
        op("aten::sym_numel").t("self", [2, 3]).is("!a0_0 !a0_1 ->");
    }

    #[test]
    fn what_is_asserted_follows() {
        let assert = || op("aten::_assert_tensor_metadata").t("a", [2, 3]);
        assert().is("d0 d1 -> {size=[d0, d1]}");
        let both = assert().arg("size", [2, 3]).arg("stride", [3, 1]);
        both.is("d0 d1 -> {size=[d0, d1]; stride=None; stride=None}");
    }
}
