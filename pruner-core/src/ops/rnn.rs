//! Recurrent layers and cells.
//!
//! The state stacks all layers and directions, so that they share one hidden axis. The input of a further layer holds
//! the outputs of both directions, one after the other.

use super::build::Builder;
use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Mark, Rule, Term};

/// `lstm`: four gates, and perhaps a projection of what is given on.
pub(super) fn lstm(node: &NodeView) -> Result<Rule, RuleError> {
    layers(node, 4, 2)
}

/// `gru`: three gates.
pub(super) fn gru(node: &NodeView) -> Result<Rule, RuleError> {
    layers(node, 3, 1)
}

/// `rnn_tanh`, `rnn_relu`: no gates.
pub(super) fn plain(node: &NodeView) -> Result<Rule, RuleError> {
    layers(node, 1, 1)
}

fn layers(node: &NodeView, gates: i64, states: usize) -> Result<Rule, RuleError> {
    let packed = node.is_none("input");
    let input = node.shape(if packed { "data" } else { "input" })?;
    let hx: Vec<(usize, &[i64])> = match node.optional_shape("hx") {
        Some(shape) => node.slot("hx").map(|slot| (slot, shape)).into_iter().collect(),
        None => present(node, "hx")?,
    };
    let params = present(node, "params")?;
    let layers = node.int("num_layers")?.max(0) as usize;
    let directions = if node.bool_or("bidirectional", false)? { 2 } else { 1 };
    let per_cell = if node.bool_or("has_biases", true)? { 4 } else { 2 };
    let cells = layers.saturating_mul(directions);
    let projected = states == 2 && params.len() == cells.saturating_mul(per_cell + 1);
    if hx.len() != states || cells == 0 || (params.len() != cells.saturating_mul(per_cell) && !projected) {
        return Err(node.error("params", "as long as layers, directions and biases ask for"));
    }
    let (&[stacked, batch, given], &[_, _, hidden]) = (hx[0].1, hx[states - 1].1) else {
        return Err(node.error("hx", "of rank 3"));
    };
    let (1.., Some(&features)) = (input.len(), input.last()) else {
        return Err(node.error("input", "of rank 3"));
    };

    let mut rule = Builder::new(node);
    let k = rule.factor("k", stacked, Mark::Pinned);
    let gate = rule.factor("gates", gates, Mark::Pinned);
    let i = rule.factor("i", features, Mark::Free);
    // libtorch tells a projection by its being smaller than what it projects, which must stay so.
    let h = rule.factor("h", hidden, if projected { Mark::Pinned } else { Mark::Free });
    // What a layer gives on: the hidden state, or its projection.
    let out = if projected { rule.factor("p", given, Mark::Free) } else { h.clone() };
    let both = Term::Sum(vec![out.clone(); directions]);
    let rows = Term::Product(vec![gate.clone(), h.clone()]);

    // Time is what the layer runs over; packed sequences have it and the batch in one dimension.
    let leading: Vec<Term> = if packed {
        vec![rule.factor("t", input[0], Mark::Pinned)]
    } else {
        let [first, second, _] = *input else { return Err(node.error("input", "of rank 3")) };
        let batch_first = node.bool_or("batch_first", false)?;
        let marks = if batch_first { [Mark::Free, Mark::Pinned] } else { [Mark::Pinned, Mark::Free] };
        let names = if batch_first { ["n", "t"] } else { ["t", "n"] };
        vec![rule.factor(names[0], first, marks[0]), rule.factor(names[1], second, marks[1])]
    };
    let batch = if packed {
        rule.factor("n", batch, Mark::Pinned)
    } else {
        leading[usize::from(!node.bool_or("batch_first", false)?)].clone()
    };

    let with = |last: &Term| leading.iter().cloned().chain([last.clone()]).collect::<Vec<_>>();
    rule.operand(if packed { "data" } else { "input" }, with(&i));
    if let Some(shape) = node.optional_shape("batch_sizes") {
        let sizes = rule.factors("b", shape, Mark::Pinned);
        rule.operand("batch_sizes", sizes);
    }
    let state = |last: &Term| vec![k.clone(), batch.clone(), last.clone()];
    let kept = if states == 2 { vec![state(&out), state(&h)] } else { vec![state(&out)] };
    hx.iter().zip(&kept).for_each(|(&(slot, _), terms)| rule.slot(slot, terms.clone()));

    let mut macs = Vec::new();
    let mut params = params.into_iter().map(|(slot, _)| slot);
    for cell in 0..cells {
        let read = if cell < directions { i.clone() } else { both.clone() };
        let mut cell = vec![vec![rows.clone(), read.clone()], vec![rows.clone(), out.clone()]];
        if per_cell == 4 {
            cell.extend([vec![rows.clone()], vec![rows.clone()]]);
        }
        macs.extend([Term::Product(with(&Term::Product(vec![rows.clone(), read])))]);
        macs.extend([Term::Product(with(&Term::Product(vec![rows.clone(), out.clone()])))]);
        if projected {
            cell.push(vec![out.clone(), h.clone()]);
            macs.push(Term::Product(with(&Term::Product(vec![out.clone(), h.clone()]))));
        }
        params.by_ref().zip(cell).for_each(|(slot, terms)| rule.slot(slot, terms));
    }
    rule.macs(Term::Sum(macs));
    rule.result(with(&both));
    for (index, mut terms) in kept.into_iter().enumerate() {
        // PyTorch's shapes of what an exported `lstm` gives have a dimension more than the tensors.
        if let Some([_, 1, _, _]) = node.results().nth(index + 1) {
            terms.insert(1, Term::UNIT);
        }
        rule.result(terms);
    }
    rule.finish()
}

fn present<'g>(node: &NodeView<'g>, argument: &str) -> Result<Vec<(usize, &'g [i64])>, RuleError> {
    Ok(node.list(argument)?.into_iter().filter_map(|(slot, shape)| Some((slot, shape?))).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::{Op, op};

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] = &[
        one_layer_shares_its_hidden_axis,
        directions_stand_one_after_the_other,
        a_projection_is_an_axis_of_its_own,
        states_of_an_exported_layer_have_a_dimension_more,
        packed_sequences_pin_their_rows,
        cells_are_rows,
    ];

    fn layer(name: &str, gates: i64) -> Op {
        let op = op(name).t("input", [7, 2, 3]);
        let op = if gates == 4 { op.ts("hx", &[&[1, 2, 5], &[1, 2, 5]]) } else { op.t("hx", [1, 2, 5]) };
        op.ts("params", &[&[gates * 5, 3], &[gates * 5, 5], &[gates * 5], &[gates * 5]])
            .arg("has_biases", true)
            .arg("num_layers", 1)
            .arg("bidirectional", false)
            .gives([7, 2, 5])
            .gives([1, 2, 5])
    }

    #[test]
    fn one_layer_shares_its_hidden_axis() {
        layer("aten::lstm.input", 4)
            .arg("batch_first", false)
            .gives([1, 2, 5])
            .is("!t n i, !k n h, k n h, (!gates h) i, (gates h) h, (gates h), (gates h) -> t n h, k n h, k n h \
             {macs=((t n ((gates h) i))+(t n ((gates h) h)))}");
        layer("aten::gru.input", 3)
            .arg("batch_first", false)
            .is("!t n i, !k n h, (!gates h) i, (gates h) h, (gates h), (gates h) -> t n h, k n h");
        for name in ["aten::rnn_tanh.input", "aten::rnn_relu.input"] {
            layer(name, 1).is("!t n i, !k n h, h i, h h, h, h -> t n h, k n h");
        }
    }

    #[test]
    fn directions_stand_one_after_the_other() {
        let cell = |input| -> Vec<Vec<i64>> { vec![vec![20, input], vec![20, 5]] };
        let params: Vec<Vec<i64>> = [cell(3), cell(3), cell(10), cell(10)].concat();
        let params: Vec<&[i64]> = params.iter().map(Vec::as_slice).collect();
        op("aten::lstm.input")
            .t("input", [2, 7, 3])
            .ts("hx", &[&[4, 2, 5], &[4, 2, 5]])
            .ts("params", &params)
            .arg("has_biases", false)
            .arg("num_layers", 2)
            .arg("bidirectional", true)
            .arg("batch_first", true)
            .gives([2, 7, 10])
            .gives([4, 2, 5])
            .gives([4, 2, 5])
            .is("n !t i, !k n h, k n h, (!gates h) i, (gates h) h, (gates h) i, (gates h) h, \
                 (gates h) (h+h), (gates h) h, (gates h) (h+h), (gates h) h -> n t (h+h), k n h, k n h");
    }

    #[test]
    fn states_of_an_exported_layer_have_a_dimension_more() {
        op("aten::lstm.input")
            .t("input", [7, 2, 3])
            .ts("hx", &[&[1, 2, 5], &[1, 2, 5]])
            .ts("params", &[&[20, 3], &[20, 5], &[20], &[20]])
            .arg("has_biases", true)
            .arg("num_layers", 1)
            .gives([7, 2, 5])
            .gives([1, 1, 2, 5])
            .gives([1, 1, 2, 5])
            .is("!t n i, !k n h, k n h, (!gates h) i, (gates h) h, (gates h), (gates h) -> t n h, k 1 n h, k 1 n h");
    }

    #[test]
    fn a_projection_is_an_axis_of_its_own() {
        op("aten::lstm.input")
            .t("input", [7, 2, 3])
            .ts("hx", &[&[1, 2, 4], &[1, 2, 5]])
            .ts("params", &[&[20, 3], &[20, 4], &[20], &[20], &[4, 5]])
            .arg("has_biases", true)
            .arg("num_layers", 1)
            .arg("bidirectional", false)
            .gives([7, 2, 4])
            .gives([1, 2, 4])
            .gives([1, 2, 5])
            .is("!t n i, !k n p, k n !h, (!gates h) i, (gates h) p, (gates h), (gates h), p h -> t n p, k n p, k n h");
    }

    #[test]
    fn packed_sequences_pin_their_rows() {
        op("aten::gru.data")
            .t("data", [9, 3])
            .t("batch_sizes", [7])
            .t("hx", [1, 2, 5])
            .ts("params", &[&[15, 3], &[15, 5]])
            .arg("has_biases", false)
            .arg("num_layers", 1)
            .arg("bidirectional", false)
            .gives([9, 5])
            .gives([1, 2, 5])
            .is("!t i, !b0, !k !n h, (!gates h) i, (gates h) h -> t h, k n h");
    }

    #[test]
    fn parameters_that_do_not_fit_are_an_error() {
        let error = op("aten::gru.input")
            .t("input", [7, 2, 3])
            .t("hx", [1, 2, 5])
            .ts("params", &[&[15, 3]])
            .arg("has_biases", true)
            .arg("num_layers", 1)
            .arg("bidirectional", false)
            .gives([7, 2, 5])
            .error();
        assert!(error.starts_with("n0 (aten::gru): argument `params`"), "{error}");
    }

    #[test]
    fn cells_are_rows() {
        op("aten::lstm_cell")
            .t("input", [2, 3])
            .ts("hx", &[&[2, 5], &[2, 5]])
            .t("w_ih", [20, 3])
            .t("w_hh", [20, 5])
            .t("b_ih", [20])
            .t("b_hh", [20])
            .gives([2, 5])
            .gives([2, 5])
            .is("d0 i, d0 h, d0 h, (!gates h) i, (gates h) h, (gates h), (gates h) -> d0 h, d0 h");
        op("aten::gru_cell")
            .t("input", [2, 3])
            .t("hx", [2, 5])
            .t("w_ih", [15, 3])
            .t("w_hh", [15, 5])
            .none("b_ih")
            .none("b_hh")
            .gives([2, 5])
            .is("d0 i, d0 h, (!gates h) i, (gates h) h -> d0 h");
        for name in ["aten::rnn_tanh_cell", "aten::rnn_relu_cell"] {
            op(name)
                .t("input", [2, 3])
                .t("hx", [2, 5])
                .t("w_ih", [5, 3])
                .t("w_hh", [5, 5])
                .t("b_ih", [5])
                .t("b_hh", [5])
                .gives([2, 5])
                .is("d0 i, d0 h, h i, h h, h, h -> d0 h");
        }
    }
}
