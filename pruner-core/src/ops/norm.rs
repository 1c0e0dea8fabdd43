//! Normalisation: the axes over which a statistic is taken are inexact, the others free.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;
use super::rule::{Mark, Rule, Term};

/// `layer_norm` and `rms_norm`, whose last dimensions are as many as `normalized_shape` is long.
pub(super) fn last_dims(node: &NodeView) -> Result<Rule, RuleError> {
    let rank = node.ints("normalized_shape")?.len() as i64;
    let pattern = pattern!("... ~c..., c..., c... -> ... c... {normalized_shape=[c...]}");
    pattern.instantiate(node, &[("c...", rank)])
}

/// `native_layer_norm` and `_fused_rms_norm`, which give the statistics as well.
pub(super) fn last_dims_native(node: &NodeView) -> Result<Rule, RuleError> {
    let input = node.shape("input")?;
    let rank = node.ints("normalized_shape")?.len();
    if rank > input.len() {
        return Err(node.error("normalized_shape", "as short as the shape of the input"));
    }
    let mut rule = Builder::new(node);
    let rest = rule.factors("d", &input[..input.len() - rank], Mark::Free);
    let normal = rule.factors("c", &input[input.len() - rank..], Mark::Inexact);
    let all = [rest.clone(), normal.clone()].concat();
    rule.operand("input", all.clone());
    rule.operand("weight", normal.clone());
    rule.operand("bias", normal.clone());
    rule.result(all);
    for _ in 1..node.results().len() {
        rule.result(rest.iter().cloned().chain(normal.iter().map(|_| Term::UNIT)).collect());
    }
    rule.sizes("normalized_shape", normal);
    rule.finish()
}

/// `group_norm`: whole groups may go, and the size of all of them with a change of their statistics.
pub(super) fn group(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = pattern!("n (g ~i) ~x..., (g i), (g i) -> n (g i) x... {num_groups=g}");
    pattern.instantiate(node, &[("g", node.int("num_groups")?)])
}

/// `native_group_norm`, which takes the sizes by themselves and gives the statistics as well.
pub(super) fn group_native(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern =
        pattern!("n (g ~i) ~x..., (g i), (g i) -> n (g i) x..., n g, n g {N=n; C=(g i); HxW=(x...); group=g}");
    pattern.instantiate(node, &[("g", node.int("group")?)])
}

/// `batch_norm` in the forms that give statistics: those are empty where it does not train.
pub(super) fn batch_native(node: &NodeView) -> Result<Rule, RuleError> {
    let input = node.shape("input")?;
    let Some((&channels, [batch, ..])) = input.get(1).zip(Some(input)) else {
        return Err(node.error("input", "of rank 2 at least"));
    };
    let mut rule = Builder::new(node);
    let n = rule.factor("n", *batch, Mark::Inexact);
    let c = rule.factor("c", channels, Mark::Free);
    let space = rule.factors("x", &input[2..], Mark::Inexact);
    let all: Vec<Term> = [n, c.clone()].into_iter().chain(space).collect();
    rule.operand("input", all.clone());
    for argument in ["weight", "bias", "running_mean", "running_var"] {
        rule.operand(argument, vec![c.clone()]);
    }
    rule.result(all);
    for (index, shape) in node.results().enumerate().skip(1) {
        let statistic = shape == [channels];
        let terms = if statistic { vec![c.clone()] } else { rule.factors(&format!("r{index}_"), shape, Mark::Pinned) };
        rule.result(terms);
    }
    rule.finish()
}

/// `_weight_norm`: the norm is over all dimensions but one.
pub(super) fn weight(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("v")?;
    let kept = match node.int_or("dim", 0)? {
        -1 => None,
        _ => Some(node.dim_or("dim", 0, shape.len())?),
    };
    let mut rule = Builder::new(node);
    let terms: Vec<Term> = (0..shape.len())
        .map(|dim| {
            rule.factor(format!("d{dim}"), shape[dim], if Some(dim) == kept { Mark::Free } else { Mark::Inexact })
        })
        .collect();
    let norm: Vec<Term> = match node.optional_shape("g") {
        Some([]) | None => Vec::new(),
        Some(_) => {
            (0..shape.len()).map(|dim| if Some(dim) == kept { terms[dim].clone() } else { Term::UNIT }).collect()
        }
    };
    rule.operand("v", terms.clone());
    rule.operand("g", norm.clone());
    rule.result(terms);
    if node.results().len() > 1 {
        rule.result(norm);
    }
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        batch_norm_is_exact_in_the_channels,
        layer_norm_is_inexact_in_what_it_normalises,
        group_norm_has_a_factor_for_groups_and_one_inside,
        weight_norm_is_inexact_in_all_but_one_dimension,
    ];

    #[test]
    fn batch_norm_is_exact_in_the_channels() {
        let four = |name| {
            op(name)
                .t("input", [2, 3, 8, 8])
                .t("weight", [3])
                .t("bias", [3])
                .t("running_mean", [3])
                .t("running_var", [3])
        };
        four("aten::batch_norm").arg("training", false).gives([2, 3, 8, 8]).is("~n c ~x0 ~x1, c, c, c, c -> n c x0 x1");
        op("aten::batch_norm")
            .t("input", [2, 3])
            .none("weight")
            .none("bias")
            .t("running_mean", [3])
            .t("running_var", [3])
            .gives([2, 3])
            .is("~n c, _, _, c, c -> n c");
        four("aten::instance_norm").gives([2, 3, 8, 8]).is("n c ~x0 ~x1, c, c, c, c -> n c x0 x1");
        four("aten::native_batch_norm")
            .gives([2, 3, 8, 8])
            .gives([3])
            .gives([3])
            .is("~n c ~x0 ~x1, c, c, c, c -> n c x0 x1, c, c");
        four("aten::_native_batch_norm_legit_no_training")
            .gives([2, 3, 8, 8])
            .gives([0])
            .gives([0])
            .is("~n c ~x0 ~x1, c, c, c, c -> n c x0 x1, !r1_0, !r2_0");
        op("aten::_native_batch_norm_legit.no_stats")
            .t("input", [2, 3])
            .t("weight", [3])
            .t("bias", [3])
            .gives([2, 3])
            .gives([3])
            .gives([3])
            .is("~n c, c, c -> n c, c, c");
        four("aten::cudnn_batch_norm")
            .gives([2, 3, 8, 8])
            .gives([3])
            .gives([3])
            .gives([0])
            .is("~n c ~x0 ~x1, c, c, c, c -> n c x0 x1, c, c, !r3_0");
    }

    #[test]
    fn layer_norm_is_inexact_in_what_it_normalises() {
        op("aten::layer_norm")
            .t("input", [2, 5, 3])
            .arg("normalized_shape", [3])
            .t("weight", [3])
            .t("bias", [3])
            .gives([2, 5, 3])
            .is("d0 d1 ~c0, c0, c0 -> d0 d1 c0 {normalized_shape=[c0]}");
        op("aten::layer_norm")
            .t("input", [2, 5, 3])
            .arg("normalized_shape", [5, 3])
            .none("weight")
            .none("bias")
            .gives([2, 5, 3])
            .is("d0 ~c0 ~c1 -> d0 c0 c1 {normalized_shape=[c0, c1]}");
        op("aten::rms_norm")
            .t("input", [2, 5, 3])
            .arg("normalized_shape", [3])
            .t("weight", [3])
            .gives([2, 5, 3])
            .is("d0 d1 ~c0, c0 -> d0 d1 c0 {normalized_shape=[c0]}");
        op("aten::native_layer_norm")
            .t("input", [2, 5, 3])
            .arg("normalized_shape", [3])
            .t("weight", [3])
            .t("bias", [3])
            .gives([2, 5, 3])
            .gives([2, 5, 1])
            .gives([2, 5, 1])
            .is("d0 d1 ~c0, c0, c0 -> d0 d1 c0, d0 d1 1, d0 d1 1 {normalized_shape=[c0]}");
        op("aten::_fused_rms_norm")
            .t("input", [2, 3])
            .arg("normalized_shape", [3])
            .t("weight", [3])
            .gives([2, 3])
            .gives([2, 1])
            .is("d0 ~c0, c0 -> d0 c0, d0 1 {normalized_shape=[c0]}");
    }

    #[test]
    fn group_norm_has_a_factor_for_groups_and_one_inside() {
        op("aten::group_norm")
            .t("input", [2, 6, 8])
            .arg("num_groups", 2)
            .t("weight", [6])
            .t("bias", [6])
            .gives([2, 6, 8])
            .is("n (g ~i) ~x0, (g i), (g i) -> n (g i) x0 {num_groups=g}");
        op("aten::group_norm")
            .t("input", [2, 6, 8])
            .arg("num_groups", 1)
            .none("weight")
            .none("bias")
            .gives([2, 6, 8])
            .is("n ~i ~x0 -> n i x0 {num_groups=g}");
        op("aten::group_norm")
            .t("input", [2, 6])
            .arg("num_groups", 6)
            .t("weight", [6])
            .t("bias", [6])
            .gives([2, 6])
            .is("n g, g, g -> n g {num_groups=g}");
        op("aten::native_group_norm")
            .t("input", [2, 6, 8])
            .t("weight", [6])
            .t("bias", [6])
            .arg("group", 2)
            .gives([2, 6, 8])
            .gives([2, 2])
            .gives([2, 2])
            .is("n (g ~i) ~x0, (g i), (g i) -> n (g i) x0, n g, n g {N=n; C=(g i); HxW=(x0); group=g}");
    }

    #[test]
    fn weight_norm_is_inexact_in_all_but_one_dimension() {
        op("aten::_weight_norm").t("v", [4, 3]).t("g", [4, 1]).arg("dim", 0).gives([4, 3]).is("d0 ~d1, d0 1 -> d0 d1");
        op("aten::_weight_norm_interface")
            .t("v", [4, 3])
            .t("g", [4, 1])
            .arg("dim", 0)
            .gives([4, 3])
            .gives([4, 1])
            .is("d0 ~d1, d0 1 -> d0 d1, d0 1");
        op("aten::_weight_norm").t("v", [4, 3]).t("g", []).arg("dim", -1).gives([4, 3]).is("~d0 ~d1, -> d0 d1");
    }
}
