//! How zeros pass through the rows, by class of operation.

use super::table::{ROWS, SINGULAR};
use super::{NodeView, Row, zeros};
use crate::ops::testing::{Op, op};

/// The formula with the operands that the node has.
fn formula(op: Op) -> String {
    let (graph, node) = op.graph();
    let view = NodeView::new(&graph, node);
    let zeros = zeros(&view);
    let name = |&slot: &usize| match view.slots()[slot].index {
        Some(index) => format!("{}[{index}]", view.slots()[slot].argument),
        None => view.slots()[slot].argument.to_owned(),
    };
    let names = |slots: &[usize]| slots.iter().map(name).collect::<Vec<_>>().join(" ");
    let Some(products) = &zeros.products else { return "unknown".to_owned() };
    let products: Vec<String> = products.iter().map(|product| names(product)).collect();
    let divisors = names(&zeros.divisors);
    let sum = products.join(if zeros.pieces { " | " } else { " + " });
    if divisors.is_empty() { sum } else { format!("{sum} / {divisors}") }
}

#[track_caller]
fn check(op: Op, expected: &str) {
    assert_eq!(formula(op), expected);
}

/// An operation of one tensor.
fn of_one(name: &str) -> Op {
    op(name).t("self", [2, 3]).gives([2, 3])
}

#[test]
fn the_rows_are_in_order_and_of_operations_of_the_table() {
    assert!(ROWS.is_sorted_by(|(left, _), (right, _)| left < right));
    assert!(SINGULAR.is_sorted_by(|(left, _), (right, _)| left < right));
    let known = |op: &str| crate::ops::table::OPS.iter().any(|(name, _)| *name == op);
    let unknown: Vec<_> =
        ROWS.iter().map(|(op, _)| *op).chain(SINGULAR.iter().map(|(op, _)| *op)).filter(|op| !known(op)).collect();
    assert!(unknown.is_empty(), "the table of rules has not: {unknown:?}");
}

#[test]
fn a_formula_begins_with_an_argument_that_must_be_there() {
    for (op, row) in ROWS {
        if let Row::New(text) | Row::View(text) = row {
            assert!(!text.split(' ').next().unwrap_or_default().ends_with('?'), "{op}: `{text}`");
        }
    }
}

#[test]
fn functions_that_are_zero_at_zero_keep_zeros_and_others_do_not() {
    for name in ["relu", "gelu", "silu", "tanh", "sin", "erf", "sqrt", "elu", "leaky_relu", "hardswish", "neg", "relu_"]
    {
        check(of_one(&format!("aten::{name}")), "self");
    }
    for name in ["sigmoid", "softplus", "exp", "cos", "log", "hardsigmoid", "rsqrt", "softmax", "ones_like", "sigmoid_"]
    {
        check(of_one(&format!("aten::{name}")), "unknown");
    }
    check(of_one("test::outer"), "unknown");
    check(of_one("aten::fft_fft"), "unknown");
    check(op("aten::dropout").t("input", [2, 3]).gives([2, 3]), "input");
}

#[test]
fn numbers_decide_whether_zero_is_kept() {
    check(of_one("aten::add.Scalar").arg("other", 1.0), "self + ");
    check(of_one("aten::add.Scalar").arg("other", 0), "self");
    check(of_one("aten::mul.Scalar").arg("other", 2.0), "self");
    check(of_one("aten::mul.Scalar").arg("other", 0.0), "");
    check(of_one("aten::div.Scalar").arg("other", 2.0), "self");
    check(of_one("aten::masked_fill.Scalar").t("mask", [3]).arg("value", 0.0), "self");
    check(of_one("aten::masked_fill.Scalar").t("mask", [3]).arg("value", -1.0), "self + ");
    check(of_one("aten::constant_pad_nd").arg("pad", [0, 0]), "self");
    check(of_one("aten::constant_pad_nd").arg("pad", [0, 0]).arg("value", 1.0), "self + ");
    check(of_one("aten::pow.Tensor_Scalar").arg("exponent", 2), "self");
    check(of_one("aten::pow.Tensor_Scalar").arg("exponent", 0), "unknown");
    check(of_one("aten::pow.Tensor_Scalar").arg("exponent", -0.5), "unknown");
    check(of_one("aten::pow.Tensor_Tensor").t("exponent", [3]), "unknown");
    check(of_one("aten::clamp").none("min").arg("max", 6.0), "self");
    check(of_one("aten::clamp").arg("min", 0.1).none("max"), "unknown");
    check(of_one("aten::clamp_min").arg("min", 1e-6), "unknown");
    check(of_one("aten::clamp.Tensor").t("min", [3]).none("max"), "unknown");
    check(of_one("aten::hardtanh"), "self");
    check(of_one("aten::hardtanh").arg("min_val", 0.5), "unknown");
    let dropout = |train: bool| op("aten::alpha_dropout").t("input", [2]).arg("p", 0.5).arg("train", train).gives([2]);
    check(dropout(false), "input");
    check(dropout(true), "unknown");
}

#[test]
fn what_is_made_of_zeros_alone_is_zero() {
    check(op("aten::zeros").arg("size", [2, 3]).gives([2, 3]), "");
    check(of_one("aten::zeros_like"), "");
    check(of_one("aten::zero_"), "");
    check(of_one("aten::fill_.Scalar").arg("value", 0.0), "");
    check(of_one("aten::fill_.Scalar").arg("value", 1.0), "");
    check(op("aten::full").arg("size", [2]).arg("fill_value", 0).gives([2]), "");
    check(op("aten::ones").arg("size", [2]).gives([2]), "unknown");
    check(op("aten::empty").arg("size", [2]).gives([2]), "unknown");
}

#[test]
fn sums_need_all_and_products_one() {
    let two = |name: &str| of_one(name).t("other", [2, 3]);
    check(two("aten::add.Tensor"), "self + other");
    check(two("aten::where.self").t("condition", [3]), "self + other");
    check(two("aten::mul.Tensor"), "self other");
    check(two("aten::div.Tensor"), "self / other");
    check(of_one("aten::addcmul").t("tensor1", [3]).t("tensor2", [3]), "self + tensor1 tensor2");
    check(of_one("aten::addcdiv").t("tensor1", [3]).t("tensor2", [3]), "self + tensor1 / tensor2");
    check(of_one("aten::addmm").t("mat1", [2, 4]).t("mat2", [4, 3]), "self + mat1 mat2");
    check(of_one("aten::max.dim").arg("dim", 1).gives([2]), "self");
    check(two("aten::max.other"), "self + other");
    let linear = || op("aten::linear").t("input", [2, 3]).t("weight", [4, 3]).gives([2, 4]);
    check(linear().t("bias", [4]), "input weight + bias");
    check(linear().none("bias"), "input weight");
    let tensors = [&[2, 3][..], &[3, 4]];
    check(op("aten::einsum").s("equation", "ab,bc").ts("tensors", &tensors).gives([2, 4]), "tensors[0] tensors[1]");
}

#[test]
fn norms_need_their_weight_and_bias() {
    let norm = || op("aten::batch_norm").t("input", [2, 3]).gives([2, 3]);
    check(norm().t("weight", [3]).t("bias", [3]), "weight + bias");
    check(norm().none("weight").none("bias").t("running_mean", [3]), "unknown");
    let rms = || op("aten::rms_norm").t("input", [2, 3]).arg("normalized_shape", [3]).gives([2, 3]);
    check(rms().t("weight", [3]), "input weight");
    check(rms().none("weight"), "input");
}

#[test]
fn what_stands_side_by_side_is_zero_piece_by_piece() {
    check(op("aten::cat").ts("tensors", &[&[2], &[3]]).arg("dim", 0).gives([5]), "tensors[0] | tensors[1]");
    let cell = op("aten::gru_cell").t("input", [2, 3]).t("hx", [2, 5]).t("w_ih", [15, 3]).t("w_hh", [15, 5]);
    check(cell.none("b_ih").none("b_hh").gives([2, 5]), "hx | w_ih | w_hh");
    let query = op("aten::scaled_dot_product_attention").t("query", [5, 4]).t("key", [7, 4]).t("value", [7, 3]);
    check(query.gives([5, 3]), "value");
}

#[test]
fn memory_is_shared_by_views_and_written_in_place() {
    let memory = |op: Op| {
        let (graph, node) = op.graph();
        let zeros = zeros(&NodeView::new(&graph, node));
        (zeros.shared, zeros.written)
    };
    assert_eq!(memory(of_one("aten::relu")), (vec![], vec![]));
    assert_eq!(memory(of_one("aten::view").arg("size", [2, 3])), (vec![0], vec![]));
    assert_eq!(memory(of_one("aten::add_.Tensor").t("other", [3])), (vec![0], vec![0]));
    assert_eq!(memory(of_one("my::layer").t("weight", [3])), (vec![0, 1], vec![]), "nobody knows what it gives");
    assert_eq!(memory(of_one("my::layer_").t("weight", [3])), (vec![0, 1], vec![0, 1]), "nor what it writes");
    assert_eq!(memory(of_one("aten::relu.out").t("out", [3])), (vec![0, 1], vec![0, 1]));
    assert_eq!(memory(of_one("aten::__iand__.Tensor").t("other", [3])), (vec![0, 1], vec![0, 1]));
    assert_eq!(memory(of_one("aten::__and__.Tensor").t("other", [3])), (vec![0, 1], vec![]));
}
