//! Plans: editing, validity, hashes.

use super::*;
use crate::deps::Layout;

fn plan() -> Plan {
    [(g(2), vec![7, 4, 5, 6, 1, 4]), (g(0), vec![3])].into_iter().collect()
}

#[test]
fn coordinates_are_ascending_and_unique_however_they_are_given() {
    assert_eq!(plan().cut(g(2)), [1, 4, 5, 6, 7]);
    assert_eq!(plan().coordinates_cut(), 6);
    assert!(plan().cut(g(9)).is_empty());
}

#[test]
fn a_plan_prints_runs_of_coordinates() {
    assert_eq!(plan().to_string(), "6 coordinates of 2 groups are cut\n  g0: 1 (3)\n  g2: 5 (1, 4-7)");
    assert_eq!(Plan::new().to_string(), "nothing is cut");
}

#[test]
fn editing_adds_keeps_and_removes() {
    let mut plan = plan();
    plan.keep(g(2), [5, 6, 99]);
    plan.insert(g(1), [2, 0]);
    assert_eq!(plan.remove(g(0)), [3]);
    assert_eq!(plan, [(g(2), vec![1, 4, 7]), (g(1), vec![0, 2])].into_iter().collect());
    plan.keep(g(1), [0, 2]);
    plan.keep(g(2), [1, 4, 7]);
    assert!(plan.is_empty());
    assert_eq!(plan, Plan::new());
}

#[test]
fn a_plan_is_read_back_from_json_and_put_in_order() {
    let json = serde_json::to_string(&plan()).expect("a plan serialises");
    assert_eq!(json, r#"{"cuts":{"g0":[3],"g2":[1,4,5,6,7]}}"#);
    assert_eq!(serde_json::from_str::<Plan>(&json).expect("it was just written"), plan());
    let unordered: Plan =
        serde_json::from_str(r#"{"cuts":{"g2":[7,6,5,4,1,1],"g0":[3],"g5":[]}}"#).expect("it is JSON");
    assert_eq!(unordered, plan());
    assert!(serde_json::from_str::<Plan>(r#"{"cuts":{},"cut":{}}"#).is_err());
    let twice = serde_json::from_str::<Plan>(r#"{"cuts":{"g0":[1],"g0":[2]}}"#).expect_err("one would be lost");
    assert!(twice.to_string().starts_with("g0 is given twice; leave one of them out"), "{twice}");
}

#[test]
fn the_hash_tells_plans_apart_and_is_the_same_in_every_version() {
    assert_eq!(Plan::new().hash(), 0xcbf2_9ce4_8422_2325);
    assert_eq!(plan().hash(), plan().hash());
    let split: Plan = [(g(0), vec![3, 4]), (g(2), vec![1, 5, 6, 7])].into_iter().collect();
    assert_ne!(plan().hash(), split.hash());
    // Written down, so that a change of the hash is a change of this line.
    let one: Plan = [(g(1), vec![0])].into_iter().collect();
    assert_eq!(format!("{:016x}", one.hash()), "7e1ef442cd317605");
}

#[track_caller]
fn check_error(groups: &[TestGroup], group: usize, cut: &[u32], expected: &str) {
    let plan: Plan = [(g(group), cut.to_vec())].into_iter().collect();
    let error = plan.validate(&refs(groups)).expect_err("the plan does not fit");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_plan_that_does_not_fit_says_why() {
    let earlier: Plan = [(g(0), vec![1])].into_iter().collect();
    // The second member has only the last two coordinates.
    let partial = Layout::Table([Layout::NONE, 2, 3].into());
    let groups = [
        TestGroup::new(0, "conv1", 4).with_member("fc.weight", 1, partial).cut(&earlier),
        TestGroup::new(1, "conv2", 4).pinned(Pin::GraphOutput),
        TestGroup::new(2, "conv3", 2).without_members(),
    ];
    check_error(
        &groups,
        9,
        &[0],
        "the plan cuts g9, which the network does not have; was it made for another network?",
    );
    check_error(&groups, 1, &[0], "the plan cuts g1 (conv2.weight:0), which may not be cut: axis of a network output");
    check_error(
        &groups,
        0,
        &[4],
        "the plan cuts coordinate 4 of g0 (conv1.weight:0), which had 4 before the first cut",
    );
    check_error(&groups, 0, &[1], "the plan cuts coordinate 1 of g0 (conv1.weight:0), which is already cut");
    let all = "the plan leaves nothing of g0 (conv1.weight:0) in conv1.weight:0; keep at least one coordinate there";
    check_error(&groups, 0, &[0, 2, 3], all);
    let member = "the plan leaves nothing of g0 (conv1.weight:0) in fc.weight:1; keep at least one coordinate there";
    check_error(&groups, 0, &[2, 3], member);
    let none = "the plan leaves nothing of g2 (conv3.weight:0) in conv3.weight:0; keep at least one coordinate there";
    check_error(&groups, 2, &[0, 1], none);
    let fits: Plan = [(g(0), vec![0, 2])].into_iter().collect();
    assert_eq!(fits.validate(&refs(&groups)), Ok(()));
}
