//! Fully connected layers.

use super::Choice;
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;

/// `linear`, whose weight may be a vector.
pub(super) fn linear(node: &NodeView) -> Result<Choice, RuleError> {
    let pattern = if node.shape("weight")?.len() == 1 {
        pattern!("... i, i, -> ... {macs=(... i)}")
    } else {
        pattern!("... i, o i, o -> ... o {macs=(... o i)}")
    };
    Ok(Choice { pattern, size: None })
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[linear_layers_contract_the_last_dimension];

    #[test]
    fn linear_layers_contract_the_last_dimension() {
        op("aten::linear")
            .t("input", [2, 5, 3])
            .t("weight", [4, 3])
            .t("bias", [4])
            .gives([2, 5, 4])
            .is("d0 d1 i, o i, o -> d0 d1 o {macs=(d0 d1 o i)}");
        op("aten::linear").t("input", [3]).t("weight", [4, 3]).none("bias").gives([4]).is("i, o i -> o {macs=(o i)}");
        op("aten::linear")
            .t("input", [2, 3])
            .t("weight", [3])
            .none("bias")
            .gives([2])
            .is("d0 i, i -> d0 {macs=(d0 i)}");
        op("aten::bilinear")
            .t("input1", [2, 3])
            .t("input2", [2, 4])
            .t("weight", [5, 3, 4])
            .t("bias", [5])
            .gives([2, 5])
            .is("d0 i, d0 j, o i j, o -> d0 o {macs=(d0 o i j)}");
    }
}
