//! `random`: the baseline of every benchmark.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, Weights, slices};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

register_importance!("random", "a number drawn from [0, 1), the baseline of every benchmark", Random);

/// The score of a coordinate is drawn from `[0, 1)` uniformly.
///
/// It depends on the seed, on which group it is and on the number of the coordinate before the first cut, and on nothing
/// else: it is the same on every machine and device, and a coordinate keeps it from step to step, so that many small
/// steps cut what one large step does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Random {
    /// The seed. Default: null, that of the run.
    pub seed: Option<u64>,
}

impl Random {
    /// With a seed of its own.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

#[typetag::serde(name = "random")]
impl Importance for Random {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let device = match group.members().first() {
            Some(member) => weights.of(member)?.device(),
            None => Device::Cpu,
        };
        let stream = mix(self.seed.unwrap_or(weights.seed())) ^ group.id().index() as u64;
        let scores: Vec<f32> = group.coordinates().iter().map(|&coordinate| unit(stream, coordinate)).collect();
        Ok(Some(slices::to_device(&Tensor::f_from_slice(&scores)?, device)?))
    }
}

/// The number of `coordinate` in a stream, of the 2²⁴ in `[0, 1)` that single precision spaces evenly.
fn unit(stream: u64, coordinate: u32) -> f32 {
    const BITS: u32 = 24;
    let bits = mix(mix(stream) ^ u64::from(coordinate)) >> (u64::BITS - BITS);
    bits as f32 / (1_u32 << BITS) as f32
}

/// `SplitMix64`: a bijection that spreads every bit of what it is given over all bits (Steele, Lea and Flood 2014).
fn mix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
