//! Every registered criterion keeps the contract of the trait.

use pruner_core::deps::Layout;
use pruner_core::importance::{Importance, Signal, SignalSet, importance_from};
use pruner_core::registry;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::support::{Case, numbers};

const SIZE: usize = 16;

/// Every registered criterion with its defaults, but for a scale that would hide how low a score is.
fn all() -> Vec<(&'static str, Box<dyn Importance>)> {
    assert!(registry::importances().len() >= 17, "the criteria are linked");
    let read = |name| {
        importance_from(name, json!({"normalizer": "none"}))
            .or_else(|_| importance_from(name, Value::Null))
            .expect("every option has a default")
    };
    registry::importances().into_iter().map(|plugin| (plugin.name, read(plugin.name))).collect()
}

/// conv, batch norm, depthwise conv, and a linear layer over the flattened map of 2 positions a channel, which reads what is
/// multiplied with another activation too.
fn case() -> Case {
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let size = SIZE as i64;
    let flattened = Layout::Table((0..2 * SIZE as u32).map(|position| position / 2).collect());
    let mut case = Case::new(SIZE)
        .plain(random(&[size, 3, 3, 3]), 0)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "weight"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "bias"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "running_mean"), false)
        .plain(random(&[size, 1, 3, 3]), 0)
        .weight(random(&[10, 2 * size]), 1, flattened.clone())
        .random_gradients();
    let of_weights = |case: &Case, signed: bool| -> Vec<Option<Tensor>> {
        let numbers = |tensor: &Tensor| if signed { random(&tensor.size()) } else { random(&tensor.size()).square() };
        case.tensors.iter().map(|tensor| tensor.requires_grad().then(|| numbers(tensor))).collect()
    };
    for (signal, signed) in
        [(Signal::SquaredGradients, false), (Signal::HessianGradients, true), (Signal::SynapticFlow, false)]
    {
        let numbers = of_weights(&case, signed);
        case = case.signal(signal, &numbers.iter().map(Option::as_ref).collect::<Vec<_>>());
    }
    let positive = |len: usize| -> Vec<f64> {
        Vec::try_from(random(&[len as i64]).square().to_kind(Kind::Double)).expect("a vector of numbers")
    };
    let statistics = |case: Case, weight: Option<usize>, layout: Layout| {
        let numbers: Vec<Vec<f64>> = STATISTICS.iter().map(|_| positive(layout.len())).collect();
        let pairs: Vec<(Signal, &[f64])> = STATISTICS.into_iter().zip(numbers.iter().map(Vec::as_slice)).collect();
        case.activation(weight, layout, 6, &pairs)
    };
    case = statistics(case, Some(5), flattened);
    case = statistics(case, None, Layout::Identity(SIZE));
    case.gate(Signal::Gate, &positive(SIZE)).gate(Signal::SquaredGate, &positive(SIZE)).costs(1200, 30, 120)
}

const STATISTICS: [Signal; 6] =
    [Signal::Mean, Signal::Variance, Signal::MeanSquare, Signal::MeanAbs, Signal::SquaredMeanAbs, Signal::NonZero];

/// The positions of `coordinates` in a layout, one after the other.
fn positions(layout: &Layout, coordinates: &[usize]) -> Tensor {
    let of: Vec<_> = layout.coordinates().collect();
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
        let _ = tensor.detach().index_fill_(member.dim as i64, &positions(&member.layout, &[5]), 0.0);
    }
    for activation in &case.activations {
        for numbers in activation.statistics.values() {
            let _ = numbers.shallow_clone().index_fill_(0, &positions(&activation.layout, &[5]), 0.0);
        }
    }
    for (_, numbers) in &case.gates {
        let _ = numbers.shallow_clone().index_fill_(0, &Tensor::from_slice(&[5_i64]), 0.0);
    }
    // What `random` and `fpgm` measure is not how large a coordinate is, and `grasp` lets go of what is in the way first.
    let others = ["random", "fpgm", "mix", "grasp"];
    for (name, importance) in all().into_iter().filter(|(name, _)| !others.contains(name)) {
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
        let index = positions(&member.layout, &order);
        let (_, op, argument) = &member.reader;
        let moved = tensor.detach().index_select(member.dim as i64, &index);
        permuted = permuted.member(moved, member.dim, member.layout.clone(), (op, argument), member.trained);
        if member.trained {
            let gradient = tensor.grad().index_select(member.dim as i64, &index);
            let moved = permuted.tensors.last().expect("it was added");
            (moved * gradient).sum(Kind::Float).backward();
        }
    }
    permuted.gathered = case.gathered;
    (permuted.costs, permuted.memory) = (case.costs, case.memory);
    for (signal, index, numbers) in &case.of_weights {
        let member = &case.group.members[*index];
        let moved = numbers.index_select(member.dim as i64, &positions(&member.layout, &order));
        permuted.of_weights.push((*signal, *index, moved));
    }
    for activation in &case.activations {
        let mut moved = activation.shallow_clone();
        for numbers in moved.statistics.values_mut() {
            *numbers = numbers.index_select(0, &positions(&activation.layout, &order));
        }
        permuted.activations.push(moved);
    }
    let coordinates = Tensor::from_slice(&order.iter().map(|&at| at as i64).collect::<Vec<_>>());
    permuted.gates.extend(case.gates.iter().map(|(signal, it)| (*signal, it.index_select(0, &coordinates))));
    // The score of `random` belongs to the number of a coordinate, not to its weights.
    for (name, importance) in all().into_iter().filter(|(name, _)| *name != "random") {
        let scores = case.scores(&*importance);
        let expected: Vec<f32> = order.iter().map(|&coordinate| scores[coordinate]).collect();
        crate::support::close(&permuted.scores(&*importance), &expected);
        assert!(scores.iter().any(|score| (score - scores[0]).abs() > 1e-4), "{name} tells coordinates apart");
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
fn every_criterion_says_which_signals_it_needs_and_is_content_with_them() {
    tch::manual_seed(7);
    let case = case();
    let none = SignalSet::empty();
    for (name, importance) in all() {
        let needed = match name {
            "taylor" | "snip" => Signal::Gradients.into(),
            "hessian" => Signal::SquaredGradients.into(),
            "grasp" => Signal::HessianGradients.into(),
            "synflow" => Signal::SynapticFlow.into(),
            "wanda" => Signal::MeanSquare.into(),
            "flap" => Signal::Variance.into(),
            "activation" => Signal::MeanAbs.into(),
            "taylor-gate" => Signal::Gate.into(),
            "group-fisher" => Signal::SquaredGate | Signal::Costs,
            "cost-aware" => Signal::Costs.into(),
            _ => none,
        };
        assert_eq!(importance.needs(), needed, "{name}");
        let scores = case.scores(&*importance);
        assert_eq!(clone(&case).only(needed).scores(&*importance), scores, "{name}: with those alone");
        // Without gradients that were gathered, those that `backward` left are taken.
        for signal in needed - Signal::Gradients {
            let error = clone(&case).only(needed - signal).error(&*importance);
            let expected = format!("{signal:?} was not gathered; give calibration batches to");
            assert!(error.contains(&expected), "{name}: {error}");
        }
    }
}

/// The same tensors, gradients and signals.
fn clone(case: &Case) -> Case {
    let mut other = Case::new(SIZE);
    other.group.members.clone_from(&case.group.members);
    other.tensors = case.tensors.iter().map(Tensor::shallow_clone).collect();
    other.gathered = case.gathered;
    other.of_weights.extend(case.of_weights.iter().map(|(signal, at, it)| (*signal, *at, it.shallow_clone())));
    other.activations.extend(case.activations.iter().map(pruner_core::importance::Activation::shallow_clone));
    other.gates.extend(case.gates.iter().map(|(signal, it)| (*signal, it.shallow_clone())));
    (other.costs, other.memory) = (case.costs, case.memory);
    other
}

#[test]
fn signals_of_a_network_before_a_cut_are_refused() {
    tch::manual_seed(8);
    let mut case = case();
    // One coordinate of all members is gone, and of no signal.
    let left: Vec<usize> = (0..SIZE - 1).collect();
    for (member, tensor) in case.group.members.iter_mut().zip(&mut case.tensors) {
        let cut = tensor.detach().index_select(member.dim as i64, &positions(&member.layout, &left));
        *tensor = if member.trained { cut.set_requires_grad(true) } else { cut };
        let entries = member.layout.coordinates().map(|at| at.filter(|&at| at < SIZE as u32 - 1));
        member.layout = Layout::Table(entries.flatten().collect());
    }
    case.group.coordinates.pop();
    for (name, importance) in all() {
        let of_data = importance.needs() - Signal::Costs - Signal::Gradients;
        if !of_data.is_empty() {
            let error = case.error(&*importance);
            assert!(error.ends_with("is left; gather it anew after a cut"), "{name}: {error}");
        }
    }
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
