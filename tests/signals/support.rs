//! Networks in double precision, batches of them, and a loss.

use std::collections::BTreeMap;

use pruner::calibration::{Batch, Loader, gather};
use pruner::deps::{Analysis, AxisGroup, Group as _, Kept};
use pruner::exec::GraphModule;
use pruner::importance::{SignalSet, Signals};
use pruner::trace::trace;
use pruner_bench::models::{Forward, randomize};
use pruner_bench::rng::Rng;
use tch::{Device, Kind, TchError, Tensor, nn};

use crate::common::spec;

/// A network in double precision, as code and as a graph.
pub(crate) struct Wide {
    pub(crate) vs: nn::VarStore,
    pub(crate) forward: Forward,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) module: GraphModule,
    pub(crate) analysis: Analysis,
}

impl Wide {
    pub(crate) fn new(inputs: Vec<Tensor>, build: impl FnOnce(&nn::Path<'_>) -> Forward) -> Self {
        tch::set_num_threads(1);
        let mut vs = nn::VarStore::new(Device::Cpu);
        let forward = build(&vs.root());
        randomize(&vs, 3);
        vs.double();
        let inputs: Vec<Tensor> = inputs.into_iter().map(|input| widened(&input)).collect();
        let module = trace(&vs, &inputs, |inputs| forward(inputs, false)).expect("the network is traced");
        let analysis = Analysis::new(module.graph()).expect("the graph is sound");
        Self { vs, forward, inputs, module, analysis }
    }

    pub(crate) fn named(name: &str) -> Self {
        let spec = spec(name);
        Self::new((spec.inputs)(), |vs| (spec.build)(vs, spec.width))
    }

    /// A smooth network with a convolution and a linear layer.
    pub(crate) fn smooth() -> Self {
        Self::new(vec![Rng::new(9).tensor(&[2, 3, 4, 4], -1.0, 1.0)], |vs| {
            let conv = nn::conv2d(vs / "conv", 3, 4, 3, nn::ConvConfig::default());
            let norm = nn::layer_norm(vs / "norm", vec![16], nn::LayerNormConfig::default());
            let [fc1, fc2] = [("fc1", 16, 5), ("fc2", 5, 2)]
                .map(|(name, from, to)| nn::linear(vs / name, from, to, nn::LinearConfig::default()));
            one(move |xs| xs.apply(&conv).tanh().flatten(1, -1).apply(&norm).apply(&fc1).gelu("none").apply(&fc2))
        })
    }

    /// So many samples of what it takes, others for other seeds.
    pub(crate) fn samples(&self, count: i64, seed: u64) -> Vec<Tensor> {
        let of = |(at, input): (u64, &Tensor)| {
            let mut shape = input.size();
            shape[0] = count;
            let mut rng = Rng::new(seed + 10 * at);
            if input.is_floating_point() { widened(&rng.tensor(&shape, -1.0, 1.0)) } else { rng.indices(&shape, 100) }
        };
        (0..).zip(&self.inputs).map(of).collect()
    }

    /// A batch of so many samples, with a target for each.
    pub(crate) fn batch(&self, count: i64, seed: u64) -> Batch {
        let inputs = self.samples(count, seed);
        let output = tch::no_grad(|| (self.forward)(&inputs, false)).remove(0);
        let target = widened(&Rng::new(seed + 77).tensor(&output.size(), -1.0, 1.0));
        Batch::new(inputs).with_targets(vec![target])
    }

    /// Batches of 2, 3 and 1 samples.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        [(2, 1), (3, 2), (1, 3)].map(|(count, seed)| self.batch(count, seed)).into()
    }

    pub(crate) fn gather(&self, wanted: impl Into<SignalSet>, batches: &dyn Loader) -> Signals {
        gather(&self.module, &self.analysis, &Kept::all(), wanted.into(), batches, Some(&loss))
            .expect("they are gathered")
    }

    /// The gradients of the loss of a batch by name, from the code that was traced.
    pub(crate) fn autograd(&self, batch: &Batch) -> BTreeMap<String, Tensor> {
        let variables: Vec<(String, Tensor)> =
            self.vs.variables().into_iter().filter(|(_, tensor)| tensor.requires_grad()).collect();
        let loss = loss(&(self.forward)(&batch.inputs, false), &batch.targets).expect("a number");
        let tensors: Vec<&Tensor> = variables.iter().map(|(_, tensor)| tensor).collect();
        let gradients = Tensor::run_backward(&[loss], &tensors, false, false);
        variables.iter().map(|(name, _)| name.clone()).zip(gradients).filter(|(_, it)| it.defined()).collect()
    }

    pub(crate) fn groups(&self) -> Vec<&AxisGroup> {
        self.analysis.groups().iter().filter(|group| group.pin().is_none()).collect()
    }

    /// Name and id of every parameter.
    pub(crate) fn parameters(&self) -> Vec<(String, pruner::ids::ValueId)> {
        let graph = self.module.graph();
        let stored = graph.stored().filter(|(_, value)| value.origin == pruner::graph::Origin::Parameter);
        stored.map(|(id, value)| (value.name.clone(), id)).collect()
    }
}

/// A network of one input and one result.
pub(crate) fn one(net: impl Fn(&Tensor) -> Tensor + Send + 'static) -> Forward {
    Box::new(move |inputs, _train| vec![net(&inputs[0])])
}

pub(crate) fn widened(tensor: &Tensor) -> Tensor {
    if tensor.is_floating_point() { tensor.to_kind(Kind::Double) } else { tensor.shallow_clone() }
}

/// The mean over the samples of a loss that is curved.
pub(crate) fn loss(outputs: &[Tensor], targets: &[Tensor]) -> Result<Tensor, TchError> {
    let distance = outputs[0].f_sub(&targets[0])?;
    distance.f_square()?.f_add(&distance.f_cos()?)?.f_mean(None)
}

/// All samples of batches in one.
pub(crate) fn union(batches: &[Batch]) -> Batch {
    let cat = |of: &dyn Fn(&Batch) -> &Vec<Tensor>| -> Vec<Tensor> {
        (0..of(&batches[0]).len())
            .map(|at| Tensor::cat(&batches.iter().map(|batch| &of(batch)[at]).collect::<Vec<_>>(), 0))
            .collect()
    };
    Batch { inputs: cat(&|batch| &batch.inputs), targets: cat(&|batch| &batch.targets) }
}

/// Every sample of batches as a batch.
pub(crate) fn singles(batches: &[Batch]) -> Vec<Batch> {
    let all = union(batches);
    let narrow = |tensors: &[Tensor], at| tensors.iter().map(|tensor| tensor.narrow(0, at, 1)).collect::<Vec<_>>();
    (0..all.inputs[0].size()[0])
        .map(|at| Batch { inputs: narrow(&all.inputs, at), targets: narrow(&all.targets, at) })
        .collect()
}

/// Fails where two tensors differ by more than rounding.
#[track_caller]
pub(crate) fn close(found: &Tensor, expected: &Tensor, what: &str) {
    near(found, expected, 1e-9, what);
}

/// Fails where two tensors differ by more than a share of the largest element.
#[track_caller]
pub(crate) fn near(found: &Tensor, expected: &Tensor, share: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    let (difference, scale) = (largest(&(found - expected)), largest(expected));
    assert!(difference <= share * scale.max(1e-12), "{what}: {difference} of {scale}\n{found}\n{expected}");
}
