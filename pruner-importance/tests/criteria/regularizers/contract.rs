//! Every registered regulariser keeps the contract of the trait.

use pruner_core::deps::{Layout, Member};
use pruner_core::registry;
use pruner_core::regularizer::{Regularizer, regularizer_from};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::{added, gradients, step, zeroed};
use crate::support::{Case, close};

const SIZE: usize = 12;

/// Every registered regulariser with its defaults.
fn all() -> Vec<(&'static str, Box<dyn Regularizer>)> {
    assert!(registry::regularizers().len() >= 3, "the regularisers are linked");
    let read = |name| regularizer_from(name, Value::Null).expect("every option has a default");
    registry::regularizers().into_iter().map(|plugin| (plugin.name, read(plugin.name))).collect()
}

/// conv, batch norm, a depthwise conv that is frozen, and a linear layer over the flattened map of 2 positions a channel, beside
/// 3 of another group.
fn case() -> Case {
    tch::manual_seed(3);
    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let size = SIZE as i64;
    let flattened = Layout::Identity(SIZE).repeated(1, 2).placed(1, 2 * SIZE + 3);
    let mut case = Case::new(SIZE)
        .plain(random(&[size, 3, 3, 3]), 0)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "weight"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "bias"), true)
        .member(random(&[size]), 0, Layout::Identity(SIZE), ("aten::batch_norm", "running_mean"), false)
        .plain(random(&[size, 1, 3, 3]), 0)
        .weight(random(&[10, 2 * size + 3]), 1, flattened);
    case.tensors[4] = case.tensors[4].set_requires_grad(false);
    case
}

fn positions(member: &Member, wanted: impl Fn(Option<u32>) -> bool) -> Tensor {
    let places = (0_i64..).zip(member.layout.coordinates()).filter(|(_, coordinate)| wanted(*coordinate));
    Tensor::from_slice(&places.map(|(position, _)| position).collect::<Vec<_>>())
}

/// The case with these coordinates left, gradients of zeros.
fn cut(case: &Case, left: &[u32]) -> Case {
    let mut cut = Case::new(left.len());
    cut.group.coordinates = left.to_vec();
    for (member, tensor) in case.group.members.iter().zip(&case.tensors) {
        let stays = |at: Option<u32>| at.is_none_or(|at| left.contains(&at));
        let entry = |at: u32| left.iter().position(|&other| other == at).expect("it stays") as u32;
        let entries = member.layout.coordinates().filter(|&at| stays(at));
        let layout = Layout::Table(entries.map(|at| at.map_or(Layout::NONE, entry)).collect());
        let smaller = tensor.detach().index_select(member.dim as i64, &positions(member, stays));
        let (_, op, argument) = &member.reader;
        cut = cut.member(smaller, member.dim, layout, (op, argument), member.trained);
    }
    cut.tensors[4] = cut.tensors[4].set_requires_grad(false);
    zeroed(cut)
}

#[test]
fn finite_numbers_are_added_to_the_gradients_of_the_group_and_nothing_else_changes() {
    for (name, mut regularizer) in all() {
        let case = zeroed(case());
        let before: Vec<Tensor> = case.tensors.iter().map(|tensor| tensor.detach().copy()).collect();
        step(&case, &mut *regularizer).expect("it can be penalised");
        let mut any = false;
        for ((member, tensor), before) in case.group.members.iter().zip(&case.tensors).zip(&before) {
            assert!(tensor.equal(before), "{name}: {} is as it was", member.name);
            let gradient = tensor.grad();
            assert_eq!(gradient.defined(), tensor.requires_grad(), "{name}: {}", member.name);
            if gradient.defined() {
                let of_others = gradient.index_select(member.dim as i64, &positions(member, |at| at.is_none()));
                assert_eq!(of_others.count_nonzero(None).int64_value(&[]), 0, "{name}: {}", member.name);
                let sum = gradient.abs().sum(Kind::Double).double_value(&[]);
                assert!(sum.is_finite(), "{name}: {}", member.name);
                any |= sum > 0.0;
            }
        }
        assert!(any, "{name} adds something");
    }
}

#[test]
fn what_is_added_does_not_depend_on_what_it_is_added_to() {
    for (name, regularizer) in all() {
        let case = case().random_gradients();
        let before = gradients(&case);
        let after = added(&case, &mut *regularizer.clone());
        let expected = added(&case, &mut *regularizer.clone());
        for ((after, before), expected) in after.iter().zip(&before).zip(&expected) {
            assert_eq!(after.len(), before.len(), "{name}");
            for ((after, before), expected) in after.iter().zip(before).zip(expected) {
                assert!((after - before - expected).abs() < 1e-6, "{name}: {after} is not {before} and {expected}");
            }
        }
    }
}

#[test]
fn a_network_without_gradients_is_left_alone() {
    for (name, mut regularizer) in all() {
        let case = case();
        step(&case, &mut *regularizer).expect("it is no error");
        assert!(gradients(&case).iter().all(Vec::is_empty), "{name}");
    }
}

#[test]
fn one_that_is_read_back_in_the_midst_of_a_run_goes_on_to_the_last_bit() {
    for (name, mut regularizer) in all() {
        let case = zeroed(case());
        for _ in 0..3 {
            added(&case, &mut *regularizer);
        }
        let written = serde_json::to_string(&regularizer).expect("it is written");
        let mut other: Box<dyn Regularizer> = serde_json::from_str(&written).expect("it is read");
        for _ in 0..25 {
            let _ = case.tensors[0].detach().g_mul_scalar_(-0.9);
            assert_eq!(added(&case, &mut *other), added(&case, &mut *regularizer), "{name}");
        }
        let [a, b] = [&other, &regularizer].map(|it| serde_json::to_string(it).expect("it is written"));
        assert_eq!(a, b, "{name}");
    }
}

/// That numbers are close beside the largest, which may be small.
#[track_caller]
fn near(found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
    let scaled = |numbers: &[f32]| numbers.iter().map(|number| number / largest).collect::<Vec<_>>();
    close(&scaled(found), &scaled(expected));
}

#[test]
fn after_a_cut_what_is_left_gets_what_it_would_have_got() {
    let left: Vec<u32> = (0..SIZE as u32).filter(|at| ![0, 3, 4, 11].contains(at)).collect();
    for (_, mut regularizer) in all() {
        let whole = zeroed(case());
        for _ in 0..3 {
            added(&whole, &mut *regularizer);
        }
        let small = cut(&whole, &left);
        let mut other = regularizer.clone();
        for _ in 0..15 {
            let (found, expected) = (added(&small, &mut *other), added(&whole, &mut *regularizer));
            for (((member, tensor), found), expected) in
                whole.group.members.iter().zip(&whole.tensors).zip(&found).zip(&expected)
            {
                if !expected.is_empty() {
                    let stays = positions(member, |at| at.is_none_or(|at| left.contains(&at)));
                    let expected = Tensor::from_slice(expected).reshape(tensor.size());
                    let expected = expected.index_select(member.dim as i64, &stays).reshape([-1]);
                    near(found, &Vec::<f32>::try_from(expected).expect("numbers"));
                }
            }
        }
    }
}

#[test]
fn every_regulariser_is_listed_and_implemented_and_refuses_an_option_that_it_has_not() {
    assert_eq!(registry::check(), Ok(()));
    for plugin in registry::regularizers() {
        let error = regularizer_from(plugin.name, json!({"nonsense": 1})).expect_err("none has this option");
        let expected = format!("regularizer `{}`: unknown field `nonsense`", plugin.name);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
