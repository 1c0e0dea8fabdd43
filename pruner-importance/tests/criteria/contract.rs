//! Every registered criterion keeps the contract of the trait.

use pruner_core::deps::{Layout, Member};
use pruner_core::importance::{Importance, importance_from};
use pruner_core::registry;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::support::{Case, numbers};

const SIZE: usize = 16;

/// Every registered criterion with its defaults, but for a scale that would hide how low a score is.
fn all() -> Vec<(&'static str, Box<dyn Importance>)> {
    assert!(registry::importances().len() >= 7, "the criteria are linked");
    let read = |name| {
        importance_from(name, json!({"normalizer": "none"}))
            .or_else(|_| importance_from(name, Value::Null))
            .expect("every option has a default")
    };
    registry::importances().into_iter().map(|plugin| (plugin.name, read(plugin.name))).collect()
}

/// conv, batch norm, depthwise conv, and a linear layer over the flattened map of 2 positions a channel.
fn case() -> Case {
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let size = SIZE as i64;
    let flattened = Layout::Table((0..2 * SIZE as u32).map(|position| position / 2).collect());
    Case::new(SIZE)
        .plain(random(&[size, 3, 3, 3]), 0)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "weight"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "bias"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "running_mean"), false)
        .plain(random(&[size, 1, 3, 3]), 0)
        .weight(random(&[10, 2 * size]), 1, flattened)
        .random_gradients()
}

/// The positions of `coordinates` in the member, one after the other.
fn positions(member: &Member, coordinates: &[usize]) -> Tensor {
    let of: Vec<_> = member.layout.coordinates().collect();
    let wanted = coordinates
        .iter()
        .flat_map(|&coordinate| (0_i64..).zip(&of).filter(move |(_, at)| **at == Some(coordinate as u32)));
    Tensor::from_slice(&wanted.map(|(position, _)| position).collect::<Vec<i64>>())
}

#[test]
fn there_is_one_finite_number_per_coordinate_and_always_the_same() {
    tch::manual_seed(3);
    let case = case();
    for (name, importance) in all() {
        let scores = case.scores(&*importance);
        assert_eq!(scores.len(), SIZE, "{name}");
        assert!(scores.iter().all(|score| score.is_finite()), "{name}: {scores:?}");
        assert_eq!(scores, case.scores(&*importance.clone()), "{name}");
    }
}

#[test]
fn a_coordinate_of_zeros_goes_first() {
    tch::manual_seed(4);
    let case = case();
    for (member, tensor) in case.group.members.iter().zip(&case.tensors) {
        let _ = tensor.detach().index_fill_(member.dim as i64, &positions(member, &[5]), 0.0);
    }
    // What `random` and `fpgm` measure is not how large a coordinate is.
    for (name, importance) in all().into_iter().filter(|(name, _)| !["random", "fpgm", "mix"].contains(name)) {
        let scores = case.scores(&*importance);
        let lowest = (0..SIZE).min_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        assert_eq!(lowest, Some(5), "{name}: {scores:?}");
    }
}

#[test]
fn coordinates_in_another_order_have_the_same_scores_in_that_order() {
    tch::manual_seed(5);
    let case = case();
    let order: Vec<usize> = (0..SIZE).map(|coordinate| (coordinate * 5 + 3) % SIZE).collect();
    let mut permuted = Case::new(SIZE);
    for (member, tensor) in case.group.members.iter().zip(&case.tensors) {
        let index = positions(member, &order);
        let (_, op, argument) = &member.reader;
        let moved = tensor.detach().index_select(member.dim as i64, &index);
        permuted = permuted.member(moved, member.dim, member.layout.clone(), (op, argument), member.trained);
        if member.trained {
            let gradient = tensor.grad().index_select(member.dim as i64, &index);
            let moved = permuted.tensors.last().expect("it was added");
            (moved * gradient).sum(Kind::Float).backward();
        }
    }
    // The score of `random` belongs to the number of a coordinate, not to its weights.
    for (name, importance) in all().into_iter().filter(|(name, _)| *name != "random") {
        let scores = case.scores(&*importance);
        let expected: Vec<f32> = order.iter().map(|&coordinate| scores[coordinate]).collect();
        crate::support::close(&permuted.scores(&*importance), &expected);
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-3), "{name} tells coordinates apart");
    }
}

#[test]
fn scoring_leaves_weights_and_gradients_as_they_were() {
    tch::manual_seed(6);
    let case = case();
    let state = || -> Vec<Vec<f32>> {
        let tensors = case.tensors.iter().map(Tensor::detach);
        let gradients = case.tensors.iter().map(Tensor::grad).filter(Tensor::defined);
        tensors.chain(gradients).map(|tensor| numbers(&tensor.reshape([-1]))).collect()
    };
    let before = state();
    for (name, importance) in all() {
        let score = importance.score(&case.group, &case.weights()).expect("a score").expect("a score");
        assert!(!score.requires_grad(), "{name} stands outside of the autograd graph");
        assert_eq!(state(), before, "{name}");
    }
}

#[test]
fn every_criterion_says_which_gradients_it_needs() {
    let needing: Vec<_> = all().into_iter().filter(|(_, it)| !it.needs().is_empty()).map(|(name, _)| name).collect();
    assert_eq!(needing, ["taylor"]);
}

#[test]
fn every_criterion_is_listed_and_implemented_and_refuses_an_option_that_it_has_not() {
    assert_eq!(registry::check(), Ok(()));
    for plugin in registry::importances() {
        let error = importance_from(plugin.name, json!({"nonsense": 1})).expect_err("none has this option");
        let expected = format!("importance `{}`: unknown field `nonsense`", plugin.name);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
