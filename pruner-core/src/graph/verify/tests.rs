//! Each invariant has a graph that breaks it alone.

use super::*;
use crate::graph::{Argument, TensorMeta};

const SOUND: &str = r#"input v0: f32[2, 3] "x"
param v1: f32[4, 3] "fc.weight"
buffer v2: f32[4] "mean"
v3: f32[2, 4] = aten::linear(input=v0, weight=v1, bias=none)
v4: f32[2, 2], v5: f32[2, 2] = aten::split.Tensor(self=v3, split_size=2, dim=1)
v6: f32[2, 4] = aten::cat(tensors=[v5, v4], dim=1)
return v6
"#;

fn sound() -> Graph {
    SOUND.parse().expect("the text is well formed")
}

/// Changes the sound graph and checks that exactly these lines are reported.
#[track_caller]
fn check(change: impl FnOnce(&mut Graph), expected: &[&str]) {
    let mut graph = sound();
    change(&mut graph);
    let message = verify(&graph).expect_err("an invariant is broken").to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines[0], "the graph is malformed:");
    assert_eq!(lines[1..].iter().map(|line| line.trim()).collect::<Vec<_>>(), expected);
}

fn n(index: usize) -> NodeId {
    NodeId::new(index)
}

fn v(index: usize) -> ValueId {
    ValueId::new(index)
}

#[test]
fn a_sound_graph_has_no_violations() {
    assert_eq!(verify(&sound()), Ok(()));
}

#[test]
fn a_sound_graph_that_is_changed_is_checked_again() {
    let changes: [fn(&mut Graph); 4] = [
        |graph| graph.node_mut(n(0)).op.clear(),
        |graph| graph.value_mut(v(1)).name.clear(),
        |graph| graph.set_outputs(Vec::new()),
        |graph| _ = graph.add_parameter("fc.weight", TensorMeta::f32([1])),
    ];
    for change in changes {
        let mut graph = sound();
        assert_eq!(verify(&graph), Ok(()));
        change(&mut graph);
        assert!(verify(&graph).is_err(), "{graph}");
    }
}

#[test]
fn an_empty_graph_is_reported() {
    check(|graph| *graph = Graph::new(), &["the graph has no nodes", "the graph has no outputs"]);
}

#[test]
fn a_graph_has_outputs() {
    check(|graph| graph.outputs.clear(), &["the graph has no outputs"]);
}

#[test]
fn every_id_names_a_value_of_the_graph() {
    let read =
        |graph: &mut Graph| graph.node_mut(n(2)).arguments[0].1 = Argument::Values(vec![Some(v(4)), Some(v(99))]);
    check(read, &["n2 (aten::cat) names v99, which the graph does not have"]);
    check(
        |graph| graph.node_mut(n(2)).results.push(v(99)),
        &["n2 (aten::cat) names v99, which the graph does not have"],
    );
    check(|graph| graph.inputs.push(v(99)), &["input v99 is no value of the graph"]);
    check(|graph| graph.outputs.push(v(99)), &["output v99 is no value of the graph"]);
}

#[test]
fn a_value_is_made_before_it_is_read() {
    let later = "n0 (aten::linear) reads v6, which n2 (aten::cat) makes later";
    check(|graph| graph.node_mut(n(0)).arguments[0].1 = v(6).into(), &[later]);
    let itself = "n2 (aten::cat) reads v6, which n2 (aten::cat) makes later";
    check(|graph| graph.node_mut(n(2)).arguments[0].1 = Argument::Values(vec![Some(v(6))]), &[itself]);
}

#[test]
fn a_stored_value_may_be_added_after_the_node_that_reads_it() {
    let mut graph = sound();
    let bias = graph.add_parameter("fc.bias", crate::graph::TensorMeta::f32([4]));
    graph.node_mut(n(0)).arguments[2].1 = bias.into();
    assert_eq!(verify(&graph), Ok(()));
}

#[test]
fn the_origin_of_a_result_is_its_node_and_place() {
    check(
        |graph| graph.node_mut(n(1)).results.swap(0, 1),
        &[
            "result 0 of n1 (aten::split) is v5, whose origin is Node { node: n1, index: 1 }",
            "result 1 of n1 (aten::split) is v4, whose origin is Node { node: n1, index: 0 }",
            "v4 is said to be result 0 of n1 (aten::split), which does not list it there",
            "v5 is said to be result 1 of n1 (aten::split), which does not list it there",
        ],
    );
    check(
        |graph| graph.node_mut(n(2)).results.push(v(1)),
        &["result 1 of n2 (aten::cat) is v1, whose origin is Parameter"],
    );
    check(
        |graph| graph.node_mut(n(2)).results.clear(),
        &["v6 is said to be result 0 of n2 (aten::cat), which does not list it there"],
    );
    check(
        |graph| graph.value_mut(v(2)).origin = Origin::Node { node: n(9), index: 0 },
        &["v2 comes from n9, which the graph does not have"],
    );
}

#[test]
fn inputs_are_those_of_that_origin_and_each_once() {
    check(|graph| graph.inputs.push(v(1)), &["v1 is listed as an input, and its origin is Parameter"]);
    check(|graph| graph.inputs.push(v(0)), &["v0 is listed 2 times among the inputs"]);
    check(|graph| graph.inputs.clear(), &["v0 is listed 0 times among the inputs"]);
}

#[test]
fn parameters_and_buffers_have_names_of_their_own() {
    check(|graph| graph.value_mut(v(1)).name.clear(), &["v1 is a parameter or buffer without a name"]);
    check(|graph| graph.value_mut(v(2)).name = "fc.weight".to_owned(), &["v2 is named `fc.weight` like v1"]);
}

#[test]
fn inputs_and_constants_need_no_name() {
    let mut graph = sound();
    graph.value_mut(v(0)).name.clear();
    graph.value_mut(v(2)).origin = Origin::Constant;
    graph.value_mut(v(2)).name = "fc.weight".to_owned();
    assert_eq!(verify(&graph), Ok(()));
}

#[test]
fn shapes_are_possible() {
    check(|graph| graph.value_mut(v(2)).meta.shape = vec![4, -1], &["v2 has the impossible shape [4, -1]"]);
    check(
        |graph| graph.value_mut(v(2)).meta.shape = vec![1 << 40, 1 << 40],
        &["v2 has the impossible shape [1099511627776, 1099511627776]"],
    );
}

#[test]
fn operations_are_named_with_their_namespace() {
    let expected = |op, overload| {
        format!("n2 has the operation `{op}` with the overload `{overload}`, expected a name such as `aten::add`")
    };
    check(|graph| graph.node_mut(n(2)).op = "cat".to_owned(), &[&expected("cat", "")]);
    check(|graph| graph.node_mut(n(2)).op = "aten::".to_owned(), &[&expected("aten::", "")]);
    check(|graph| graph.node_mut(n(2)).overload = "a b".to_owned(), &[&expected("aten::cat", "a b")]);
}

#[test]
fn arguments_have_names_of_their_own() {
    check(|graph| graph.node_mut(n(2)).arguments[1].0.clear(), &["argument 1 of n2 (aten::cat) has no name"]);
    check(
        |graph| graph.node_mut(n(2)).arguments[1].0 = "tensors".to_owned(),
        &["n2 (aten::cat) has two arguments named `tensors`"],
    );
}

#[test]
fn a_node_reads_or_makes_a_value() {
    let add = |graph: &mut Graph| {
        graph.add_node("aten::manual_seed", "", vec![("seed".to_owned(), 0.into())], Vec::new());
    };
    check(add, &["n3 (aten::manual_seed) reads no value and makes none"]);
}

#[test]
fn every_violation_is_reported_and_not_only_the_first() {
    let break_two = |graph: &mut Graph| {
        graph.value_mut(v(2)).meta.shape = vec![-1];
        graph.outputs.clear();
    };
    check(break_two, &["the graph has no outputs", "v2 has the impossible shape [-1]"]);
}
