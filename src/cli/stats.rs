//! `pruner stats`: what a model costs, layer by layer, and how long it takes.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use pruner::deps::{Counts, Kept, NodeCost};
use pruner::exec::{GraphModule, Mode};
use pruner::text::Column;
use serde::Serialize;
use tch::{Device, Tensor};

use super::model::Model;
use super::numbers::{bytes, human};
use super::output::{self, Output};
use super::progress::Progress;
use super::run::RunArgs;

/// The arguments of `pruner stats`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Stats {
    /// The model, a `.pt2` of torch.export.
    model: PathBuf,

    /// The forward passes that are timed after three to warm up; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 10)]
    runs: usize,

    /// The order of the table, the largest first [default: that of execution].
    #[arg(long)]
    sort: Option<Sort>,

    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "Examples:
  pruner stats model.pt2
      every node that has parameters or multiplies, and the latency of all
  pruner stats model.pt2 --runs 0 --sort macs | head
      the nodes that multiply most; nothing is run";

/// By what the nodes are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sort {
    Params,
    Macs,
}

/// What is found.
#[derive(Serialize)]
struct Found {
    counts: Counts,
    peak_activation_bytes: u64,
    latency: Option<Timing>,
    nodes: Vec<NodeCost>,
}

/// The milliseconds of a forward pass without gradients.
#[derive(Serialize)]
struct Timing {
    runs: usize,
    latency_ms_min: f64,
    latency_ms_p50: f64,
    latency_ms_max: f64,
    /// The threads that libtorch computes with.
    threads: i32,
}

impl Stats {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let model = Model::open(&self.model)?;
        let (analysis, kept) = (&model.analysis, Kept::all());
        let latency = if self.runs == 0 {
            None
        } else {
            let module = model.load(self.run.device.device)?;
            let _progress = Progress::new("running the model");
            Some(Timing::measure(&module, &self.run.inputs(analysis.graph())?, self.runs)?)
        };
        let mut found = Found {
            counts: analysis.counts(&kept),
            peak_activation_bytes: analysis.peak_activation_bytes(&kept),
            latency,
            nodes: analysis.node_costs(&kept),
        };
        match self.sort {
            Some(Sort::Params) => found.nodes.sort_by_key(|cost| Reverse(cost.params)),
            Some(Sort::Macs) => found.nodes.sort_by_key(|cost| Reverse(cost.macs)),
            None => {}
        }
        if output == Output::Json {
            return output::print_json(&found);
        }
        let mut table = output::table(&[
            ("node", Column::Left),
            ("operation", Column::Name),
            ("layer", Column::Name),
            ("output", Column::Right),
            ("params", Column::Right),
            ("MACs", Column::Right),
        ]);
        for cost in &found.nodes {
            let op = cost.op.trim_start_matches("aten::").to_owned();
            let layer = if cost.layer.is_empty() { "-".to_owned() } else { cost.layer.clone() };
            let (params, macs) = (output::count(cost.params), output::count(cost.macs));
            table.push([cost.node.to_string(), op, layer, output::shape(&cost.shape), params, macs]);
        }
        output::print_fitted(&table)?;
        output::print(&found.summary())?;
        Ok(())
    }
}

impl Timing {
    fn measure(module: &GraphModule, inputs: &[Tensor], runs: usize) -> anyhow::Result<Self> {
        const WARM_UP: usize = 3;
        let wait = || {
            if let Device::Cuda(index) = module.device() {
                tch::Cuda::synchronize(index as i64);
            }
        };
        let mut times = Vec::with_capacity(runs);
        let _no_grad = tch::no_grad_guard();
        for run in 0..WARM_UP + runs {
            let inputs: Vec<_> = inputs.iter().map(Tensor::copy).collect();
            wait();
            let start = Instant::now();
            module.forward(&inputs, Mode::Eval)?;
            wait();
            if run >= WARM_UP {
                times.push(1000.0 * start.elapsed().as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(Self {
            runs,
            latency_ms_min: times[0],
            latency_ms_p50: times[times.len() / 2],
            latency_ms_max: times[times.len() - 1],
            threads: tch::get_num_threads(),
        })
    }
}

impl Found {
    fn summary(&self) -> String {
        let Counts { params, macs, bytes: stored, .. } = self.counts;
        let mut text = format!(
            "\ntotal: {} parameters, {} MACs, {} of parameters and buffers, at most {} of activations at a time",
            human(params),
            human(macs),
            bytes(stored),
            bytes(self.peak_activation_bytes)
        );
        if let Some(Timing { runs, latency_ms_min, latency_ms_p50, latency_ms_max, threads }) = &self.latency {
            write!(text, "\nlatency {latency_ms_p50:.2} ms (median of {runs}; {latency_ms_min:.2} to {latency_ms_max:.2}), {threads} threads").expect("a string takes all that is written");
        }
        text
    }
}
