//! Optimisers: equal to tch's, and their state follows a cut.
#![cfg(feature = "torch")]

use pruner_core::aten;
use pruner_core::optim::{AdamW, AdamWSettings, Follow, OptimError, Optimizer, Sgd, SgdSettings, trainable};
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

struct Net {
    vs: nn::VarStore,
    conv: nn::Conv2D,
    fc: nn::Linear,
}

impl Net {
    fn new() -> Self {
        let vs = nn::VarStore::new(Device::Cpu);
        let conv = nn::conv2d(vs.root() / "conv", 2, 4, 3, nn::ConvConfig::default());
        let fc = nn::linear(vs.root() / "fc", 16, 3, nn::LinearConfig::default());
        let _no_grad = tch::no_grad_guard();
        for (name, mut tensor) in vs.variables() {
            tensor.copy_(&(waves(&tensor.size(), name.len() as i64) * 0.3));
        }
        Self { vs, conv, fc }
    }

    fn loss(&self, seed: i64) -> Tensor {
        let xs = waves(&[5, 2, 4, 4], 100 * seed);
        self.fc.forward(&self.conv.forward(&xs).tanh().flatten(1, -1)).square().mean(Kind::Float)
    }
}

/// Numbers that look random: the generators are shared by the tests, which run at the same time.
fn waves(shape: &[i64], phase: i64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let positions = Tensor::arange_start(phase, phase + count, (Kind::Double, Device::Cpu));
    (positions * 12.9898).sin().to_kind(Kind::Float).view(shape)
}

#[track_caller]
fn check(ours: impl FnOnce(&Net) -> Box<dyn Optimizer>, theirs: impl FnOnce(&Net) -> nn::Optimizer) {
    let (net, peer) = (Net::new(), Net::new());
    let (mut ours, mut theirs) = (ours(&net), theirs(&peer));
    for step in 0..10 {
        if step == 5 {
            ours.set_lr(0.02);
            theirs.set_lr(0.02);
        }
        ours.backward_step(&net.loss(step)).expect("a step");
        theirs.backward_step(&peer.loss(step));
    }
    let expected = peer.vs.variables();
    let start = Net::new().vs.variables();
    for (name, tensor) in net.vs.variables() {
        let difference = (&tensor - &expected[&name]).abs().max().double_value(&[]);
        assert!(difference < 1e-6, "{name} differs by {difference}");
        assert!((&tensor - &start[&name]).abs().max().double_value(&[]) > 1e-4, "{name} did not move");
    }
}

#[test]
fn sgd_moves_as_that_of_tch() {
    check(
        |net| Box::new(Sgd::new(trainable(&net.vs), SgdSettings::default().with_lr(0.1))),
        |net| nn::Sgd::default().build(&net.vs, 0.1).expect("tch's"),
    );
}

#[test]
fn sgd_with_momentum_dampening_and_decay_moves_as_that_of_tch() {
    let settings = SgdSettings::default().with_lr(0.1).with_momentum(0.9).with_dampening(0.2).with_weight_decay(0.01);
    check(
        |net| Box::new(Sgd::new(trainable(&net.vs), settings)),
        |net| nn::sgd(0.9, 0.2, 0.01, false).build(&net.vs, 0.1).expect("tch's"),
    );
}

#[test]
fn sgd_with_nesterov_moves_as_that_of_tch() {
    let settings = SgdSettings::default().with_lr(0.1).with_momentum(0.9).with_nesterov();
    check(
        |net| Box::new(Sgd::new(trainable(&net.vs), settings)),
        |net| nn::sgd(0.9, 0.0, 0.0, true).build(&net.vs, 0.1).expect("tch's"),
    );
}

#[test]
fn adamw_moves_as_that_of_tch() {
    check(
        |net| Box::new(AdamW::new(trainable(&net.vs), AdamWSettings::default().with_lr(0.01))),
        |net| nn::AdamW::default().build(&net.vs, 0.01).expect("tch's"),
    );
}

#[test]
fn adamw_with_amsgrad_moves_as_that_of_tch() {
    let settings = AdamWSettings::default().with_lr(0.01).with_betas(0.8, 0.99).with_amsgrad();
    check(
        |net| Box::new(AdamW::new(trainable(&net.vs), settings)),
        |net| nn::adamw(0.8, 0.99, 0.01).amsgrad(true).build(&net.vs, 0.01).expect("tch's"),
    );
}

#[test]
fn adam_moves_as_that_of_tch() {
    let settings = AdamWSettings::adam().with_lr(0.01).with_weight_decay(0.1);
    check(
        |net| Box::new(AdamW::new(trainable(&net.vs), settings)),
        |net| nn::adam(0.9, 0.999, 0.1).build(&net.vs, 0.01).expect("tch's"),
    );
}

#[test]
fn a_frozen_parameter_stays_as_it_is_and_frozen() {
    let net = Net::new();
    let mut optimizer = Sgd::new(trainable(&net.vs), SgdSettings::default().with_momentum(0.9));
    optimizer.backward_step(&net.loss(0)).expect("a step");
    let weight = net.fc.ws.set_requires_grad(false);
    let before = weight.copy();
    optimizer.step().expect("a step");
    optimizer.backward_step(&net.loss(1)).expect("a step");
    assert!(weight.equal(&before));
    assert!(!weight.requires_grad());
}

#[test]
fn a_parameter_that_joins_later_starts_with_its_first_gradient_as_momentum() {
    let net = Net::new();
    let mut optimizer = Sgd::new(trainable(&net.vs), SgdSettings::default().with_momentum(0.9));
    let _ = net.fc.ws.set_requires_grad(false);
    optimizer.backward_step(&net.loss(0)).expect("a step");
    assert!(optimizer.momentum("fc.weight").is_none());
    let _ = net.fc.ws.set_requires_grad(true);
    optimizer.backward_step(&net.loss(1)).expect("a step");
    let momentum = optimizer.momentum("fc.weight").expect("it moved");
    assert!(momentum.equal(&net.fc.ws.grad()));
}

#[test]
fn a_gradient_in_another_memory_format_is_taken_element_by_element() {
    let net = Net::new();
    let plain = Net::new();
    for (net, permuted) in [(&net, true), (&plain, false)] {
        let mut optimizer = Sgd::new(trainable(&net.vs), SgdSettings::default().with_momentum(0.9));
        for seed in 0..2 {
            optimizer.zero_grad();
            net.loss(seed).backward();
            if permuted {
                let grad = net.conv.ws.grad().permute([2, 3, 1, 0]).contiguous().permute([3, 2, 0, 1]);
                assert_ne!(grad.stride(), net.conv.ws.stride());
                aten::set_grad(&net.conv.ws, Some(&grad)).expect("a gradient");
            }
            optimizer.step().expect("a step");
        }
    }
    assert!(net.conv.ws.allclose(&plain.conv.ws, 0.0, 1e-7, false));
}

#[test]
fn a_cut_parameter_with_its_state_cut_goes_on_and_one_without_is_refused() {
    let net = Net::new();
    let mut optimizer = AdamW::new(trainable(&net.vs), AdamWSettings::default());
    optimizer.backward_step(&net.loss(0)).expect("a step");
    let kept: &[i64] = &[0, 2];
    let cut = |tensor: &Tensor| aten::gather_slices(tensor, &[Some(kept), None]).expect("slices");
    let before: Vec<_> = optimizer
        .state_mut("fc.weight")
        .iter()
        .map(|tensor| tensor.index_select(0, &Tensor::from_slice(kept)))
        .collect();
    let grad = net.fc.ws.grad();
    aten::replace(&net.fc.ws, &cut(&net.fc.ws), Some(&cut(&grad))).expect("replaced");
    let bias = net.fc.bs.as_ref().expect("a bias");
    aten::replace(bias, &aten::gather_slices(bias, &[Some(kept)]).expect("slices"), None).expect("replaced");

    assert!(optimizer.check().is_err_and(|error| error.to_string().contains("`fc.bias` has shape [2]")));
    assert!(matches!(optimizer.step(), Err(OptimError::Shape { what: "state", .. })));
    for state in optimizer.state_mut("fc.weight") {
        *state = cut(state);
    }
    for state in optimizer.state_mut("fc.bias") {
        *state = aten::gather_slices(state, &[Some(kept)]).expect("slices");
    }
    for (state, before) in optimizer.state_mut("fc.weight").iter().zip(&before) {
        assert!(state.equal(before));
    }
    optimizer.check().expect("the state fits");
    let weight = net.fc.ws.copy();
    optimizer.backward_step(&net.loss(1)).expect("a step after the cut");
    assert_eq!(net.fc.ws.size(), [2, 16]);
    assert!(!net.fc.ws.equal(&weight));
}

#[test]
fn followers_are_asked_together() {
    let net = Net::new();
    let mut first = Sgd::new(trainable(&net.vs), SgdSettings::default().with_momentum(0.9));
    let mut second = AdamW::new(trainable(&net.vs), AdamWSettings::default());
    first.backward_step(&net.loss(0)).expect("a step");
    second.step().expect("a step");
    let mut both: [&mut dyn Follow; 2] = [&mut first, &mut second];
    assert_eq!(both.as_mut_slice().state_mut("fc.weight").len(), 3);
    assert_eq!(both.as_mut_slice().state_mut("nothing").len(), 0);
    both.as_slice().check().expect("the state fits");
    assert!(().state_mut("fc.weight").is_empty());
}

#[test]
fn gradients_are_clipped_to_their_common_norm() {
    let net = Net::new();
    let optimizer = Sgd::new(trainable(&net.vs), SgdSettings::default());
    assert_eq!(optimizer.clip_grad_norm(1.0), Ok(0.0));
    (net.loss(0) * 100.0).backward();
    let norm = |net: &Net| {
        net.vs
            .trainable_variables()
            .iter()
            .map(|tensor| tensor.grad().square().sum(Kind::Double).double_value(&[]))
            .sum::<f64>()
            .sqrt()
    };
    let before = norm(&net);
    let told = optimizer.clip_grad_norm(0.5).expect("clipped");
    assert!((told - before).abs() < 1e-3 * before, "{told} is not {before}");
    assert!((norm(&net) - 0.5).abs() < 1e-4);
}

#[test]
fn a_loss_without_gradients_is_an_error() {
    let net = Net::new();
    let mut optimizer = Sgd::new(trainable(&net.vs), SgdSettings::default());
    let error = optimizer.backward_step(&Tensor::from(1.0)).expect_err("nothing to differentiate");
    assert!(matches!(&error, OptimError::Backward { message } if message.contains("does not require grad")), "{error}");
}
