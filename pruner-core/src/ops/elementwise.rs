//! Operations on elements, where attributes or the number of tensors matter; the plain ones are rows alone.

use super::build::{Builder, pin_all};
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;
use super::rule::{Mark, Rule, Term};

/// `where`; with a condition alone it gives positions.
pub(super) fn select(node: &NodeView) -> Result<Rule, RuleError> {
    if node.argument("self").is_none() && node.argument("other").is_none() {
        return pin_all(node);
    }
    pattern!("..., ..., ... -> ...").instantiate(node, &[])
}

/// `prelu`: its weight is one number, or one for each position of the second dimension.
pub(super) fn prelu(node: &NodeView) -> Result<Rule, RuleError> {
    let pattern = match (node.shape("self")?.len(), node.shape("weight")?.len()) {
        (_, 0) => pattern!("..., -> ..."),
        (0 | 1, _) => pattern!("..., 1 -> ..."),
        _ => pattern!("n c ..., c -> n c ..."),
    };
    pattern.instantiate(node, &[])
}

/// `glu`: the first half of a dimension times the sigmoid of the second.
pub(super) fn glu(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let dim = node.dim_or("dim", -1, shape.len())?;
    let mut rule = Builder::new(node);
    let mut terms = rule.factors("d", shape, Mark::Free);
    let halves = rule.factor("two", 2, Mark::Pinned);
    let half = rule.factor("c", shape.get(dim).map_or(0, |size| size / 2), Mark::Free);
    if dim < terms.len() {
        terms[dim] = Term::Product(vec![halves, half.clone()]);
    }
    rule.operand("self", terms.clone());
    if dim < terms.len() {
        terms[dim] = half;
    }
    rule.result(terms);
    rule.finish()
}

/// `broadcast_tensors` and `meshgrid`-like forms that give as many tensors as they take.
pub(super) fn broadcast_tensors(node: &NodeView) -> Result<Rule, RuleError> {
    let shape = node.result(0)?;
    let mut rule = Builder::new(node);
    let terms = rule.factors("d", shape, Mark::Free);
    for (slot, shape) in node.list("tensors")? {
        if let Some(shape) = shape {
            rule.slot(slot, terms[terms.len().saturating_sub(shape.len())..].to_vec());
        }
    }
    for _ in 0..node.results().len() {
        rule.result(terms.clone());
    }
    rule.finish()
}

/// `meshgrid`: the dimension `i` of each result is that of the argument `i`, the first two swapped for `xy`.
pub(super) fn meshgrid(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    let mut axes = Vec::new();
    for (slot, shape) in node.list("tensors")? {
        let term = match shape {
            Some(&[size]) => rule.factor(format!("d{slot}"), size, Mark::Free),
            _ => Term::UNIT,
        };
        if shape.is_some_and(|shape| shape.len() == 1) {
            rule.slot(slot, vec![term.clone()]);
        }
        axes.push(term);
    }
    if node.str_or("indexing", "ij")? == "xy" && axes.len() > 1 {
        axes.swap(0, 1);
    }
    for _ in 0..node.results().len() {
        rule.result(axes.clone());
    }
    rule.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        functions_of_one_tensor_keep_every_axis,
        functions_of_two_tensors_broadcast_both,
        the_parts_of_complex_numbers_are_pinned,
        operands_are_broadcast_at_the_right,
        in_place_forms_have_the_rule_of_the_others,
        every_operand_of_three_takes_part,
        prelu_has_a_weight_per_channel_or_one,
        glu_joins_the_halves,
        conversions_keep_axes_and_do_not_join_what_lends_its_type,
        several_tensors_are_broadcast_together,
    ];

    #[rustfmt::skip]
    const OF_ONE: &[&str] = &[
        "_conj", "abs", "absolute", "acos", "acosh", "alias", "alias_copy", "alpha_dropout", "angle", "arccos",
        "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh", "atan", "atanh", "bitwise_not",
        "cauchy", "ceil", "celu", "clone", "conj", "conj_physical", "contiguous", "cos", "cosh", "deg2rad",
        "detach", "detach_copy", "digamma", "elu", "erf", "erfc", "erfinv", "exp", "exp2", "expm1",
        "exponential", "feature_alpha_dropout", "feature_dropout", "fix", "floor", "frac", "gelu", "geometric",
        "hardshrink", "hardsigmoid", "hardswish", "i0", "imag", "isfinite", "isinf", "isnan", "isneginf",
        "isposinf", "isreal", "leaky_relu", "lgamma", "lift", "lift_fresh", "lift_fresh_copy", "log", "log10",
        "log1p", "log2", "log_normal", "log_sigmoid", "logical_not", "logit", "mish", "mvlgamma", "nan_to_num",
        "neg", "negative", "polygamma", "positive", "rad2deg", "real", "reciprocal", "relu6", "requires_grad",
        "resolve_conj", "resolve_neg", "round", "rrelu", "rsqrt", "selu", "sgn", "sigmoid", "sign", "signbit",
        "silu", "sin", "sinc", "sinh", "softplus", "softshrink", "special_entr", "special_erf", "special_erfc",
        "special_exp2", "special_expit", "special_expm1", "special_log1p", "special_logit", "special_ndtr",
        "special_ndtri", "special_sinc", "sqrt", "square", "tan", "tanh", "threshold", "to_dense", "trunc",
        "uniform",
    ];

    #[rustfmt::skip]
    const OF_TWO: &[&str] = &[
        "__and__", "__iand__", "__ilshift__", "__ior__", "__irshift__", "__ixor__", "__lshift__", "__or__",
        "__rshift__", "__xor__", "arctan2", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or",
        "bitwise_right_shift", "bitwise_xor", "copysign", "div", "divide", "eq", "floor_divide", "fmax", "fmin",
        "fmod", "gcd", "ge", "greater", "greater_equal", "gt", "hypot", "isclose", "lcm", "ldexp", "le", "less",
        "less_equal", "logaddexp", "logaddexp2", "logical_and", "logical_or", "logical_xor", "lt", "maximum",
        "minimum", "mul", "multiply", "ne", "nextafter", "not_equal", "remainder", "rsub", "special_xlog1py",
        "special_xlogy", "sub", "subtract", "true_divide", "xlogy",
    ];

    #[test]
    fn functions_of_one_tensor_keep_every_axis() {
        for name in OF_ONE {
            op(&format!("aten::{name}")).t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
        }
    }

    #[test]
    fn functions_of_two_tensors_broadcast_both() {
        for name in OF_TWO {
            let two = |left: &[i64], right: &[i64]| op(&format!("aten::{name}")).t("self", left).t("other", right);
            two(&[2, 3], &[2, 3]).gives([2, 3]).is("d0 d1, d0 d1 -> d0 d1");
            two(&[2, 1], &[3]).gives([2, 3]).is("d0 1, d1 -> d0 d1");
        }
        let named =
            |name, first, second| op(name).t(first, [2, 3]).t(second, [3]).gives([2, 3]).is("d0 d1, d1 -> d0 d1");
        named("aten::clamp_max.Tensor", "self", "max");
        named("aten::clamp_min.Tensor", "self", "min");
        named("aten::complex", "real", "imag");
        named("aten::polar", "abs", "angle");
        named("aten::float_power.Tensor_Tensor", "self", "exponent");
        named("aten::heaviside", "self", "values");
        named("aten::rrelu_with_noise", "self", "noise");
    }

    #[test]
    fn the_parts_of_complex_numbers_are_pinned() {
        op("aten::view_as_complex").t("self", [3, 2]).gives([3]).is("d0 !two -> d0");
        op("aten::view_as_real").t("self", [3]).gives([3, 2]).is("d0 -> d0 !two");
    }

    #[test]
    fn operands_are_broadcast_at_the_right() {
        let add = |left: &[i64], right: &[i64], out: &[i64]| {
            op("aten::add.Tensor").t("self", left).t("other", right).gives(out)
        };
        add(&[2, 3, 4], &[2, 3, 4], &[2, 3, 4]).is("d0 d1 d2, d0 d1 d2 -> d0 d1 d2");
        add(&[2, 3, 4], &[3, 1], &[2, 3, 4]).is("d0 d1 d2, d1 1 -> d0 d1 d2");
        add(&[3, 1], &[2, 3, 4], &[2, 3, 4]).is("d1 1, d0 d1 d2 -> d0 d1 d2");
        add(&[2, 1], &[1, 3], &[2, 3]).is("d0 1, 1 d1 -> d0 d1");
        add(&[], &[3], &[3]).is(", d0 -> d0");
        add(&[1], &[1], &[1]).is("d0, d0 -> d0");
        add(&[0, 3], &[1, 3], &[0, 3]).is("d0 d1, 1 d1 -> d0 d1");
        op("aten::add.Scalar").t("self", [2, 3]).arg("other", 1.0).gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::pow.Scalar").arg("self", 2.0).t("exponent", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
    }

    #[test]
    fn sizes_that_contradict_name_node_argument_and_dimension() {
        let error = op("aten::mul.Tensor").t("self", [2, 3]).t("other", [2, 4]).gives([2, 4]).error();
        assert_eq!(error, "n0 (aten::mul): dimension 1 of argument `other` has size 4, where `d1` has 3");
        let error = op("aten::relu").t("self", [2, 3]).gives([2, 4]).error();
        assert_eq!(error, "n0 (aten::relu): dimension 1 of result 0 has size 4, where `d1` has 3");
    }

    #[test]
    fn in_place_forms_have_the_rule_of_the_others() {
        op("aten::relu_").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::add_.Tensor").t("self", [2, 3]).t("other", [3]).gives([2, 3]).is("d0 d1, d1 -> d0 d1");
        op("aten::copy_").t("self", [2, 3]).t("src", [2, 1]).gives([2, 3]).is("d0 d1, d0 1 -> d0 d1");
        op("aten::fill_.Tensor").t("self", [2, 3]).t("value", []).gives([2, 3]).is("d0 d1, -> d0 d1");
        op("aten::zero_").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::dropout_").t("self", [2, 3]).arg("p", 0.5).arg("train", true).gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::hardtanh_").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
    }

    #[test]
    fn every_operand_of_three_takes_part() {
        op("aten::where.self")
            .t("condition", [4, 1])
            .t("self", [2, 4, 3])
            .t("other", [])
            .gives([2, 4, 3])
            .is("d1 1, d0 d1 d2, -> d0 d1 d2");
        op("aten::where.ScalarSelf")
            .t("condition", [3])
            .arg("self", 0.0)
            .t("other", [2, 3])
            .gives([2, 3])
            .is("d1, d0 d1 -> d0 d1");
        op("aten::where").t("condition", [3, 3]).gives([4]).gives([4]).is("!a0_0 !a0_1 -> !r0_0, !r1_0");
        op("aten::masked_fill.Scalar")
            .t("self", [2, 3, 3])
            .t("mask", [3, 3])
            .arg("value", 0.0)
            .gives([2, 3, 3])
            .is("d0 d1 d2, d1 d2 -> d0 d1 d2");
        op("aten::addcmul")
            .t("self", [2, 3])
            .t("tensor1", [3])
            .t("tensor2", [2, 1])
            .gives([2, 3])
            .is("d0 d1, d1, d0 1 -> d0 d1");
        op("aten::addcdiv")
            .t("self", [2, 3])
            .t("tensor1", [3])
            .t("tensor2", [2, 1])
            .gives([2, 3])
            .is("d0 d1, d1, d0 1 -> d0 d1");
        op("aten::clip.Tensor").t("self", [2, 3]).t("min", [2, 1]).none("max").gives([2, 3]).is("d0 d1, d0 1 -> d0 d1");
        op("aten::lerp.Scalar").t("self", [3]).t("end", [3]).arg("weight", 0.5).gives([3]).is("d0, d0 -> d0");
        op("aten::clamp").t("self", [3]).none("min").arg("max", 6.0).gives([3]).is("d0 -> d0");
        op("aten::clamp.Tensor").t("self", [2, 3]).none("min").t("max", [3]).gives([2, 3]).is("d0 d1, _, d1 -> d0 d1");
    }

    #[test]
    fn prelu_has_a_weight_per_channel_or_one() {
        let prelu = |shape: &[i64], weight: &[i64]| op("aten::prelu").t("self", shape).t("weight", weight).gives(shape);
        prelu(&[2, 3, 4], &[3]).is("n c d0, c -> n c d0");
        prelu(&[2, 3, 4], &[1]).is("n c d0, 1 -> n c d0");
        op("aten::_prelu_kernel")
            .t("self", [2, 3, 4])
            .t("weight", [1, 3, 1])
            .gives([2, 3, 4])
            .is("d0 d1 d2, 1 d1 1 -> d0 d1 d2");
        prelu(&[3], &[1]).is("d0, 1 -> d0");
        prelu(&[2, 3], &[]).is("d0 d1, -> d0 d1");
    }

    #[test]
    fn glu_joins_the_halves() {
        op("aten::glu").t("self", [2, 6, 4]).arg("dim", 1).gives([2, 3, 4]).is("d0 (!two c) d2 -> d0 c d2");
        op("aten::glu").t("self", [2, 6]).gives([2, 3]).is("d0 (!two c) -> d0 c");
    }

    #[test]
    fn conversions_keep_axes_and_do_not_join_what_lends_its_type() {
        op("aten::_to_copy").t("self", [2, 3]).none("dtype").gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::to.dtype").t("self", [2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1");
        op("aten::type_as").t("self", [2, 3]).t("other", [2, 3]).gives([2, 3]).is("d0 d1, o0 o1 -> d0 d1");
        op("aten::native_dropout").t("input", [2, 3]).gives([2, 3]).gives([2, 3]).is("d0 d1 -> d0 d1, d0 d1");
    }

    #[test]
    fn several_tensors_are_broadcast_together() {
        op("aten::broadcast_tensors")
            .ts("tensors", &[&[2, 1], &[3]])
            .gives([2, 3])
            .gives([2, 3])
            .is("d0 1, d1 -> d0 d1, d0 d1");
        op("aten::meshgrid").ts("tensors", &[&[2], &[3]]).gives([2, 3]).gives([2, 3]).is("d0, d1 -> d0 d1, d0 d1");
        op("aten::meshgrid.indexing")
            .ts("tensors", &[&[2], &[3]])
            .s("indexing", "xy")
            .gives([3, 2])
            .gives([3, 2])
            .is("d0, d1 -> d1 d0, d1 d0");
    }
}
