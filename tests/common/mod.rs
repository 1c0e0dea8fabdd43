//! What the tests of whole networks share: networks by name, traced, and what they were before.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;

use pruner::criteria::Magnitude;
use pruner::exec::GraphModule;
use pruner::plan::{Limits, Scope};
use pruner::pruner::Settings;
use pruner::schedulers::Linear;
use pruner::trace::trace;
use pruner_bench::models::{Forward, Spec, all, randomize};
use pruner_bench::rng::Rng;
use tch::{Device, Kind, Tensor, nn};

/// A network in its variables, as code and as a graph.
pub(crate) struct Net {
    pub(crate) vs: nn::VarStore,
    pub(crate) forward: Forward,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) module: GraphModule,
}

impl Net {
    /// Makes the variables, gives them random values, and traces the network.
    pub(crate) fn new(inputs: Vec<Tensor>, build: impl FnOnce(&nn::Path<'_>) -> Forward) -> Self {
        // Tests run side by side; threads of libtorch's own would only wait for each other.
        tch::set_num_threads(1);
        let vs = nn::VarStore::new(Device::Cpu);
        let forward = build(&vs.root());
        randomize(&vs, 3);
        let module = trace(&vs, &inputs, |inputs| forward(inputs, false)).expect("the network is traced");
        Self { vs, forward, inputs, module }
    }

    /// The network of this name among those of the benchmark, at the width for tests.
    pub(crate) fn named(name: &str) -> Self {
        let spec = spec(name);
        Self::new((spec.inputs)(), |vs| (spec.build)(vs, spec.width))
    }

    /// Linear layers of these widths with ReLU between them; the first width is that of the input.
    pub(crate) fn mlp(widths: &[i64]) -> Self {
        Self::new(vec![Rng::new(9).tensor(&[4, widths[0]], -1.0, 1.0)], |vs| {
            let layers: Vec<_> = widths
                .windows(2)
                .enumerate()
                .map(|(at, pair)| {
                    nn::linear(vs / format!("fc{}", at + 1), pair[0], pair[1], nn::LinearConfig::default())
                })
                .collect();
            Box::new(move |inputs, _train| {
                let mut xs = inputs[0].shallow_clone();
                for (at, layer) in layers.iter().enumerate() {
                    xs = xs.apply(layer);
                    if at + 1 < layers.len() {
                        xs = xs.relu();
                    }
                }
                vec![xs]
            })
        })
    }

    /// A network with what an exported program says in ways of its own: a part without gradients, a constant, a list of
    /// tensors of which one is not used, an argument that is given by name, and several inputs and results.
    pub(crate) fn manifold() -> Self {
        let inputs = vec![Rng::new(1).tensor(&[2, 6, 4], -1.0, 1.0), Rng::new(2).indices(&[2, 6], 9)];
        Self::new(inputs, |vs| {
            let words = nn::embedding(vs / "words", 9, 4, nn::EmbeddingConfig::default());
            let [first, second] =
                ["first", "second"].map(|name| nn::linear(vs / name, 4, 12, nn::LinearConfig::default()));
            let shift = Rng::new(3).tensor(&[12], -1.0, 1.0);
            Box::new(move |inputs, train| {
                let xs = &inputs[0] + inputs[1].apply(&words);
                let scale = tch::no_grad(|| (xs.square().mean_dim([2_i64].as_slice(), true, None) + 0.5).sqrt());
                let parts = (xs / &scale).apply(&first).dropout(0.5, train).chunk(3, -1);
                let ys = ((&parts[0] * &parts[2]).apply(&second) + &shift).gelu("tanh");
                vec![ys.sum_dim_intlist([1_i64].as_slice(), false, Kind::Double), scale]
            })
        })
    }

    pub(crate) fn variable(&self, name: &str) -> Tensor {
        self.vs.variables().remove(name).unwrap_or_else(|| panic!("there is no variable {name}"))
    }

    /// A loss that depends on every element of every result.
    pub(crate) fn loss(outputs: &[Tensor]) -> Tensor {
        let mut sum = Tensor::from(0.0_f32);
        for output in outputs {
            let weight = Rng::new(5).tensor(&output.size(), 0.1, 1.0);
            sum += (output.to_kind(Kind::Float) * weight).square().mean(Kind::Float);
        }
        sum
    }
}

pub(crate) fn spec(name: &str) -> Spec {
    all().into_iter().find(|spec| spec.name == name).unwrap_or_else(|| panic!("there is no network {name}"))
}

/// One step by magnitude to `ratio` of every group.
pub(crate) fn settings(ratio: f64) -> Settings {
    with_limits(Limits::new(ratio))
}

pub(crate) fn global(ratio: f64) -> Limits {
    Limits::new(ratio).with_scope(Scope::Global)
}

pub(crate) fn with_limits(limits: Limits) -> Settings {
    Settings::new(Box::new(Magnitude::default()), Box::new(Linear {})).with_limits(limits)
}

/// Sets a variable, or a part of it, to a number.
pub(crate) fn fill(tensor: &Tensor, value: f64) {
    let _ = tch::no_grad(|| tensor.shallow_clone().fill_(value));
}

/// Everything of a store that a cut may change: values, gradients, whether it is trained.
pub(crate) struct Snapshot(BTreeMap<String, (Tensor, Option<Tensor>, bool)>);

impl Snapshot {
    pub(crate) fn of(vs: &nn::VarStore) -> Self {
        let copy = |(name, tensor): (String, Tensor)| {
            let grad = Some(tensor.grad()).filter(Tensor::defined).map(|grad| grad.copy());
            let trained = tensor.requires_grad();
            (name, (tensor.detach().copy(), grad, trained))
        };
        Self(vs.variables().into_iter().map(copy).collect())
    }

    pub(crate) fn value(&self, name: &str) -> &Tensor {
        &self.0[name].0
    }

    pub(crate) fn grad(&self, name: &str) -> Option<&Tensor> {
        self.0[name].1.as_ref()
    }

    /// Fails where anything of the store is other than it was, to the bit.
    #[track_caller]
    pub(crate) fn assert_unchanged(&self, vs: &nn::VarStore, when: &str) {
        let now = Self::of(vs);
        assert!(self.0.keys().eq(now.0.keys()), "{when}: other variables");
        for (name, (value, grad, trained)) in &self.0 {
            let (value_now, grad_now, trained_now) = &now.0[name];
            assert!(same(value, value_now), "{when}: {name} changed");
            assert_eq!(trained, trained_now, "{when}: {name}");
            match (grad, grad_now) {
                (None, None) => {}
                (Some(grad), Some(grad_now)) => assert!(same(grad, grad_now), "{when}: the gradient of {name}"),
                _ => panic!("{when}: {name} has lost or won a gradient"),
            }
        }
    }
}

/// Whether two tensors are equal to the bit, NaN included.
pub(crate) fn same(a: &Tensor, b: &Tensor) -> bool {
    let (nan_a, nan_b) = (a.isnan(), b.isnan());
    a.kind() == b.kind()
        && a.size() == b.size()
        && nan_a.equal(&nan_b)
        && a.masked_fill(&nan_a, 0.0).equal(&b.masked_fill(&nan_b, 0.0))
}

/// The largest difference of two elements by the largest element of the second.
#[track_caller]
pub(crate) fn relative(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let largest = |tensor: Tensor| tensor.abs().max().to_kind(Kind::Double).double_value(&[]);
    largest(a - b) / largest(b.shallow_clone()).max(f64::MIN_POSITIVE)
}

pub(crate) fn max_of(tensor: &Tensor) -> f64 {
    tensor.abs().max().to_kind(Kind::Double).double_value(&[])
}

/// The elements of a tensor at these positions of a dimension.
pub(crate) fn select(tensor: &Tensor, dim: i64, positions: &[u32]) -> Tensor {
    let positions: Vec<i64> = positions.iter().copied().map(i64::from).collect();
    tensor.index_select(dim, &Tensor::from_slice(&positions))
}

/// A number of bytes that the system knows of this process.
fn process_bytes(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells of the process");
    let line = status.lines().find(|line| line.starts_with(what)).expect("it tells this");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kilobytes * 1024
}

/// What `run` gives, and the bytes that it takes at most beside what is there before. On Linux alone.
pub(crate) fn peak<T>(run: impl FnOnce() -> T) -> (T, u64) {
    // The largest amount so far begins anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("a process may do so of itself");
    let before = process_bytes("VmRSS");
    let given = run();
    (given, process_bytes("VmHWM").saturating_sub(before))
}
