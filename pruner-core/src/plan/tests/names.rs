//! What a name names.

use super::*;
use crate::deps::{Layout, Role};
use crate::graph::Graph;

/// The groups that are left alone when `pattern` is ignored.
fn ignored(groups: &[&dyn Group], pattern: &str) -> Vec<String> {
    let limits = Limits::default().with_ignored(pattern);
    let selection = select(groups, &Scores::new(), &limits, 1.0).expect("the pattern matches");
    let ignored = |verdict: &&GroupVerdict| matches!(verdict.verdict.reason(), Some(Reason::Ignored { .. }));
    selection.verdicts.iter().filter(ignored).map(|verdict| verdict.name.clone()).collect()
}

#[test]
fn a_layer_a_parameter_or_one_side_of_it_is_left_alone() {
    // g0 is made by conv1 and read by conv2, which makes g1; fc reads g1 and makes g2.
    let groups = [
        TestGroup::new(0, "layer1.conv1", 4).with_member("layer1.conv2.weight", 1, Layout::Identity(4)),
        TestGroup::new(1, "layer1.conv2", 4).with_member("fc.weight", 1, Layout::Identity(4)),
        TestGroup::new(2, "fc", 4),
    ];
    for (pattern, expected) in [
        ("layer1.conv1", &[0][..]),
        ("layer1.conv2", &[0, 1]),
        ("layer1.conv2.weight", &[0, 1]),
        ("layer1.conv2.weight:0", &[1]),
        ("layer1.conv2:1", &[0]),
        ("layer1.conv2:in", &[0]),
        ("layer1.conv2.weight:out", &[1]),
        ("layer1:in", &[0]),
        ("layer1:out", &[0, 1]),
        ("layer1", &[0, 1]),
        ("fc:in", &[1]),
        ("fc.weight:0", &[2]),
        ("g1", &[1]),
        ("*.conv?.weight:0", &[0, 1]),
        ("*.conv?:in", &[0]),
        ("*", &[0, 1, 2]),
    ] {
        let names: Vec<&str> = expected.iter().map(|&index: &usize| groups[index].name()).collect();
        assert_eq!(ignored(&refs(&groups), pattern), names, "{pattern}");
        let limits = Limits::default().with_ignored(pattern);
        let selection = select(&refs(&groups), &scores(&groups, ascending), &limits, 1.0).expect("it matches");
        assert!(expected.iter().all(|&index| selection.plan.cut(g(index)).is_empty()));
        assert_eq!(selection.channels.initial, 4 * (3 - expected.len()));
    }
}

#[test]
fn a_layer_that_is_called_as_a_group_is_by_its_id_is_the_one_that_is_meant() {
    let groups = [TestGroup::new(0, "fc", 4), TestGroup::new(1, "g0", 4), TestGroup::new(2, "head", 4)];
    assert_eq!(ignored(&refs(&groups), "g0"), ["g0.weight:0"]);
    assert_eq!(ignored(&refs(&groups), "g2"), ["head.weight:0"]);
    let many: Vec<_> = (0..6).map(|id| TestGroup::new(id, &format!("fc{id}"), 4)).collect();
    let limits = Limits::default().with_ignored("g9");
    let error = select(&refs(&many), &Scores::new(), &limits, 1.0).expect_err("there is no such group").to_string();
    assert!(
        error.ends_with("; there are `fc0.weight:0`, `fc1.weight:0`, `fc2.weight:0`, `fc3.weight:0` and 2 more"),
        "{error}"
    );
}

#[test]
fn a_role_names_all_groups_that_have_it() {
    let groups = [
        TestGroup::new(0, "q", 4).with_role(Role::Heads),
        TestGroup::new(1, "k", 4).with_role(Role::HeadDims),
        TestGroup::new(2, "fc", 4),
        TestGroup::new(3, "v", 4).with_role(Role::HeadDims),
    ];
    assert_eq!(ignored(&refs(&groups), "@heads"), ["q.weight:0"]);
    assert_eq!(ignored(&refs(&groups), "@head-dims"), ["k.weight:0", "v.weight:0"]);
    assert_eq!(ignored(&refs(&groups), "@channels"), ["fc.weight:0"]);
    for role in Role::ALL {
        let text = serde_json::to_string(&role).expect("a role serialises");
        assert_eq!(text, format!("\"{role}\""), "it has one name");
    }
}

fn analysis(graph: &str) -> Analysis {
    let graph: Graph = graph.trim_start().parse().expect("it is a graph");
    Analysis::new(&graph).expect("it is analysed")
}

fn groups(analysis: &Analysis) -> Vec<&dyn Group> {
    analysis.groups().iter().map(|group| group as &dyn Group).collect()
}

#[test]
fn the_sides_of_a_layer_are_those_of_its_operation_and_not_its_dimensions() {
    let analysis = analysis(
        r#"
input v0: f32[1, 3, 4, 4] "x"
param v1: f32[6, 3, 1, 1] "stem.weight"
param v2: f32[6, 5, 2, 2] "up.weight"
param v3: f32[5] "up.bias"
param v4: f32[10, 5, 1, 1] "wide.weight"
param v5: f32[10, 4, 2, 2] "grouped.weight"
param v6: f32[2, 8, 1, 1] "head.weight"
v7: f32[1, 6, 4, 4] = aten::conv2d(input=v0, weight=v1, bias=none, groups=1)
v8: f32[1, 5, 8, 8] = aten::conv_transpose2d.input(input=v7, weight=v2, bias=v3, stride=[2, 2], groups=1)
v9: f32[1, 10, 8, 8] = aten::conv2d(input=v8, weight=v4, bias=none, groups=1)
v10: f32[1, 8, 16, 16] = aten::conv_transpose2d.input(input=v9, weight=v5, bias=none, stride=[2, 2], groups=2)
v11: f32[1, 2, 16, 16] = aten::conv2d(input=v10, weight=v6, bias=none, groups=1)
return v11
"#,
    );
    let groups = groups(&analysis);
    assert_eq!(ignored(&groups, "up:in"), ["stem.weight:0"]);
    assert_eq!(ignored(&groups, "up.weight:0"), ["stem.weight:0"]);
    assert_eq!(ignored(&groups, "up:out"), ["up.weight:1"]);
    assert_eq!(ignored(&groups, "up.bias:out"), ["up.weight:1"]);
    assert_eq!(ignored(&groups, "wide:in"), ["up.weight:1"]);
    // What each of the two groups reads and makes, and the groups themselves.
    assert_eq!(ignored(&groups, "grouped:in"), ["wide.weight:0/1"]);
    assert_eq!(ignored(&groups, "grouped:out"), ["wide.weight:0/0", "grouped.weight:1"]);
}

#[test]
fn a_weight_that_is_transposed_before_it_multiplies_has_the_sides_of_its_layer() {
    let analysis = analysis(
        r#"
input v0: f32[2, 6] "x"
param v1: f32[8, 6] "fc1.weight"
param v2: f32[8] "fc1.bias"
param v3: f32[5, 8] "fc2.weight"
param v4: f32[3, 5] "fc3.weight"
v5: f32[6, 8] = aten::t(self=v1)
v6: f32[2, 8] = aten::addmm(self=v2, mat1=v0, mat2=v5, beta=1, alpha=1)
v7: f32[8, 5] = aten::permute(self=v3, dims=[1, 0])
v8: f32[2, 5] = aten::mm(self=v6, mat2=v7)
v9: f32[2, 3] = aten::linear(input=v8, weight=v4, bias=none)
return v9
"#,
    );
    let groups = groups(&analysis);
    assert_eq!(ignored(&groups, "fc1:out"), ["fc1.weight:0"]);
    assert_eq!(ignored(&groups, "fc2:in"), ["fc1.weight:0"]);
    assert_eq!(ignored(&groups, "fc2:out"), ["fc2.weight:0"]);
    assert_eq!(ignored(&groups, "fc3:in"), ["fc2.weight:0"]);
}

#[test]
fn a_recurrent_layer_reads_what_it_gives_on() {
    let analysis = analysis(
        r#"
input v0: f32[7, 2, 3] "x"
const v1: f32[1, 2, 5] "h0"
const v2: f32[1, 2, 5] "c0"
param v3: f32[20, 3] "w_ih"
param v4: f32[20, 5] "w_hh"
param v5: f32[20] "b_ih"
param v6: f32[20] "b_hh"
param v7: f32[4, 5] "head.weight"
v8: f32[7, 2, 5], v9: f32[1, 2, 5], v10: f32[1, 2, 5] = aten::lstm.input(input=v0, hx=[v1, v2], params=[v3, v4, v5, v6], has_biases=true, num_layers=1, dropout=0.0, train=false, bidirectional=false, batch_first=false)
v11: f32[7, 2, 4] = aten::linear(input=v8, weight=v7, bias=none)
return v11
"#,
    );
    let groups = groups(&analysis);
    for name in ["w_hh:in", "w_hh:out", "w_ih:out", "head:in"] {
        assert!(ignored(&groups, name).contains(&"w_ih:0".to_owned()), "{name}: {:?}", ignored(&groups, name));
    }
}
