//! Tensors made from nothing: each axis is as long as the argument says.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rule};

/// `zeros`, `full`, `new_ones`, `rand` and their like: the same at every position, or random there.
pub(super) fn sized(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", node.result(0)?, Mark::Free);
    rule.sizes("size", terms.clone());
    rule.result(terms);
    rule.finish()
}

/// `normal`, which makes a tensor from nothing or from the means and deviations of another.
pub(super) fn normal(node: &NodeView) -> Result<Rule, RuleError> {
    if node.is_none("size") {
        return super::notation::pattern!("..., ... -> ...").instantiate(node, &[]);
    }
    sized(node)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] =
        &[sizes_of_factories_follow_their_axes, tensors_like_another_have_its_axes, what_tells_positions_is_pinned];

    #[test]
    fn sizes_of_factories_follow_their_axes() {
        for name in ["zeros", "ones", "full", "empty", "rand", "randn", "randint", "randint.low"] {
            op(&format!("aten::{name}")).arg("size", [2, 3]).gives([2, 3]).is("-> d0 d1 {size=[d0, d1]}");
        }
        for name in ["new_zeros", "new_ones", "new_full", "new_empty"] {
            op(&format!("aten::{name}"))
                .t("self", [7])
                .arg("size", [2, 3])
                .gives([2, 3])
                .is("-> d0 d1 {size=[d0, d1]}");
        }
        op("aten::normal.float_float")
            .arg("mean", 0.0)
            .arg("std", 1.0)
            .arg("size", [2])
            .gives([2])
            .is("-> d0 {size=[d0]}");
        op("aten::normal.Tensor_float").t("mean", [2]).arg("std", 1.0).gives([2]).is("d0 -> d0");
    }

    #[test]
    fn tensors_like_another_have_its_axes() {
        for name in [
            "zeros_like",
            "ones_like",
            "full_like",
            "empty_like",
            "rand_like",
            "randn_like",
            "randint_like",
            "bernoulli",
        ] {
            op(&format!("aten::{name}")).t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
        }
    }

    #[test]
    fn what_tells_positions_is_pinned() {
        for name in [
            "arange",
            "arange.start",
            "arange.start_step",
            "linspace",
            "logspace",
            "randperm",
            "bartlett_window",
            "blackman_window",
            "hamming_window",
            "hann_window",
        ] {
            op(&format!("aten::{name}")).gives([5]).is("-> !r0_0");
        }
        for name in ["eye", "eye.m", "tril_indices", "triu_indices"] {
            op(&format!("aten::{name}")).gives([5, 4]).is("-> !r0_0 !r0_1");
        }
        op("aten::scalar_tensor").arg("s", 1.0).gives([]).is("->");
    }
}
