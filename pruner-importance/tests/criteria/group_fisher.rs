//! `group-fisher` by hand.

use pruner_core::importance::{Importance, Signal};
use pruner_importance::{Cost, GroupFisher};

use crate::support::{Case, close};

#[test]
fn the_information_is_divided_by_what_a_coordinate_costs() {
    let case = Case::new(2).gate(Signal::SquaredGate, &[8.0, 2.0]).costs(4, 8, 16);
    for (by, scores) in
        [(Cost::Macs, [2.0, 0.5]), (Cost::Params, [1.0, 0.25]), (Cost::Bytes, [0.5, 0.125]), (Cost::None, [8.0, 2.0])]
    {
        close(&case.scores(&GroupFisher::default().with_by(by)), &scores);
    }
    assert_eq!(GroupFisher::default().with_by(Cost::None).needs(), Signal::SquaredGate);
}

#[test]
fn the_information_is_divided_by_the_memory_of_activations_without_other_costs() {
    let case = Case::new(2).gate(Signal::SquaredGate, &[8.0, 2.0]).memory(32);
    let importance = GroupFisher::default().with_by(Cost::Memory);
    close(&case.scores(&importance), &[0.25, 0.0625]);
    assert_eq!(importance.needs(), Signal::SquaredGate | Signal::Memory);
    let error = case.only(Signal::SquaredGate.into()).error(&importance);
    assert!(error.contains("Memory was not gathered"), "{error}");
}

#[test]
fn information_too_small_for_single_precision_is_divided_before_it_is_rounded() {
    let case = Case::new(2).gate(Signal::SquaredGate, &[1e39, 1e30]).costs(1_000_000_000, 1, 1);
    let scores = case.scores(&GroupFisher::default());
    assert!((scores[0] - 1e30).abs() < 1e24 && (scores[1] - 1e21).abs() < 1e15, "{scores:?}");
}

#[test]
fn what_no_layer_sums_over_has_no_score() {
    assert!(!Case::new(2).signal(Signal::SquaredGate, &[]).costs(1, 1, 1).is_scored(&GroupFisher::default()));
}
