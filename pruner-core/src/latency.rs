//! The latency of what a cut would leave: measured beside that of the uncut network.

use std::fmt;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use crate::exec::{ExecError, GraphModule, Hooks, Mode};
use crate::graph::{Dtype, Graph};
use crate::ids::ValueId;

/// Tells how long two networks take.
///
/// # Contract
///
/// Neither network is changed. Both times are in milliseconds and above 0, for inputs of the shapes that the graphs were traced
/// with, and taken so that they can be compared.
pub trait Latency: fmt::Debug + Send + Sync {
    /// The latencies of `dense`, the network before the first cut, and of `cut`, what a cut leaves of it.
    fn measure(&self, dense: &GraphModule, cut: &GraphModule) -> Result<Latencies, ExecError>;
}

/// How long two networks take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    /// The network before the first cut.
    pub dense_ms: f64,
    /// What a cut leaves of it.
    pub cut_ms: f64,
}

impl Latencies {
    /// The share of the latency that is gone.
    pub fn gone(self) -> f64 {
        1.0 - self.cut_ms / self.dense_ms
    }
}

/// Runs both networks by turns on their device, in evaluation mode and without gradients, and takes the medians.
///
/// It is a measurement, which differs from one to the next by what else the machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByTurns {
    /// The forward passes of each network before those that are timed. Default: 2.
    pub warm_up: usize,
    /// The most forward passes of each network that are timed. Default: 100.
    pub runs: usize,
    /// Once the timed passes have taken this long together, no more than three of each network are made. Default: 1 s.
    pub limit: Duration,
}

impl Default for ByTurns {
    fn default() -> Self {
        Self { warm_up: 2, runs: 100, limit: Duration::from_secs(1) }
    }
}

impl Latency for ByTurns {
    fn measure(&self, dense: &GraphModule, cut: &GraphModule) -> Result<Latencies, ExecError> {
        const LEAST: usize = 3;
        let networks = [dense, cut];
        let inputs = networks.map(|module| inputs(module.graph(), module.device()));
        let _no_grad = tch::no_grad_guard();
        let mut times = [Vec::new(), Vec::new()];
        let mut total = Duration::ZERO;
        for run in 0..self.warm_up + self.runs.max(1) {
            if run >= self.warm_up + LEAST && total >= self.limit {
                break;
            }
            for ((module, inputs), times) in networks.iter().zip(&inputs).zip(&mut times) {
                wait(module.device());
                let start = Instant::now();
                module.forward_apart(inputs, Mode::Eval, &|_| None, Hooks::default())?;
                wait(module.device());
                if run >= self.warm_up {
                    total += start.elapsed();
                    times.push(1000.0 * start.elapsed().as_secs_f64());
                }
            }
        }
        let [dense_ms, cut_ms] = times.map(median);
        Ok(Latencies { dense_ms, cut_ms })
    }
}

fn wait(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let (low, high) = (times[(times.len() - 1) / 2], times[times.len() / 2]);
    low.midpoint(high).max(f64::MIN_POSITIVE)
}

/// Inputs of the traced shapes: irregular numbers, and zeros where they are whole, which every table has. They draw on no random
/// numbers, whose state is the user's.
fn inputs(graph: &Graph, device: Device) -> Vec<Tensor> {
    let input = |&id: &ValueId| {
        let meta = &graph.value(id).meta;
        let elements: i64 = meta.shape.iter().product();
        let numbers = |kind| {
            (Tensor::arange(elements, (Kind::Float, device)) * 12.9898).sin().view(meta.shape.as_slice()).to_kind(kind)
        };
        match meta.dtype {
            Dtype::F32 => numbers(Kind::Float),
            Dtype::F64 => numbers(Kind::Double),
            Dtype::F16 => numbers(Kind::Half),
            Dtype::BF16 => numbers(Kind::BFloat16),
            Dtype::C64 => numbers(Kind::ComplexFloat),
            Dtype::C128 => numbers(Kind::ComplexDouble),
            Dtype::I64 => numbers(Kind::Float).zeros_like().to_kind(Kind::Int64),
            Dtype::I32 => numbers(Kind::Float).zeros_like().to_kind(Kind::Int),
            Dtype::I16 => numbers(Kind::Float).zeros_like().to_kind(Kind::Int16),
            Dtype::I8 => numbers(Kind::Float).zeros_like().to_kind(Kind::Int8),
            Dtype::Bool => numbers(Kind::Float).zeros_like().to_kind(Kind::Bool),
            _ => numbers(Kind::Float).zeros_like().to_kind(Kind::Uint8),
        }
    };
    graph.inputs().iter().map(input).collect()
}
