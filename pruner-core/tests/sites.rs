//! Sites of small networks, worked out by hand: which nodes sum over coordinates of a group, and what they multiply them by.

use std::fmt::Write as _;
use std::path::Path;

use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::graph::Graph;
use pruner_core::ids::GroupId;

fn graph(name: &str) -> Graph {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/groups").join(format!("{name}.graph"));
    let text = std::fs::read_to_string(&file).expect("the file is text");
    text.split_once("\n---\n").expect("groups stand below the graph").0.parse().expect("it is a graph")
}

/// The sites of the groups that may be cut, a line each: `group: node reads value:dim [coordinate of each position] by weight:dim`.
fn sites(analysis: &Analysis, kept: &Kept) -> String {
    let graph = analysis.graph();
    let mut text = String::new();
    for (group, sites) in analysis.sites(kept) {
        let group = &analysis.groups()[group.index()];
        for site in sites.iter().filter(|_| group.pin().is_none()) {
            let weight = site.weight.map_or_else(
                || "an activation".to_owned(),
                |(value, dim)| format!("{}:{dim}", graph.value(value).name),
            );
            let positions: Vec<String> =
                site.layout.coordinates().map(|at| at.map_or_else(|| "_".to_owned(), |at| at.to_string())).collect();
            let (name, node, value, dim) = (group.name(), site.node, site.value, site.dim);
            writeln!(text, "{name}: {node} reads {value}:{dim} [{}] by {weight}", positions.join(" "))
                .expect("a string");
        }
    }
    text
}

#[track_caller]
fn check(name: &str, expected: &str) {
    let analysis = Analysis::new(&graph(name)).expect("the graph is sound");
    let found = sites(&analysis, &Kept::all());
    let lines =
        |text: &str| text.lines().map(|line| line.trim().to_owned()).filter(|it| !it.is_empty()).collect::<Vec<_>>();
    assert_eq!(lines(&found), lines(expected), "{name}:\n{found}");
}

#[test]
fn a_convolution_and_a_linear_layer_read_what_the_layer_before_made() {
    check("conv_bn_conv", "conv1.weight:0: n3 reads v9:1 [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] by conv2.weight:1");
    check("linear_after_flatten", "conv.weight:0: n2 reads v4:1 [0 0 0 0 1 1 1 1 2 2 2 2 3 3 3 3] by fc.weight:1");
}

#[test]
fn queries_meet_keys_without_a_weight() {
    check(
        "attention",
        "q.weight:0: n3 reads v5:2 [0 1 2 3 4 5] by an activation
         v.weight:0: n4 reads v8:2 [0 1 2 3] by o.weight:1",
    );
    check(
        "gqa",
        "q.weight:0/2: n9 reads v11:3 [0 1 2] by an activation
         q.weight:0/0: n12 reads v16:2 [0 0 0 0 0 0 1 1 1 1 1 1] by o.weight:1
         q.weight:0/1: n12 reads v16:2 [0 0 0 1 1 1 0 0 0 1 1 1] by o.weight:1
         v.weight:0: n12 reads v16:2 [0 1 2 0 1 2 0 1 2 0 1 2] by o.weight:1",
    );
}

#[test]
fn every_layer_that_reads_a_residual_is_a_site_of_it() {
    check(
        "residual",
        "stem.weight:0: n1 reads v5:1 [0 1 2 3 4 5 6 7] by a.weight:1
         stem.weight:0: n4 reads v8:1 [0 1 2 3 4 5 6 7] by head.weight:1
         a.weight:0: n2 reads v6:1 [0 1 2 3] by b.weight:1",
    );
    check(
        "dense_concat",
        "stem.weight:0: n1 reads v5:1 [0 1 2 3] by c1.weight:1
         stem.weight:0: n3 reads v7:1 [0 1 2 3 _ _] by c2.weight:1
         stem.weight:0: n5 reads v9:1 [0 1 2 3 _ _ _ _ _] by head.weight:1
         c1.weight:0: n3 reads v7:1 [_ _ _ _ 0 1] by c2.weight:1
         c1.weight:0: n5 reads v9:1 [_ _ _ _ 0 1 _ _ _] by head.weight:1
         c2.weight:0: n5 reads v9:1 [_ _ _ _ _ _ 0 1 2] by head.weight:1",
    );
}

#[test]
fn a_grouped_convolution_sums_over_the_channels_of_a_group_and_a_depthwise_one_over_none() {
    check(
        "grouped_conv",
        "pw1.weight:0/1: n1 reads v5:1 [0 1 0 1 0 1 0 1] by g.weight:1
         pw1.weight:0/0: n2 reads v6:1 [0 0 0 1 1 1 2 2 2 3 3 3] by pw2.weight:1
         g.weight:0: n2 reads v6:1 [0 1 2 0 1 2 0 1 2 0 1 2] by pw2.weight:1",
    );
    check("depthwise", "pw1.weight:0: n2 reads v5:1 [0 1 2 3 4 5 6 7] by pw2.weight:1");
}

#[test]
fn of_a_tied_table_the_dimension_that_the_node_reads_is_meant() {
    check(
        "tied_embeddings",
        "embed.weight:1: n1 reads v4:2 [0 1 2 3 4 5 6 7] by fc1.weight:1
         embed.weight:1: n5 reads v8:2 [0 1 2 3 4 5 6 7] by embed.weight:1
         fc1.weight:0: n3 reads v6:2 [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] by fc2.weight:1",
    );
}

#[test]
fn what_is_cut_is_read_no_more() {
    let analysis = Analysis::new(&graph("grouped_conv")).expect("the graph is sound");
    let mut kept = Kept::all();
    kept.remove(&analysis, GroupId::new(0), &[0]);
    kept.remove(&analysis, GroupId::new(1), &[1, 3]);
    let found = sites(&analysis, &kept);
    assert!(found.contains("pw1.weight:0/1: n1 reads v5:1 [0 0] by g.weight:1\n"), "{found}");
    assert!(found.contains("g.weight:0: n2 reads v6:1 [0 1 2 0 1 2] by pw2.weight:1\n"), "{found}");
}

#[test]
fn what_a_coordinate_costs_is_the_difference_of_the_counts_before_and_after() {
    for name in ["conv_bn_conv", "gqa", "grouped_conv", "dense_concat", "linear_after_flatten", "lstm", "residual"] {
        let analysis = Analysis::new(&graph(name)).expect("the graph is sound");
        let mut kept = Kept::all();
        // At first of the whole network, then of one that is cut already.
        for _ in 0..2 {
            for group in analysis.groups().iter().filter(|group| group.pin().is_none()) {
                let left = analysis.groups_left(&kept).into_iter().find(|left| left.id() == group.id());
                let last = *left.expect("it is left").coordinates().last().expect("it has some left");
                let (freed, before) = (analysis.freed(&kept, group.id()), analysis.counts(&kept));
                let mut after = kept.clone();
                after.remove(&analysis, group.id(), &[last]);
                let after = analysis.counts(&after);
                assert_eq!(freed.channels, 1, "{name}: {}", group.name());
                assert_eq!(before.params - after.params, freed.params, "{name}: {}", group.name());
                assert_eq!(before.macs - after.macs, freed.macs, "{name}: {}", group.name());
                assert_eq!(before.bytes - after.bytes, freed.bytes, "{name}: {}", group.name());
                assert!(freed.params > 0 && freed.bytes == 4 * freed.params || name == "conv_bn_conv", "{name}");
            }
            let first = analysis.groups().iter().find(|group| group.pin().is_none()).expect("one may be cut");
            kept.remove(&analysis, first.id(), &[0]);
        }
    }
    // One channel of 16: 27 weights, γ, β, 2 statistics and 90 weights that read it, at 36 and at 16 places.
    let analysis = Analysis::new(&graph("conv_bn_conv")).expect("the graph is sound");
    let freed = analysis.freed(&Kept::all(), GroupId::new(0));
    assert_eq!((freed.params, freed.bytes, freed.macs), (119, 4 * 121, 27 * 36 + 90 * 16));
}
