//! How fast criteria score and steps slice, in bytes beside a copy on the same device in the same run.

use std::collections::BTreeSet;
use std::io::Write;

use pruner_core::deps::{Analysis, AxisGroup, Group as _};
use pruner_core::exec::GraphModule;
use pruner_core::importance::{Weights, importance_from, score};
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::registry;
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::clock::{Millis, seconds};
use super::networks::Net;
use super::{GpuError, say};

/// How fast a criterion scores all groups of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scoring {
    /// The network.
    pub network: String,
    /// The criterion.
    pub criterion: String,
    /// The bytes of the weights of all groups, each once.
    pub bytes: u64,
    /// From the weights to the scores on the host.
    pub score: Millis,
    /// A copy of as many bytes on the device.
    pub copy: Millis,
}

/// What a step takes that cuts half of every group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The network.
    pub network: String,
    /// The bytes of its parameters and buffers.
    pub bytes_before: u64,
    /// Those that are left.
    pub bytes_after: u64,
    /// From the graph to the groups, on the host.
    pub analysis: Millis,
    /// Scoring and planning.
    pub plan: Millis,
    /// Slicing all tensors and putting them in place.
    pub apply: Millis,
    /// A copy of as many bytes as are left, on the device.
    pub copy: Millis,
}

fn rounds(quick: bool) -> usize {
    if quick { 2 } else { 15 }
}

fn bytes(tensor: &Tensor) -> u64 {
    (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64
}

/// What a copy of so many bytes takes, on the device.
fn copy(device: Device, bytes: u64, rounds: usize) -> Millis {
    let from = Tensor::ones([(bytes / 4).max(1) as i64], (Kind::Float, device));
    let mut to = from.zeros_like();
    Millis::of((0..=rounds).map(|_| seconds(device, || to.copy_(&from)).0).skip(1).collect())
}

/// Every criterion that needs nothing but weights.
pub(super) fn scoring(device: Device, quick: bool, text: &mut dyn Write) -> Result<Vec<Scoring>, GpuError> {
    let mut rows = Vec::new();
    for net in [Net::Resnet50, Net::VitB] {
        let (_vs, module) = net.module(quick, (Kind::Float, device))?;
        let analysis = Analysis::new(module.graph())?;
        let groups: Vec<AxisGroup> = analysis.groups().iter().filter(|group| group.pin().is_none()).cloned().collect();
        let trained = groups.iter().flat_map(AxisGroup::members).filter(|member| member.trained);
        let read: BTreeSet<_> = trained.map(|member| member.value).collect();
        let read: u64 = read.into_iter().filter_map(|value| module.tensor(value)).map(bytes).sum();
        for plugin in registry::importances() {
            let importance = importance_from(plugin.name, Value::Null)?;
            if !importance.needs().is_empty() {
                continue;
            }
            let mut times = Vec::new();
            for _ in 0..=rounds(quick) {
                // What was folded once is remembered, so that each round begins without.
                let weights = weights(&module)?;
                let (time, scores) = seconds(device, || -> Result<usize, GpuError> {
                    let mut scores = Vec::new();
                    for group in &groups {
                        scores.extend(score(importance.as_ref(), group, &weights)?);
                    }
                    Ok(if scores.is_empty() { 0 } else { Tensor::cat(&scores, 0).to_device(Device::Cpu).numel() })
                });
                if scores? > 0 {
                    times.push(time);
                }
            }
            if times.is_empty() {
                continue;
            }
            rows.push(Scoring {
                network: net.name().to_owned(),
                criterion: plugin.name.to_owned(),
                bytes: read,
                score: Millis::of(times.split_off(1)),
                copy: copy(device, read, rounds(quick)),
            });
        }
    }
    say(text, &format!("{} criteria scored", rows.len()));
    Ok(rows)
}

fn weights(module: &GraphModule) -> Result<Weights, GpuError> {
    let mut weights = Weights::new(0);
    for (value, _) in module.graph().stored() {
        if let Some(tensor) = module.tensor(value) {
            weights.insert(value, tensor)?;
        }
    }
    Ok(weights)
}

/// A step of every network.
pub(super) fn steps(device: Device, quick: bool, text: &mut dyn Write) -> Result<Vec<Step>, GpuError> {
    let mut rows = Vec::new();
    for net in [Net::Resnet18, Net::Resnet50, Net::VitB] {
        let (dense, _) = net.module(quick, (Kind::Float, device))?;
        let mut times: [Vec<f64>; 3] = Default::default();
        let (mut before, mut after) = (0, 0);
        for _ in 0..=rounds(quick) {
            let (mut vs, mut module) = net.module(quick, (Kind::Float, device))?;
            vs.copy(&dense)?;
            let size = |module: &GraphModule| module.named_tensors().iter().map(|(_, tensor)| bytes(tensor)).sum();
            before = size(&module);
            let settings = Settings::new(Box::new(Magnitude::default()), Box::new(OneShot::default()));
            let settings = settings.with_limits(Limits::new(0.5));
            let (analysis, pruner) = seconds(device, || GroupPruner::new(&module, settings));
            let mut pruner = pruner?;
            let (plan, selection) = seconds(device, || pruner.plan(&module));
            let selection = selection?;
            let (apply, report) = seconds(device, || pruner.apply(&mut module, &mut (), &selection));
            report?;
            after = size(&module);
            for (times, time) in times.iter_mut().zip([analysis, plan, apply]) {
                times.push(time);
            }
        }
        let [analysis, plan, apply] = times.map(|mut times| Millis::of(times.split_off(1)));
        let copy = copy(device, after, rounds(quick));
        let network = net.name().to_owned();
        say(
            text,
            &format!(
                "a step of {network}: plan {:.2} ms, apply {:.2} ms, copy {:.2} ms",
                plan.p50, apply.p50, copy.p50
            ),
        );
        rows.push(Step { network, bytes_before: before, bytes_after: after, analysis, plan, apply, copy });
    }
    Ok(rows)
}
