//! Masked equals sliced, on a device: half of every exact group goes at random from every network of the registry.

use std::io::Write;

use pruner_core::deps::Analysis;
use pruner_core::equivalence::masked_equals_sliced;
use pruner_core::trace::trace;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor, nn};

use super::say;
use crate::models::{Spec, all, random_share, randomize};

/// On the CPU as in the tests; a GPU may sum in another order, or by an algorithm of fewer products, for another size.
const TOLERANCE: [f64; 2] = [1e-5, 1e-4];

/// How far the outputs of a cut network are from those of the masked one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// The network.
    pub network: String,
    /// The largest difference by the largest output; `None` where it failed or is no number.
    pub relative: Option<f64>,
    /// By how much masking changed the outputs, in the same terms.
    pub effect: Option<f64>,
    /// The difference that is allowed.
    pub tolerance: f64,
    /// Why they could not be compared; `None` where they were.
    pub error: Option<String>,
}

impl Equivalence {
    /// Whether masked equals sliced.
    pub fn is_equal(&self) -> bool {
        self.error.is_none() && self.relative.is_some_and(|relative| relative <= self.tolerance)
    }
}

/// Compares every network, also those after one that fails.
pub(super) fn measure(device: Device, quick: bool, text: &mut dyn Write) -> Vec<Equivalence> {
    let tolerance = TOLERANCE[usize::from(device != Device::Cpu)];
    let specs = all();
    let step = if quick { 6 } else { 1 };
    let mut rows = Vec::new();
    for spec in specs.iter().step_by(step) {
        let row = match compare(spec, device) {
            Ok((relative, effect)) => {
                let finite = |value: f64| value.is_finite().then_some(value);
                Equivalence {
                    network: spec.name.to_owned(),
                    relative: finite(relative),
                    effect: finite(effect),
                    tolerance,
                    error: None,
                }
            }
            Err(error) => Equivalence {
                network: spec.name.to_owned(),
                relative: None,
                effect: None,
                tolerance,
                error: Some(error.to_string()),
            },
        };
        if !row.is_equal() {
            say(text, &format!("  {}: {:?} {}", row.network, row.relative, row.error.as_deref().unwrap_or_default()));
        }
        rows.push(row);
    }
    let equal = rows.iter().filter(|row| row.is_equal()).count();
    let worst = rows.iter().filter_map(|row| row.relative).fold(0.0, f64::max);
    say(text, &format!("masked equals sliced on {equal} of {} networks, to {worst:.0e} at worst", rows.len()));
    rows
}

fn compare(spec: &Spec, device: Device) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let vs = nn::VarStore::new(device);
    let net = (spec.build)(&vs.root(), spec.width);
    randomize(&vs, 3);
    let inputs: Vec<Tensor> = (spec.inputs)().iter().map(|input| input.to_device(device)).collect();
    let module = trace(&vs, &inputs, |inputs| net(inputs, false))?;
    let analysis = Analysis::new(module.graph())?;
    let kept = random_share(&analysis, 0.5, 7);
    let difference = masked_equals_sliced(&module, &analysis, &kept, &inputs)?;
    Ok((difference.relative, difference.effect))
}
