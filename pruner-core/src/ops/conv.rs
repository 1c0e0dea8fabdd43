//! Convolutions: grouped, depthwise, transposed, batched or not.

use super::Choice;
use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;

/// `conv1d`, `conv2d`, `conv3d`.
pub(super) fn convolution(node: &NodeView) -> Result<Choice, RuleError> {
    let groups = groups(node)?;
    let pattern = match (batched(node)?, groups > 1) {
        (true, false) => pattern!("n i !h..., o i !k..., o -> n o !t... {macs=(n o i k... t...)}"),
        (true, true) => {
            pattern!("n (g i) !h..., (g o) i !k..., (g o) -> n (g o) !t... {groups=g; macs=(n g o i k... t...)}")
        }
        (false, false) => pattern!("i !h..., o i !k..., o -> o !t... {macs=(o i k... t...)}"),
        (false, true) => {
            pattern!("(g i) !h..., (g o) i !k..., (g o) -> (g o) !t... {groups=g; macs=(g o i k... t...)}")
        }
    };
    Ok(Choice { pattern, size: Some(("g", groups)) })
}

/// `conv_transpose1d`, `conv_transpose2d`, `conv_transpose3d`.
pub(super) fn transposed(node: &NodeView) -> Result<Choice, RuleError> {
    let groups = groups(node)?;
    let pattern = match (batched(node)?, groups > 1) {
        (true, false) => pattern!("n i !h..., i o !k..., o -> n o !t... {macs=(n o i k... h...)}"),
        (true, true) => {
            pattern!("n (g i) !h..., (g i) o !k..., (g o) -> n (g o) !t... {groups=g; macs=(n g o i k... h...)}")
        }
        (false, false) => pattern!("i !h..., i o !k..., o -> o !t... {macs=(o i k... h...)}"),
        (false, true) => {
            pattern!("(g i) !h..., (g i) o !k..., (g o) -> (g o) !t... {groups=g; macs=(g o i k... h...)}")
        }
    };
    Ok(Choice { pattern, size: Some(("g", groups)) })
}

/// `convolution`, whose attributes say which kind it is.
pub(super) fn any(node: &NodeView) -> Result<Choice, RuleError> {
    if node.bool_or("transposed", false)? { transposed(node) } else { convolution(node) }
}

fn groups(node: &NodeView) -> Result<i64, RuleError> {
    node.int_or("groups", 1)
}

fn batched(node: &NodeView) -> Result<bool, RuleError> {
    let input = node.shape("input")?.len();
    Ok(input == node.shape("weight")?.len())
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::op;

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        convolutions_join_channels_and_pin_space,
        groups_are_a_factor_of_their_own,
        transposed_convolutions_have_the_input_first,
    ];

    #[test]
    fn convolutions_join_channels_and_pin_space() {
        let conv = |name| op(name).t("input", [2, 6, 8]).t("weight", [4, 6, 3]).t("bias", [4]).gives([2, 4, 6]);
        let plain = "n i !h0, o i !k0, o -> n o !t0 {macs=(n o i k0 t0)}";
        conv("aten::conv1d").arg("groups", 1).is(plain);
        conv("aten::conv1d").is(plain);
        conv("aten::convolution").arg("transposed", false).arg("groups", 1).is(plain);
        conv("aten::_convolution").arg("transposed", false).arg("groups", 1).is(plain);
        op("aten::conv2d")
            .t("input", [2, 3, 8, 8])
            .t("weight", [4, 3, 3, 3])
            .none("bias")
            .gives([2, 4, 6, 6])
            .is("n i !h0 !h1, o i !k0 !k1 -> n o !t0 !t1 {macs=(n o i k0 k1 t0 t1)}");
        op("aten::conv2d")
            .t("input", [3, 8, 8])
            .t("weight", [4, 3, 3, 3])
            .t("bias", [4])
            .gives([4, 6, 6])
            .is("i !h0 !h1, o i !k0 !k1, o -> o !t0 !t1 {macs=(o i k0 k1 t0 t1)}");
        op("aten::conv3d")
            .t("input", [2, 3, 4, 8, 8])
            .t("weight", [4, 3, 1, 3, 3])
            .none("bias")
            .gives([2, 4, 4, 6, 6])
            .is("n i !h0 !h1 !h2, o i !k0 !k1 !k2 -> n o !t0 !t1 !t2");
    }

    #[test]
    fn groups_are_a_factor_of_their_own() {
        op("aten::conv2d")
            .t("input", [2, 6, 8, 8])
            .t("weight", [4, 3, 3, 3])
            .t("bias", [4])
            .arg("groups", 2)
            .gives([2, 4, 6, 6])
            .is("n (g i) !h0 !h1, (g o) i !k0 !k1, (g o) -> n (g o) !t0 !t1 {groups=g; macs=(n g o i k0 k1 t0 t1)}");
        op("aten::conv2d")
            .t("input", [2, 6, 8, 8])
            .t("weight", [6, 1, 3, 3])
            .t("bias", [6])
            .arg("groups", 6)
            .gives([2, 6, 6, 6])
            .is("n g !h0 !h1, g i !k0 !k1, g -> n g !t0 !t1 {groups=g; macs=(n g o i k0 k1 t0 t1)}");
        op("aten::conv2d")
            .t("input", [2, 6, 8, 8])
            .t("weight", [12, 1, 3, 3])
            .none("bias")
            .arg("groups", 6)
            .gives([2, 12, 6, 6])
            .is("n g !h0 !h1, (g o) i !k0 !k1 -> n (g o) !t0 !t1");
        op("aten::conv1d")
            .t("input", [6, 8])
            .t("weight", [4, 3, 3])
            .none("bias")
            .arg("groups", 2)
            .gives([4, 6])
            .is("(g i) !h0, (g o) i !k0 -> (g o) !t0 {groups=g; macs=(g o i k0 t0)}");
    }

    #[test]
    fn transposed_convolutions_have_the_input_first() {
        op("aten::conv_transpose1d")
            .t("input", [2, 3, 8])
            .t("weight", [3, 4, 2])
            .t("bias", [4])
            .gives([2, 4, 16])
            .is("n i !h0, i o !k0, o -> n o !t0 {macs=(n o i k0 h0)}");
        op("aten::conv_transpose2d.input")
            .t("input", [2, 6, 8, 8])
            .t("weight", [6, 2, 2, 2])
            .t("bias", [4])
            .arg("groups", 2)
            .gives([2, 4, 16, 16])
            .is("n (g i) !h0 !h1, (g i) o !k0 !k1, (g o) -> n (g o) !t0 !t1 {groups=g; macs=(n g o i k0 k1 h0 h1)}");
        op("aten::conv_transpose3d.input")
            .t("input", [3, 8, 8, 8])
            .t("weight", [3, 4, 2, 2, 2])
            .none("bias")
            .gives([4, 16, 16, 16])
            .is("i !h0 !h1 !h2, i o !k0 !k1 !k2 -> o !t0 !t1 !t2");
        op("aten::conv_transpose1d")
            .t("input", [6, 8])
            .t("weight", [6, 2, 2])
            .none("bias")
            .arg("groups", 2)
            .gives([4, 16])
            .is("(g i) !h0, (g i) o !k0 -> (g o) !t0");
        op("aten::convolution")
            .t("input", [2, 3, 8])
            .t("weight", [3, 4, 2])
            .none("bias")
            .arg("transposed", true)
            .gives([2, 4, 16])
            .is("n i !h0, i o !k0 -> n o !t0");
    }
}
