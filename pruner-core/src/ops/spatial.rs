//! Operations on space: pooling, resizing, padding, and moves between channels and space.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;
use super::rule::{Mark, Rule, Term};

/// `pad` in its modes and `constant_pad_nd`. What a constant pads is as free as the rest, like zeros that are
/// concatenated; other modes copy positions, which pins them.
pub(super) fn pad(node: &NodeView) -> Result<Rule, RuleError> {
    let constant = node.op() == "aten::constant_pad_nd" || node.str_or("mode", "constant")? == "constant";
    padding(node, "pad", constant)
}

/// `reflection_pad1d`, `replication_pad2d` and their like.
pub(super) fn pad_copies(node: &NodeView) -> Result<Rule, RuleError> {
    padding(node, "padding", false)
}

/// `_pad_circular`.
pub(super) fn pad_circular(node: &NodeView) -> Result<Rule, RuleError> {
    padding(node, "pad", false)
}

fn padding(node: &NodeView, argument: &'static str, constant: bool) -> Result<Rule, RuleError> {
    let shape = node.shape("self")?;
    let pads = node.ints(argument)?;
    if pads.len() % 2 != 0 || pads.len() / 2 > shape.len() {
        return Err(node.error(argument, "a pair of numbers for each of the last dimensions"));
    }
    // A negative pad crops, which no size can stand for.
    let rewritten = constant && pads.iter().all(|&pad| pad >= 0);
    let mut rule = Builder::new(node);
    let operand = rule.factors("d", shape, Mark::Free);
    let mut result = operand.clone();
    let mut sizes = Vec::with_capacity(pads.len());
    for (place, pair) in pads.chunks_exact(2).enumerate() {
        let dim = shape.len() - 1 - place;
        let (left, right) = (pair[0], pair[1]);
        if rewritten {
            let left = rule.factor(format!("l{dim}"), left, Mark::Free);
            let right = rule.factor(format!("r{dim}"), right, Mark::Free);
            result[dim] = Term::Sum(vec![left.clone(), operand[dim].clone(), right.clone()]);
            sizes.extend([left, right]);
        } else if (left, right) != (0, 0) {
            rule.mark(&operand[dim], Mark::Pinned);
            let padded = shape[dim].saturating_add(left).saturating_add(right);
            result[dim] = rule.factor(format!("p{dim}"), padded, Mark::Pinned);
        }
    }
    rule.operand("self", operand);
    rule.result(result);
    if rewritten {
        rule.sizes(argument, sizes);
    }
    rule.finish()
}

/// `pixel_shuffle`: channels become space.
pub(super) fn pixel_shuffle(node: &NodeView) -> Result<Rule, RuleError> {
    let factor = node.int("upscale_factor")?;
    pattern!("... (c !i !j) h w -> ... c (h i) (w j)").instantiate(node, &[("i", factor), ("j", factor)])
}

/// `pixel_unshuffle`: space becomes channels.
pub(super) fn pixel_unshuffle(node: &NodeView) -> Result<Rule, RuleError> {
    let factor = node.int("downscale_factor")?;
    pattern!("... c (h !i) (w !j) -> ... (c i j) h w").instantiate(node, &[("i", factor), ("j", factor)])
}

/// `channel_shuffle`.
pub(super) fn channel_shuffle(node: &NodeView) -> Result<Rule, RuleError> {
    pattern!("n (g c) ... -> n (c g) ... {groups=g}").instantiate(node, &[("g", node.int("groups")?)])
}

/// `im2col`: windows of space become channels.
pub(super) fn im2col(node: &NodeView) -> Result<Rule, RuleError> {
    pattern!("... c !h !w -> ... (c !k) !l").instantiate(node, &[("k", window(node)?)])
}

/// `col2im`: channels become windows of space.
pub(super) fn col2im(node: &NodeView) -> Result<Rule, RuleError> {
    pattern!("... (c !k) !l -> ... c !h !w").instantiate(node, &[("k", window(node)?)])
}

/// The positions of a window.
fn window(node: &NodeView) -> Result<i64, RuleError> {
    Ok(node.ints("kernel_size")?.into_iter().fold(1, i64::saturating_mul))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        pooling_pins_space,
        resizing_pins_space,
        padding_by_a_constant_adds_axes_that_may_go,
        padding_by_copies_pins,
        channels_and_space_change_places,
    ];

    #[test]
    fn pooling_pins_space() {
        let flat = "d0 d1 !h !w -> d0 d1 !s !t";
        for name in ["aten::max_pool2d", "aten::avg_pool2d", "aten::adaptive_avg_pool2d", "aten::_adaptive_avg_pool2d"]
        {
            op(name).t("self", [2, 3, 8, 8]).gives([2, 3, 4, 4]).is(flat);
        }
        op("aten::max_pool2d").t("self", [3, 8, 8]).gives([3, 4, 4]).is("d0 !h !w -> d0 !s !t");
        for name in ["aten::max_pool2d_with_indices", "aten::adaptive_max_pool2d"] {
            op(name)
                .t("self", [2, 3, 8, 8])
                .gives([2, 3, 4, 4])
                .gives([2, 3, 4, 4])
                .is("d0 d1 !h !w -> d0 d1 !s !t, d0 d1 s t");
        }
        for name in ["aten::max_pool1d", "aten::avg_pool1d", "aten::adaptive_avg_pool1d"] {
            op(name).t("self", [2, 3, 8]).gives([2, 3, 4]).is("d0 d1 !h -> d0 d1 !t");
        }
        for name in ["aten::max_pool1d_with_indices", "aten::adaptive_max_pool1d"] {
            op(name).t("self", [2, 3, 8]).gives([2, 3, 4]).gives([2, 3, 4]).is("d0 d1 !h -> d0 d1 !t, d0 d1 t");
        }
        for name in ["aten::max_pool3d", "aten::avg_pool3d", "aten::adaptive_avg_pool3d", "aten::_adaptive_avg_pool3d"]
        {
            op(name).t("self", [2, 3, 8, 8, 8]).gives([2, 3, 4, 4, 4]).is("d0 d1 !g !h !w -> d0 d1 !r !s !t");
        }
        for name in ["aten::max_pool3d_with_indices", "aten::adaptive_max_pool3d"] {
            op(name)
                .t("self", [2, 3, 8, 8, 8])
                .gives([2, 3, 4, 4, 4])
                .gives([2, 3, 4, 4, 4])
                .is("d0 d1 !g !h !w -> d0 d1 !r !s !t, d0 d1 r s t");
        }
        op("aten::max_unpool2d")
            .t("self", [2, 3, 4, 4])
            .t("indices", [2, 3, 4, 4])
            .gives([2, 3, 8, 8])
            .is("d0 d1 !h !w, d0 d1 h w -> d0 d1 !s !t");
        op("aten::max_unpool3d")
            .t("self", [3, 4, 4, 4])
            .t("indices", [3, 4, 4, 4])
            .gives([3, 8, 8, 8])
            .is("d0 !g !h !w, d0 g h w -> d0 !r !s !t");
    }

    #[test]
    fn resizing_pins_space() {
        for name in ["upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_linear1d"] {
            op(&format!("aten::{name}")).t("self", [2, 3, 4]).gives([2, 3, 8]).is("n c !h -> n c !t");
        }
        for name in [
            "upsample_nearest2d",
            "_upsample_nearest_exact2d",
            "upsample_bilinear2d",
            "_upsample_bilinear2d_aa",
            "upsample_bicubic2d",
            "_upsample_bicubic2d_aa",
        ] {
            op(&format!("aten::{name}.vec"))
                .t("input", [2, 3, 4, 4])
                .arg("output_size", [8, 8])
                .none("scale_factors")
                .gives([2, 3, 8, 8])
                .is("n c !h !w -> n c !s !t");
        }
        for name in ["upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_trilinear3d"] {
            op(&format!("aten::{name}"))
                .t("self", [2, 3, 4, 4, 4])
                .gives([2, 3, 8, 8, 8])
                .is("n c !g !h !w -> n c !r !s !t");
        }
        for name in ["aten::grid_sampler", "aten::grid_sampler_2d"] {
            op(name)
                .t("input", [2, 3, 4, 4])
                .t("grid", [2, 8, 9, 2])
                .gives([2, 3, 8, 9])
                .is("n c !h !w, n !s !t !k -> n c s t");
        }
    }

    #[test]
    fn padding_by_a_constant_adds_axes_that_may_go() {
        let pad = |name| op(name).t("self", [2, 3, 8]).gives([2, 7, 9]);
        pad("aten::pad")
            .arg("pad", [0, 1, 2, 2])
            .s("mode", "constant")
            .none("value")
            .is("d0 d1 d2 -> d0 (l1+d1+r1) (d2+r2) {pad=[l2, r2, l1, r1]}");
        pad("aten::constant_pad_nd").arg("pad", [1, 0, 2, 2]).is("d0 d1 d2 -> d0 (l1+d1+r1) (l2+d2)");
        op("aten::pad").t("self", [2, 3, 8]).arg("pad", [-1, 1, 0, 0]).gives([2, 3, 8]).is("d0 d1 !d2 -> d0 d1 !p2");
    }

    #[test]
    fn padding_by_copies_pins() {
        op("aten::pad")
            .t("self", [2, 3, 8])
            .arg("pad", [1, 1])
            .s("mode", "reflect")
            .gives([2, 3, 10])
            .is("d0 d1 !d2 -> d0 d1 !p2");
        for name in ["reflection_pad1d", "replication_pad1d"] {
            op(&format!("aten::{name}")).t("self", [3, 8]).arg("padding", [1, 1]).gives([3, 10]).is("d0 !d1 -> d0 !p1");
        }
        for name in ["reflection_pad2d", "replication_pad2d"] {
            op(&format!("aten::{name}"))
                .t("self", [2, 3, 8, 8])
                .arg("padding", [1, 1, 0, 0])
                .gives([2, 3, 8, 10])
                .is("d0 d1 d2 !d3 -> d0 d1 d2 !p3");
        }
        for name in ["reflection_pad3d", "replication_pad3d"] {
            op(&format!("aten::{name}"))
                .t("self", [3, 8, 8, 8])
                .arg("padding", [1, 1, 0, 0, 0, 0])
                .gives([3, 8, 8, 10])
                .is("d0 d1 d2 !d3 -> d0 d1 d2 !p3");
        }
        op("aten::_pad_circular").t("self", [3, 8]).arg("pad", [1, 1]).gives([3, 10]).is("d0 !d1 -> d0 !p1");
        let error = op("aten::pad").t("self", [3]).arg("pad", [1]).gives([4]).error();
        assert!(error.contains("argument `pad`"), "{error}");
    }

    #[test]
    fn channels_and_space_change_places() {
        op("aten::pixel_shuffle")
            .t("self", [2, 12, 4, 5])
            .arg("upscale_factor", 2)
            .gives([2, 3, 8, 10])
            .is("d0 (c !i !j) h w -> d0 c (h i) (w j)");
        op("aten::pixel_unshuffle")
            .t("self", [3, 8, 10])
            .arg("downscale_factor", 2)
            .gives([12, 4, 5])
            .is("c (h !i) (w !j) -> (c i j) h w");
        op("aten::channel_shuffle")
            .t("self", [2, 6, 4])
            .arg("groups", 2)
            .gives([2, 6, 4])
            .is("n (g c) d0 -> n (c g) d0 {groups=g}");
        op("aten::native_channel_shuffle")
            .t("self", [2, 6, 4])
            .arg("groups", 3)
            .gives([2, 6, 4])
            .is("n (g c) d0 -> n (c g) d0 {groups=g}");
        op("aten::im2col")
            .t("self", [2, 3, 8, 8])
            .arg("kernel_size", [2, 2])
            .gives([2, 12, 49])
            .is("d0 c !h !w -> d0 (c !k) !l");
        op("aten::col2im")
            .t("self", [2, 12, 49])
            .arg("kernel_size", [2, 2])
            .gives([2, 3, 8, 8])
            .is("d0 (c !k) !l -> d0 c !h !w");
    }
}
