//! Look-ups in tables: the vocabulary is pinned, since indices name its positions.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rule};

/// `embedding_bag`: the first result holds the bags, the others are for the backward pass.
pub(super) fn bag(node: &NodeView) -> Result<Rule, RuleError> {
    let [words, size] = *node.shape("weight")? else {
        return Err(node.error("weight", "of rank 2"));
    };
    let [bags, _] = *node.result(0)? else {
        return Err(node.impossible("the first result is not of rank 2"));
    };
    let mut rule = Builder::new(node);
    let words = rule.factor("v", words, Mark::Pinned);
    let size = rule.factor("d", size, Mark::Free);
    let bags = rule.factor("b", bags, Mark::Pinned);
    rule.operand("weight", vec![words, size.clone()]);
    for argument in ["indices", "offsets", "per_sample_weights"] {
        if let Some(shape) = node.optional_shape(argument) {
            let terms = rule.factors(argument, shape, Mark::Pinned);
            rule.operand(argument, terms);
        }
    }
    let bag = vec![bags, size];
    rule.result(bag.clone());
    for (index, shape) in node.results().enumerate().skip(1) {
        // The words with the greatest value, one for each place of a bag.
        let beside = shape == node.result(0)?;
        let terms = if beside { bag.clone() } else { rule.factors(&format!("r{index}_"), shape, Mark::Pinned) };
        rule.result(terms);
    }
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[an_embedding_pins_the_vocabulary];

    #[test]
    fn an_embedding_pins_the_vocabulary() {
        op("aten::embedding")
            .t("weight", [100, 8])
            .t("indices", [2, 5])
            .arg("padding_idx", -1)
            .gives([2, 5, 8])
            .is("!v d, d0 d1 -> d0 d1 d");
        op("aten::embedding").t("weight", [100, 8]).t("indices", []).gives([8]).is("!v d, -> d");
        op("aten::embedding_bag")
            .t("weight", [100, 8])
            .t("indices", [6])
            .t("offsets", [2])
            .none("per_sample_weights")
            .gives([2, 8])
            .gives([6])
            .gives([2])
            .gives([2])
            .is("!v d, !indices0, !offsets0 -> !b d, !r1_0, !r2_0, !r3_0");
        op("aten::embedding_bag")
            .t("weight", [100, 8])
            .t("indices", [6])
            .t("offsets", [2])
            .arg("mode", 2)
            .gives([2, 8])
            .gives([6])
            .gives([2])
            .gives([2, 8])
            .is("!v d, !indices0, !offsets0 -> !b d, !r1_0, !r2_0, b d");
        for name in ["aten::_embedding_bag", "aten::_embedding_bag_forward_only"] {
            op(name)
                .t("weight", [100, 8])
                .t("indices", [6])
                .t("offsets", [2])
                .gives([2, 8])
                .gives([6])
                .gives([2])
                .gives([2])
                .is("!v d, !indices0, !offsets0 -> !b d, !r1_0, !r2_0, !r3_0");
        }
        op("aten::one_hot").t("self", [2, 5]).arg("num_classes", 7).gives([2, 5, 7]).is("d0 d1 -> d0 d1 !v");
    }
}
