//! How fast networks are before and after a cut: by batch, precision and layout, the cuts by turns.

use std::io::Write;

use pruner_core::aten;
use pruner_core::exec::{GraphModule, Mode};
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn};

use super::clock::{Millis, seconds};
use super::networks::{Net, channels_last};
use super::{GpuError, say};
use crate::fine_tuning::counts;

/// The shares of every group that go, in percent.
const PERCENTS: [u32; 4] = [0, 25, 50, 75];

/// How fast a network is with a share of its channels gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forward {
    /// The network.
    pub network: String,
    /// The share of every group that was asked to go, in percent; sizes are multiples of 8.
    pub percent: u32,
    /// Images at once.
    pub batch: i64,
    /// `float32` or `bfloat16`.
    pub dtype: String,
    /// Whether channels lie next to each other in memory.
    pub channels_last: bool,
    /// The multiply-accumulates of one image.
    pub macs: u64,
    /// The parameters.
    pub params: u64,
    /// A forward pass.
    pub millis: Millis,
}

/// A way to run a network.
#[derive(Clone, Copy)]
struct Way {
    batch: i64,
    kind: Kind,
    channels_last: bool,
}

fn ways(net: Net, quick: bool) -> Vec<Way> {
    let batches: &[i64] = if quick { &[1, 4] } else { &[1, 64] };
    let layouts: &[bool] = if net.is_convolutional() { &[false, true] } else { &[false] };
    let mut ways = Vec::new();
    for kind in [Kind::Float, Kind::BFloat16] {
        for &channels_last in layouts {
            ways.extend(batches.iter().map(|&batch| Way { batch, kind, channels_last }));
        }
    }
    ways
}

/// A network with a share gone, and its variables.
struct Cut {
    percent: u32,
    macs: u64,
    params: u64,
    module: GraphModule,
    _vs: nn::VarStore,
}

pub(super) fn measure(device: Device, quick: bool, text: &mut dyn Write) -> Result<Vec<Forward>, GpuError> {
    let rounds = if quick { 2 } else { 25 };
    let mut rows = Vec::new();
    for net in [Net::Resnet50, Net::VitB] {
        for way in ways(net, quick) {
            let cuts =
                PERCENTS.iter().map(|&percent| cut(net, quick, way, percent, device)).collect::<Result<Vec<_>, _>>()?;
            let images = Net::images(way.batch, quick, (way.kind, device));
            let images = if way.channels_last { channels_last(&images)? } else { images };
            let mut times: Vec<Vec<f64>> = cuts.iter().map(|_| Vec::new()).collect();
            // Algorithms are chosen and memory is taken in the first rounds.
            for round in 0..rounds + 3 {
                for (cut, times) in cuts.iter().zip(&mut times) {
                    let run = || tch::no_grad(|| cut.module.forward(std::slice::from_ref(&images), Mode::Eval));
                    let (time, outputs) = seconds(device, run);
                    outputs?;
                    if round >= 3 {
                        times.push(time);
                    }
                }
            }
            for (cut, times) in cuts.into_iter().zip(times) {
                rows.push(Forward {
                    network: net.name().to_owned(),
                    percent: cut.percent,
                    batch: way.batch,
                    dtype: if way.kind == Kind::Float { "float32" } else { "bfloat16" }.to_owned(),
                    channels_last: way.channels_last,
                    macs: cut.macs,
                    params: cut.params,
                    millis: Millis::of(times),
                });
            }
            let of = |index: usize| rows[rows.len() - PERCENTS.len() + index].millis.p50;
            say(
                text,
                &format!(
                    "{}, batch {}, {:?}{}: {:.2} ms, then {:.2}, {:.2} and {:.2} with 25, 50 and 75 % gone",
                    net.name(),
                    way.batch,
                    way.kind,
                    if way.channels_last { ", channels last" } else { "" },
                    of(0),
                    of(1),
                    of(2),
                    of(3)
                ),
            );
        }
    }
    Ok(rows)
}

fn cut(net: Net, quick: bool, way: Way, percent: u32, device: Device) -> Result<Cut, GpuError> {
    let (vs, mut module) = net.module(quick, (way.kind, device))?;
    if percent > 0 {
        let settings = Settings::new(Box::new(Magnitude::default()), Box::new(OneShot::default()));
        let limits = Limits::new(f64::from(percent) / 100.0).with_round_to(8);
        GroupPruner::new(&module, settings.with_limits(limits))?.step(&mut module, &mut ())?;
    }
    if way.channels_last {
        for (_, parameter) in module.parameters() {
            let laid_out = tch::no_grad(|| channels_last(&parameter.detach()))?;
            aten::replace(&parameter, &laid_out, None::<&Tensor>)?;
        }
    }
    let counts = counts(&module)?;
    Ok(Cut { percent, macs: counts.macs, params: counts.params, module, _vs: vs })
}
