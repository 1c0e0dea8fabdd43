//! What an analysis says of small networks: why axes are one, what they cost, and what is left of them after cuts.

use pruner_core::deps::{Analysis, AxisGroup, Group, Kept};
use pruner_core::graph::{Argument, Graph, TensorMeta};
use pruner_core::ids::{GroupId, NodeId, ValueId};

fn graph(text: &str) -> Graph {
    text.split("\n---\n").next().expect("a text has a part").parse().unwrap_or_else(|error| panic!("{error}"))
}

fn analysis(text: &str) -> Analysis {
    Analysis::new(&graph(text)).unwrap_or_else(|error| panic!("{error}"))
}

/// A network of `tests/groups`.
macro_rules! network {
    ($name:literal) => {
        analysis(include_str!(concat!("groups/", $name, ".graph")))
    };
}

/// What is left without coordinates of groups, which are given by their places.
fn without(analysis: &Analysis, cuts: &[(usize, &[u32])]) -> Kept {
    let mut kept = Kept::all();
    for (group, coordinates) in cuts {
        kept.remove(analysis, GroupId::new(*group), coordinates);
    }
    kept
}

fn node(graph: &Graph, index: usize) -> String {
    let (_, node) = graph.nodes().nth(index).expect("the graph has so many nodes");
    let arguments: Vec<String> = node.arguments.iter().map(|(name, argument)| format!("{name}={argument}")).collect();
    format!("{}({})", node.op, arguments.join(", "))
}

const LENET: &str = r#"
input v0: f32[1, 1, 28, 28] "x"
param v1: f32[6, 1, 5, 5] "conv1.weight"
param v2: f32[6] "conv1.bias"
param v3: f32[16, 6, 5, 5] "conv2.weight"
param v4: f32[16] "conv2.bias"
param v5: f32[120, 400] "fc1.weight"
param v6: f32[120] "fc1.bias"
param v7: f32[84, 120] "fc2.weight"
param v8: f32[84] "fc2.bias"
param v9: f32[10, 84] "fc3.weight"
param v10: f32[10] "fc3.bias"
v11: f32[1, 6, 28, 28] = aten::conv2d(input=v0, weight=v1, bias=v2, stride=[1, 1], padding=[2, 2], groups=1)
v12: f32[1, 6, 28, 28] = aten::relu(self=v11)
v13: f32[1, 6, 14, 14] = aten::max_pool2d(self=v12, kernel_size=[2, 2])
v14: f32[1, 16, 10, 10] = aten::conv2d(input=v13, weight=v3, bias=v4, stride=[1, 1], padding=[0, 0], groups=1)
v15: f32[1, 16, 10, 10] = aten::relu(self=v14)
v16: f32[1, 16, 5, 5] = aten::max_pool2d(self=v15, kernel_size=[2, 2])
v17: f32[1, 400] = aten::view(self=v16, size=[1, 400])
v18: f32[1, 120] = aten::linear(input=v17, weight=v5, bias=v6)
v19: f32[1, 120] = aten::relu(self=v18)
v20: f32[1, 84] = aten::linear(input=v19, weight=v7, bias=v8)
v21: f32[1, 84] = aten::relu(self=v20)
v22: f32[1, 10] = aten::linear(input=v21, weight=v9, bias=v10)
return v22
"#;

#[test]
fn lenet_has_the_parameters_and_multiply_accumulates_of_the_paper() {
    let analysis = analysis(LENET);
    let counts = analysis.counts(&Kept::all());
    assert_eq!(counts.channels, 6 + 16 + 120 + 84);
    assert_eq!(counts.params, 61_706);
    assert_eq!(counts.macs, 28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10);
    assert_eq!(counts.bytes, 4 * 61_706);
    assert_eq!(analysis.macs(&Kept::all(), NodeId::new(1)), 0, "a rectifier multiplies nothing");
}

#[test]
fn costs_by_node_add_up_to_the_counts() {
    let analysis = analysis(LENET);
    let kept = without(&analysis, &[(0, &[1, 3])]);
    for kept in [Kept::all(), kept] {
        let (counts, costs) = (analysis.counts(&kept), analysis.node_costs(&kept));
        assert_eq!(costs.iter().map(|cost| cost.params).sum::<u64>(), counts.params);
        assert_eq!(costs.iter().map(|cost| cost.macs).sum::<u64>(), counts.macs);
        assert_eq!(
            costs.iter().map(|cost| cost.layer.as_str()).collect::<Vec<_>>(),
            ["conv1", "conv2", "fc1", "fc2", "fc3"]
        );
    }
    let costs = analysis.node_costs(&Kept::all());
    assert_eq!((costs[1].op.as_str(), costs[1].shape.as_slice()), ("aten::conv2d", &[1, 16, 10, 10][..]));
}

#[test]
fn activations_take_most_where_most_of_them_are_needed_and_views_take_none() {
    let analysis = analysis(LENET);
    // The output of the first convolution and that of the ReLU after it; the view of the second pooling takes nothing.
    assert_eq!(analysis.peak_activation_bytes(&Kept::all()), 4 * 2 * 6 * 28 * 28);
    let kept = without(&analysis, &[(0, &[1, 3])]);
    assert_eq!(analysis.peak_activation_bytes(&kept), 4 * 2 * 4 * 28 * 28);
    let views = self::analysis(
        r#"
        input v0: f32[2, 8] "x"
        param v1: f32[8, 8] "fc.weight"
        v2: f32[2, 8] = aten::linear(input=v0, weight=v1, bias=none)
        v3: f32[2, 2, 4] = aten::view(self=v2, size=[2, 2, 4])
        v4: f32[2, 2, 4] = aten::relu_(self=v3)
        v5: f32[2, 8] = aten::add.Tensor(self=v2, other=v0, alpha=1)
        return v4, v5
        "#,
    );
    assert_eq!(views.peak_activation_bytes(&Kept::all()), 3 * 4 * 16);
}

#[test]
fn counts_after_cuts_are_those_of_the_smaller_network() {
    let analysis = analysis(LENET);
    let place = |name: &str| analysis.groups().iter().position(|group| group.name() == name).expect("it is a group");
    let (first, second) = (place("conv1.weight:0"), place("conv2.weight:0"));
    let kept = without(&analysis, &[(first, &[0, 5]), (second, &[1, 2, 3, 8, 9, 15])]);
    let counts = analysis.counts(&kept);
    assert_eq!(counts.channels, 4 + 10 + 120 + 84);
    assert_eq!(counts.params, (25 + 1) * 4 + (4 * 25 + 1) * 10 + (250 + 1) * 120 + 121 * 84 + 85 * 10);
    assert_eq!(counts.macs, 28 * 28 * 25 * 4 + 10 * 10 * 25 * 4 * 10 + 250 * 120 + 120 * 84 + 84 * 10);
    assert_eq!(node(&analysis.rewrite(&kept), 6), "aten::view(self=v16, size=[1, 250])");
}

#[test]
fn two_places_are_explained_by_the_shortest_chain_of_nodes() {
    let analysis = network!("residual");
    let [from, to, other] = [(1, 0), (3, 0), (2, 0)].map(|(value, dim)| (ValueId::new(value), dim));
    let steps = analysis.explain(GroupId::new(0), from, to).expect("both are of the group");
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        steps,
        ["v1:0 and v5:1 are factor o of n0", "v5:1 and v7:1 are factor d1 of n3", "v7:1 and v3:0 are factor o of n2",]
    );
    assert_eq!(analysis.explain(GroupId::new(0), from, from), Some(Vec::new()));
    assert_eq!(analysis.explain(GroupId::new(0), from, other), None, "the inside of the branch is no place of it");
    assert_eq!(analysis.explain(GroupId::new(99), from, to), None);
}

#[test]
fn groups_of_a_convolution_are_rewritten() {
    let analysis = network!("depthwise");
    let left = analysis.rewrite(&without(&analysis, &[(0, &[2, 7])]));
    assert_eq!(node(&left, 0), "aten::conv2d(input=v0, weight=v1, bias=none, groups=1)");
    assert_eq!(node(&left, 1), "aten::conv2d(input=v4, weight=v2, bias=none, groups=6)");
    assert_eq!(left.shape(ValueId::new(2)), [6, 1, 3, 3]);
    assert_eq!(left.shape(ValueId::new(5)), [1, 6, 2, 2]);
}

#[test]
fn views_keep_what_is_inferred_and_attention_keeps_its_scale() {
    let analysis = network!("gqa");
    // A coordinate of the contracted size of heads, and a head of keys with its two of queries.
    let left = analysis.rewrite(&without(&analysis, &[(0, &[1]), (1, &[0])]));
    assert_eq!(node(&left, 3), "aten::view(self=v5, size=[1, 5, 2, 2])");
    assert_eq!(node(&left, 4), "aten::view(self=v6, size=[1, 5, -1, 2])");
    assert_eq!(node(&left, 5), "aten::view(self=v7, size=[1, 5, -1, 3])");
    assert!(node(&left, 9).contains(&format!("scale={}", 1.0 / 3.0_f64.sqrt())), "{}", node(&left, 9));
    assert_eq!(node(&left, 11), "aten::reshape(self=v15, shape=[1, 5, -1])");
    // Without a cut of what is contracted the default is right.
    let left = analysis.rewrite(&without(&analysis, &[(1, &[0])]));
    assert!(node(&left, 9).contains("scale=none"), "{}", node(&left, 9));
}

#[test]
fn a_scale_that_was_left_out_is_written_down() {
    let text = include_str!("groups/fused_qkv.graph").replace("scale=none, ", "");
    let analysis = analysis(&text);
    let kept = without(&analysis, &[(0, &[3])]);
    let attention = node(&analysis.rewrite(&kept), 4);
    assert!(attention.ends_with("enable_gqa=false, scale=0.5)"), "{attention}");
    let found: Vec<String> = analysis.burnt_in(&kept).iter().map(ToString::to_string).collect();
    assert!(found.contains(&"n4 (aten::scaled_dot_product_attention): scale=none must be 0.5".to_owned()), "{found:?}");
}

#[test]
fn a_chunk_becomes_a_split_only_when_its_parts_change() {
    let analysis = network!("channel_shuffle_odd_half");
    let left = analysis.rewrite(&without(&analysis, &[(0, &[0])]));
    assert_eq!(node(&left, 1), "aten::split_with_sizes(self=v5, split_sizes=[3, 2], dim=1)");
    assert_eq!(node(&left, 5), "aten::chunk(self=v10, chunks=2, dim=1)");
    // The first channel of the interleaved ones stands twice in the first half.
    let left = analysis.rewrite(&without(&analysis, &[(1, &[0])]));
    assert_eq!(node(&left, 1), "aten::split_with_sizes(self=v5, split_sizes=[2, 3], dim=1)");
    assert_eq!(node(&left, 5), "aten::split_with_sizes(self=v10, split_sizes=[1, 3], dim=1)");
}

#[test]
fn bounds_of_slices_move_with_what_is_cut_before_them() {
    let analysis = network!("rotary");
    let left = analysis.rewrite(&without(&analysis, &[(0, &[1])]));
    assert_eq!(node(&left, 1), "aten::slice(self=v5, dim=-1, start=0, end=3, step=1)");
    assert_eq!(node(&left, 2), "aten::slice(self=v5, dim=-1, start=3, end=9223372036854775807, step=1)");
    assert_eq!(left.shape(ValueId::new(2)), [5, 6], "the table of cosines is sliced as well");
}

#[test]
fn the_normalised_shape_follows_every_part_of_it() {
    let analysis = network!("swin_patch_merging");
    let left = analysis.rewrite(&without(&analysis, &[(0, &[0, 4])]));
    assert_eq!(node(&left, 8), "aten::layer_norm(input=v12, normalized_shape=[16], weight=v2, bias=v3)");
}

#[test]
fn zeros_are_made_as_large_as_what_they_meet() {
    let analysis = analysis(
        r#"
input v0: f32[7, 2, 3] "x"
param v1: f32[15, 3] "w_ih"
param v2: f32[15, 5] "w_hh"
v3: f32[1, 2, 5] = aten::zeros(size=[1, 2, 5], dtype=none, layout=none, device=none, pin_memory=none)
v4: f32[7, 2, 5], v5: f32[1, 2, 5] = aten::gru.input(input=v0, hx=v3, params=[v1, v2], has_biases=false, num_layers=1, dropout=0.0, train=false, bidirectional=false, batch_first=false)
v6: f32[5] = aten::new_zeros(self=v0, size=[5])
v7: f32[7, 2, 5] = aten::add.Tensor(self=v4, other=v6, alpha=1)
param v8: f32[4, 5] "head.weight"
v9: f32[7, 2, 4] = aten::linear(input=v7, weight=v8, bias=none)
return v9
"#,
    );
    let hidden = analysis.groups().iter().find(|group| group.pin().is_none()).expect("the hidden axis is free");
    let mut kept = Kept::all();
    kept.remove(&analysis, hidden.id(), &[0, 4]);
    let left = analysis.rewrite(&kept);
    assert!(node(&left, 0).starts_with("aten::zeros(size=[1, 2, 3], "), "{}", node(&left, 0));
    assert_eq!(node(&left, 2), "aten::new_zeros(self=v0, size=[3])");
    assert_eq!(left.shape(ValueId::new(1)), [9, 3]);
}

#[test]
fn the_graph_of_what_is_left_is_one_that_can_be_analysed() {
    for (text, cuts) in [
        (include_str!("groups/gqa.graph"), [(0, &[1][..]), (1, &[0])]),
        (include_str!("groups/grouped_conv.graph"), [(1, &[0, 2]), (3, &[1])]),
        (include_str!("groups/channel_shuffle_odd_half.graph"), [(0, &[0]), (1, &[2])]),
        (include_str!("groups/dense_concat.graph"), [(0, &[3]), (2, &[0])]),
        (include_str!("groups/fused_qkv.graph"), [(0, &[3]), (1, &[0])]),
    ] {
        let before = analysis(text);
        let kept = without(&before, &cuts);
        let after = Analysis::new(&before.rewrite(&kept)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(after.counts(&Kept::all()).params, before.counts(&kept).params);
        assert_eq!(after.counts(&Kept::all()).macs, before.counts(&kept).macs);
    }
}

#[test]
fn what_stands_in_the_way_of_the_code_itself_is_named() {
    let burnt = |analysis: &Analysis, cuts: &[(usize, &[u32])]| -> Vec<String> {
        analysis.burnt_in(&without(analysis, cuts)).iter().map(ToString::to_string).collect()
    };
    let depthwise = network!("depthwise");
    assert_eq!(burnt(&depthwise, &[(0, &[2, 7])]), ["n1 (aten::conv2d): groups=8 must be 6"]);
    assert!(burnt(&depthwise, &[]).is_empty(), "nothing was cut");
    assert!(burnt(&network!("residual"), &[(0, &[2]), (2, &[0])]).is_empty(), "plain layers follow by themselves");
    let chunk = network!("channel_shuffle_odd_half");
    assert_eq!(burnt(&chunk, &[(0, &[0])]), ["n1 (aten::chunk) must be aten::split_with_sizes"]);
    let rotary = network!("rotary");
    assert_eq!(
        burnt(&rotary, &[(0, &[1])]),
        [
            "constant `cos` of shape [5, 8] must be [5, 6]",
            "constant `sin` of shape [5, 8] must be [5, 6]",
            "n1 (aten::slice): end=4 must be 3",
            "n2 (aten::slice): start=4 must be 3",
        ]
    );
}

fn layout(group: &AxisGroup, member: usize) -> Vec<Option<u32>> {
    group.members()[member].layout.coordinates().collect()
}

#[test]
fn layouts_after_two_cuts_speak_of_the_coordinates_that_are_left() {
    // Of pw1.weight:0 four groups of two; of g.weight:0 four groups of three.
    let analysis = network!("grouped_conv");
    let mut kept = without(&analysis, &[(1, &[1])]);
    let left = analysis.groups_left(&kept);
    assert_eq!(left[1].coordinates(), [0, 2, 3]);
    assert_eq!((left[1].size(), left[1].initial_size()), (3, 4));
    assert_eq!(layout(&left[1], 0), [0, 0, 1, 1, 2, 2].map(Some));
    assert_eq!(layout(&left[0], 0), [0, 1, 0, 1, 0, 1].map(Some));
    kept.remove(&analysis, GroupId::new(0), &[0]);
    kept.remove(&analysis, GroupId::new(3), &[0, 2]);
    let left = analysis.groups_left(&kept);
    assert_eq!(left[0].coordinates(), [1]);
    assert_eq!(layout(&left[0], 0), [Some(0); 3]);
    assert_eq!(layout(&left[0], 1), [Some(0)]);
    assert_eq!(layout(&left[1], 0), [0, 1, 2].map(Some));
    assert_eq!(layout(&left[3], 0), [Some(0); 3]);
    assert_eq!(left[3].coordinates(), [1]);
    // Where a dimension holds two groups, what is left of the other is still none of this one.
    let dense = network!("dense_concat");
    let left = dense.groups_left(&without(&dense, &[(0, &[0, 1]), (2, &[1])]));
    assert_eq!(layout(&left[0], 2), [Some(0), Some(1), None]);
    assert_eq!(layout(&left[2], 1), [None, None, Some(0)]);
}

#[test]
fn what_is_gone_stays_gone_and_order_does_not_matter() {
    let analysis = network!("dense_concat");
    let once = without(&analysis, &[(0, &[0, 2]), (2, &[1])]);
    let twice = without(&analysis, &[(2, &[1]), (0, &[2]), (0, &[0, 2])]);
    assert_eq!(once, twice);
    let dims = analysis.dims(ValueId::new(4));
    assert_eq!(once.size(&analysis, &dims[1]), 9 - 3);
    assert_eq!(once.positions(&analysis, &dims[1]), Some(vec![1, 3, 4, 6, 7, 8]));
    assert_eq!(once.positions(&analysis, &dims[0]), None, "what was not cut is all there");
}

#[test]
fn another_batch_is_another_size_of_an_input() {
    let text = include_str!("groups/class_token.graph");
    let analysis = analysis(text);
    let mut kept = Kept::all();
    assert!(kept.resize_input(&analysis, ValueId::new(0), 0, 7));
    assert!(!kept.resize_input(&analysis, ValueId::new(0), 9, 7), "there is no such dimension");
    let left = analysis.rewrite(&kept);
    assert_eq!(node(&left, 3), "aten::expand(self=v2, size=[7, -1, -1], implicit=false)");
    assert_eq!(left.shape(ValueId::new(12)), [7, 3]);
}

#[test]
fn axes_of_one_position_and_of_none_are_analysed_like_others() {
    let analysis = analysis(
        r#"
input v0: f32[1, 1] "x"
param v1: f32[1, 1] "a.weight"
param v2: f32[0, 1] "b.weight"
param v3: f32[1, 0] "c.weight"
v4: f32[1, 1] = aten::linear(input=v0, weight=v1, bias=none)
v5: f32[1, 0] = aten::linear(input=v4, weight=v2, bias=none)
v6: f32[1, 1] = aten::linear(input=v5, weight=v3, bias=none)
return v6
"#,
    );
    let sizes: Vec<_> = analysis.groups().iter().map(|group| (group.name(), group.size())).collect();
    // Axes without a position are not joined: nothing of them could be cut.
    let expected = [("a.weight:0", 1), ("a.weight:1", 1), ("b.weight:0", 0), ("c.weight:0", 1), ("c.weight:1", 0)];
    assert_eq!(sizes, expected);
    let all = analysis.groups_left(&without(&analysis, &[(0, &[0])]));
    assert_eq!(all[0].size(), 0);
    assert_eq!(analysis.counts(&Kept::all()).params, 1);
}

#[test]
fn malformed_graphs_are_errors_that_name_the_place() {
    let error = |graph: &Graph| Analysis::new(graph).expect_err("the graph is malformed").to_string();
    assert_eq!(error(&Graph::new()), "the graph has no nodes: nothing was computed from its inputs");
    let mut missing = graph(LENET);
    missing.node_mut(NodeId::new(1)).arguments[0].1 = Argument::Value(ValueId::new(99));
    assert!(
        error(&missing).contains("n1 (aten::relu) names v99, which the graph does not have"),
        "{}",
        error(&missing)
    );
    let mut late = graph(LENET);
    late.node_mut(NodeId::new(0)).arguments[0].1 = Argument::Value(ValueId::new(20));
    assert!(error(&late).contains("n0 (aten::conv2d) reads v20"), "{}", error(&late));
    let mut endless = graph(LENET);
    endless.value_mut(ValueId::new(1)).meta.shape = vec![i64::MAX, i64::MAX];
    assert!(error(&endless).contains("v1"), "{}", error(&endless));
    let mut negative = graph(LENET);
    negative.value_mut(ValueId::new(11)).meta.shape[1] = -6;
    assert!(error(&negative).contains("v11"), "{}", error(&negative));
    let mut nothing = graph(LENET);
    nothing.set_outputs(Vec::new());
    assert!(error(&nothing).contains("no outputs"), "{}", error(&nothing));
}

#[test]
fn shapes_that_contradict_each_other_are_errors_that_name_the_node() {
    let error = |text: &str| Analysis::new(&graph(text)).expect_err("the shapes differ").to_string();
    assert_eq!(
        error(&LENET.replace("[84, 120]", "[84, 121]")),
        "n9 (aten::linear): dimension 1 of argument `weight` has size 121, where `i` has 120"
    );
    let constant = LENET.replace("return v22", "v23: f32[1] = aten::ones(size=[1])\nreturn v23");
    assert!(error(&constant).starts_with("no output depends on a parameter"), "{}", error(&constant));
}

#[test]
fn nodes_that_are_alike_have_the_groups_that_they_would_have_alone() {
    let mut graph = Graph::new();
    let mut x = graph.add_input("x", TensorMeta::f32([2, 4]));
    for layer in 0..6 {
        let weight = graph.add_parameter(format!("{layer}.weight"), TensorMeta::f32([4, 4]));
        let arguments = vec![("input", x.into()), ("weight", weight.into()), ("bias", Argument::None)];
        x = graph.call("aten::linear", arguments, TensorMeta::f32([2, 4]));
        // Nodes of one shape that split at other places: what one of them becomes must not read what another reads.
        let parts = graph.add_node(
            "aten::chunk",
            "",
            vec![("self".to_owned(), x.into()), ("chunks".to_owned(), 2.into()), ("dim".to_owned(), 1.into())],
            vec![TensorMeta::f32([2, 2]), TensorMeta::f32([2, 2])],
        );
        let [left, right] = graph.node(parts).results[..] else { panic!("there are two halves") };
        let tensors = Argument::Values(vec![Some(left), Some(right)]);
        x = graph.call("aten::cat", vec![("tensors", tensors), ("dim", 1.into())], TensorMeta::f32([2, 4]));
    }
    graph.set_outputs(vec![x]);
    let analysis = Analysis::new(&graph).unwrap_or_else(|error| panic!("{error}"));
    let free: Vec<_> = analysis.groups().iter().filter(|group| group.pin().is_none()).collect();
    assert_eq!(free.len(), 2 * 5, "two halves of each inner layer");
    let mut kept = Kept::all();
    kept.remove(&analysis, free[2].id(), &[0]);
    let left = analysis.rewrite(&kept);
    assert_eq!(node(&left, 1), "aten::chunk(self=v2, chunks=2, dim=1)");
    assert_eq!(node(&left, 4), "aten::split_with_sizes(self=v7, split_sizes=[1, 2], dim=1)");
    assert_eq!(left.shape(ValueId::new(6)), [3, 4]);
}

#[test]
fn cells_multiply_what_they_are_given_and_their_states() {
    for (op, gates, states) in [
        ("aten::lstm_cell", 4, 2),
        ("aten::gru_cell", 3, 1),
        ("aten::rnn_tanh_cell", 1, 1),
        ("aten::rnn_relu_cell", 1, 1),
    ] {
        let mut graph = Graph::new();
        let input = graph.add_input("x", TensorMeta::f32([2, 3]));
        let hx: Vec<_> = (0..states).map(|_| graph.add_input("hx", TensorMeta::f32([2, 5]))).collect();
        let hx = if states == 1 { hx[0].into() } else { Argument::Values(hx.into_iter().map(Some).collect()) };
        let [w_ih, w_hh] =
            [3, 5].map(|from| graph.add_parameter(format!("w{from}"), TensorMeta::f32([5 * gates, from])));
        let arguments = [("input", input.into()), ("hx", hx), ("w_ih", w_ih.into()), ("w_hh", w_hh.into())];
        let arguments = arguments.map(|(name, argument)| (name.to_owned(), argument)).to_vec();
        let node = graph.add_node(op, "", arguments, vec![TensorMeta::f32([2, 5]); states]);
        graph.set_outputs(graph.node(node).results.clone());
        let counts = Analysis::new(&graph).expect("the graph is sound").counts(&Kept::all());
        assert_eq!(counts.macs, 2 * 5 * gates as u64 * (3 + 5), "{op}");
    }
}

#[test]
fn what_is_not_finite_at_zero_makes_a_group_inexact() {
    let network = |op: &str, arguments: Vec<(&str, Argument)>| {
        let mut graph = Graph::new();
        let x = graph.add_input("x", TensorMeta::f32([2, 4]));
        let [first, second] =
            [[6, 4], [3, 6]].map(|shape| graph.add_parameter(format!("w{shape:?}"), TensorMeta::f32(shape)));
        let linear = |graph: &mut Graph, input: ValueId, weight: ValueId, size| {
            graph.call(
                "aten::linear",
                vec![("input", input.into()), ("weight", weight.into())],
                TensorMeta::f32([2, size]),
            )
        };
        let hidden = linear(&mut graph, x, first, 6);
        let mut all = vec![("self", hidden.into())];
        all.extend(arguments.into_iter().map(|(name, argument)| match argument {
            Argument::None => (name, hidden.into()),
            argument => (name, argument),
        }));
        let made = graph.call(op, all, TensorMeta::f32([2, 6]));
        let output = linear(&mut graph, made, second, 3);
        graph.set_outputs(vec![output]);
        let analysis = Analysis::new(&graph).expect("the graph is sound");
        let group = analysis.groups().iter().find(|group| group.size() == 6).expect("hidden units are a group");
        assert!(group.pin().is_none(), "{op}");
        group.inexact().is_some()
    };
    for op in ["log", "log2", "log10", "reciprocal", "rsqrt", "digamma", "lgamma", "logit", "log_"] {
        assert!(network(&format!("aten::{op}"), Vec::new()), "{op}");
    }
    for op in ["log1p", "sqrt", "exp", "sigmoid", "relu"] {
        assert!(!network(&format!("aten::{op}"), Vec::new()), "{op}");
    }
    let power = |exponent: f64| network("aten::pow.Tensor_Scalar", vec![("exponent", exponent.into())]);
    assert!(power(-0.5) && !power(0.5) && !power(2.0));
    // The hidden units by themselves.
    for op in ["div", "remainder", "fmod"] {
        assert!(network(&format!("aten::{op}.Tensor"), vec![("other", Argument::None)]), "{op}");
    }
    assert!(!network("aten::mul.Tensor", vec![("other", Argument::None)]));
}
