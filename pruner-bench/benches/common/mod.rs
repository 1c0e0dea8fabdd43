//! What all benchmarks are made over: chains of all depths and widths, and real architectures.
#![allow(dead_code, reason = "each benchmark uses what it needs")]

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use pruner_bench::models::{Forward, all, randomize};
use pruner_bench::synthetic::chain_net;
use pruner_core::exec::GraphModule;
use pruner_core::graph::Graph;
use pruner_core::trace::trace;
use tch::{Device, Kind, Tensor, nn};

/// The layers of the chains.
const DEPTHS: [usize; 4] = [10, 100, 1_000, 10_000];
/// The channels of the chains over which the depth varies.
const CHANNELS: i64 = 8;
/// The channels of the chains of [`LAYERS`] layers over which the width varies.
const WIDTHS: [i64; 3] = [16, 64, 256];
const LAYERS: usize = 100;
/// The architectures, at their original's width.
const ARCHITECTURES: [&str; 7] = ["resnet18", "resnet50", "resnext50", "densenet", "mobilenet_v2", "vit", "swin"];

/// A network, as the code that it is written in and as what was traced of it.
pub(crate) struct Network {
    pub(crate) vs: nn::VarStore,
    pub(crate) net: Forward,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) module: GraphModule,
}

impl Network {
    fn new(vs: nn::VarStore, net: Forward, inputs: Vec<Tensor>) -> Self {
        let module = trace(&vs, &inputs, |inputs| net(inputs, false)).expect("the network is traced");
        Self { vs, net, inputs, module }
    }

    pub(crate) fn graph(&self) -> &Graph {
        self.module.graph()
    }
}

/// What a benchmark is run on. It is built when it is its turn, since a deep chain takes much memory.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Chain { depth: usize, channels: i64 },
    Architecture(&'static str),
}

impl Case {
    pub(crate) fn build(self) -> Network {
        let vs = nn::VarStore::new(Device::Cpu);
        match self {
            Self::Chain { depth, channels } => {
                let inputs = vec![Tensor::ones([1, channels, 8, 8], (Kind::Float, Device::Cpu))];
                let net = chain_net(&vs.root(), depth, channels);
                Network::new(vs, net, inputs)
            }
            Self::Architecture(name) => {
                let spec = all().into_iter().find(|spec| spec.name == name).expect("the name is registered");
                let net = (spec.build)(&vs.root(), spec.full_width);
                randomize(&vs, 1);
                Network::new(vs, net, (spec.inputs)())
            }
        }
    }

    fn name(self) -> String {
        match self {
            Self::Chain { depth, channels: CHANNELS } => format!("depth/{depth}"),
            Self::Chain { channels, .. } => format!("width/{channels}"),
            Self::Architecture(name) => format!("architecture/{name}"),
        }
    }
}

/// Runs a benchmark of `stage` over every depth, width and architecture. It gets the group and the name to measure under.
pub(crate) fn over_all(
    c: &mut Criterion,
    stage: &str,
    mut bench: impl FnMut(&mut BenchmarkGroup<'_, WallTime>, &str, Case, &Network),
) {
    let mut group = c.benchmark_group(stage);
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    let depths = DEPTHS.map(|depth| Case::Chain { depth, channels: CHANNELS });
    let widths = WIDTHS.map(|channels| Case::Chain { depth: LAYERS, channels });
    for case in depths.into_iter().chain(widths).chain(ARCHITECTURES.map(Case::Architecture)) {
        let network = case.build();
        group.throughput(Throughput::Elements(network.graph().nodes().len() as u64));
        bench(&mut group, &case.name(), case, &network);
    }
    group.finish();
}
