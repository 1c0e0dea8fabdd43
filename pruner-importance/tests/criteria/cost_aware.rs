//! `cost-aware` by hand.

use pruner_core::importance::{Importance, Signal, importance_from_config};
use pruner_importance::{BnScale, Cost, CostAware, Flap, Hessian, Norm, Normalizer};
use serde_json::json;

use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn the_score_of_the_other_is_divided_by_what_a_coordinate_costs() {
    let magnitude = || pruner_importance::Magnitude::default().with_p(Norm::One).with_normalizer(Normalizer::None);
    let case = conv_bn_conv().costs(4, 8, 16).memory(32);
    for (by, by_hand) in
        [(Cost::Macs, 4.0), (Cost::Params, 8.0), (Cost::Bytes, 16.0), (Cost::Memory, 32.0), (Cost::None, 1.0)]
    {
        close(&case.scores(&CostAware::new(magnitude(), by)), &[103.0 / by_hand, 9.0 / by_hand]);
    }
}

#[test]
fn a_coordinate_that_costs_nothing_counts_as_one_that_costs_one() {
    let case = Case::new(2).plain(tensor(&[3.0, 1.0], &[2]), 0).costs(0, 2, 8);
    let magnitude = pruner_importance::Magnitude::default().with_normalizer(Normalizer::None);
    close(&case.scores(&CostAware::new(magnitude, Cost::Macs)), &[3.0, 1.0]);
}

#[test]
fn it_needs_costs_and_what_the_other_needs_and_says_nothing_where_that_does() {
    let of = CostAware::new(Hessian::default(), Cost::Params);
    assert_eq!(of.needs(), Signal::SquaredGradients | Signal::Costs);
    assert_eq!(CostAware::new(Hessian::default(), Cost::None).needs(), Signal::SquaredGradients);
    assert_eq!(CostAware::new(Hessian::default(), Cost::Memory).needs(), Signal::SquaredGradients | Signal::Memory);
    assert!(CostAware::new(Flap::default(), Cost::Macs).compensates() && !of.compensates());
    let case = Case::new(2).plain(tensor(&[3.0, 1.0], &[2]), 0).costs(1, 1, 1);
    assert!(!case.is_scored(&CostAware::new(BnScale::default(), Cost::Macs)));
}

#[test]
fn a_config_names_the_other() {
    let config =
        json!({ "importance": "cost-aware", "of": { "importance": "taylor", "terms": "per-weight" }, "by": "params" });
    let read = importance_from_config(config).expect("it is read");
    assert_eq!(read.needs(), Signal::Gradients | Signal::Costs);
}
