//! Costs counted as coordinates go and come back are those counted anew, on every text graph.

use std::path::Path;

use proptest::prelude::*;
use pruner_core::deps::{Analysis, Group, Kept, Tally};
use pruner_core::ids::GroupId;
use pruner_core::ops::{NodeView, zeros};

fn analyses() -> Vec<Analysis> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/groups");
    let mut files: Vec<_> = folder.read_dir().expect("the folder is there").flatten().map(|file| file.path()).collect();
    files.sort_unstable();
    let analysis = |file| {
        let text = std::fs::read_to_string(file).expect("the file is text");
        let graph = text.split("\n---\n").next().expect("a text has a part").parse().expect("it is a graph");
        Analysis::new(&graph).expect("it is sound")
    };
    files.into_iter().map(analysis).collect()
}

/// The bytes of the results of all nodes that are in no memory of what these read.
fn activation_bytes(analysis: &Analysis, kept: &Kept) -> u64 {
    let graph = analysis.graph();
    let new = graph.nodes().filter(|&(id, _)| zeros(&NodeView::new(graph, id)).shared.is_empty());
    let bytes = |value| {
        let elements: usize = analysis.sizes(kept, value).into_iter().product();
        (elements * graph.value(value).meta.dtype.bytes()) as u64
    };
    new.flat_map(|(_, node)| &node.results).map(|&value| bytes(value)).sum()
}

/// A change: of which group, which of its coordinates, and whether they go.
type Change = (prop::sample::Index, Vec<prop::sample::Index>, bool);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let coordinates = prop::collection::vec(any::<prop::sample::Index>(), 1..5);
    prop::collection::vec((any::<prop::sample::Index>(), coordinates, prop::bool::weighted(0.7)), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_tally_counts_what_an_analysis_does(changes in changes()) {
        for analysis in analyses() {
            let mut kept = Kept::all();
            let mut tally = Tally::new(&analysis, Kept::all());
            for (group, coordinates, goes) in &changes {
                let group = &analysis.groups()[group.index(analysis.groups().len())];
                let mut coordinates: Vec<u32> =
                    coordinates.iter().map(|at| at.index(group.initial_size()) as u32).collect();
                coordinates.sort_unstable();
                coordinates.dedup();
                if *goes {
                    kept.remove(&analysis, group.id(), &coordinates);
                    tally.remove(group.id(), &coordinates);
                } else {
                    tally.restore(group.id(), &coordinates);
                    kept = tally.kept().clone();
                }
                prop_assert_eq!(tally.counts(), analysis.counts(&kept));
                prop_assert_eq!(tally.kept(), &kept);
            }
            for (group, before) in analysis.groups().iter().zip(analysis.groups_left(&kept)) {
                let freed = analysis.freed(&kept, group.id());
                let mut after = kept.clone();
                let first: Vec<u32> = before.coordinates().first().copied().into_iter().collect();
                after.remove(&analysis, group.id(), &first);
                let (all, left) = (analysis.counts(&kept), analysis.counts(&after));
                prop_assert_eq!(freed.params, all.params - left.params);
                prop_assert_eq!(freed.macs, all.macs - left.macs);
                prop_assert_eq!(freed.bytes, all.bytes - left.bytes);
                prop_assert_eq!(freed.channels, all.channels - left.channels);
                let freed_bytes = activation_bytes(&analysis, &kept) - activation_bytes(&analysis, &after);
                prop_assert_eq!(analysis.freed_activation_bytes(&kept, group.id()), freed_bytes);
                prop_assert_eq!(tally.freed(group.id(), &first), freed);
                prop_assert_eq!(tally.counts(), all);
            }
        }
    }
}

#[test]
fn a_change_of_a_group_is_felt_by_those_that_something_depends_on_with_it() {
    let text = include_str!("groups/residual.graph").split("\n---\n").next().expect("a text has a part");
    let analysis = Analysis::new(&text.parse().expect("it is a graph")).expect("it is sound");
    let tally = Tally::new(&analysis, Kept::all());
    let ids = |places: &[usize]| places.iter().copied().map(GroupId::new).collect::<Vec<_>>();
    // The stem's channels meet its inputs, the branch and the head; the branch meets the stem's alone.
    assert_eq!(tally.neighbours(GroupId::new(0)), ids(&[0, 1, 2, 3]));
    assert_eq!(tally.neighbours(GroupId::new(2)), ids(&[0, 2]));
    let freed = analysis.freed(&Kept::all(), GroupId::new(2));
    // A channel of the branch: 8 weights in, 8 out, over 16 positions.
    assert_eq!((freed.channels, freed.params, freed.macs, freed.bytes), (1, 16, 256, 64));
}
