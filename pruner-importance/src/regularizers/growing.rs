//! `growing`: what will go is pushed to zero, harder and harder.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use pruner_core::deps::Group;
use pruner_core::ids::GroupId;
use pruner_core::importance::{Importance, Weights, deserialize_importance, score, slices};
use pruner_core::register_regularizer;
use pruner_core::regularizer::{Gradients, Regularizer, RegularizerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::{add, check, penalized};
use crate::Magnitude;
use crate::settings::settings;

register_regularizer!(
    "growing",
    "squared 2-norm of the coordinates of the lowest scores, with a growing factor",
    Growing
);

/// The penalty is `½·λ·Σ ‖w‖₂²` over the slices of the coordinates that are picked; `λ·w` is added to their gradients. At step
/// t, counted from 0, `λ = min(ceiling, delta·(1 + ⌊t / every⌋))`.
///
/// The coordinates are picked once, in the first step: of each group of n coordinates the `⌊ratio·n⌋` of the lowest scores,
/// of equal scores the first. A group without score, or one that was not there at first, is not penalised. After a cut those
/// of the picked that are left are penalised further.
///
/// Written, it has the step and the picked coordinates as `state`, so that a run that is read back goes on.
///
/// Source: `GReg-1` of Wang et al., *Neural Pruning via Growing Regularization* (arXiv 2012.09243).
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Growing {
    /// The criterion that picks coordinates. Default: magnitude.
    #[serde(deserialize_with = "deserialize_importance")]
    pub importance: Box<dyn Importance>,
    /// The share of the coordinates of each group that is picked, at least 0 and less than 1. Default: 0.5.
    pub ratio: f64,
    /// By how much λ grows at once, in units of the loss per squared unit of the weights, at least 0. Default: 0.0001.
    pub delta: f64,
    /// The steps from one growth to the next, at least 1. Default: 10.
    pub every: NonZeroU64,
    /// What λ grows up to, in the units of `delta`, at least 0. Default: 1.
    pub ceiling: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    state: Option<State>,
}

/// Where a run is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// The steps that were made.
    step: u64,
    /// The coordinates of each group that are picked, ascending, by their number before the first cut.
    picked: BTreeMap<GroupId, Vec<u32>>,
}

settings! {
    Growing:
    /// With another criterion.
    with_importance importance: Box<dyn Importance>,
    /// With another share.
    with_ratio ratio: f64,
    /// With another growth.
    with_delta delta: f64,
    /// With another number of steps.
    with_every every: NonZeroU64,
    /// With another ceiling.
    with_ceiling ceiling: f64,
}

impl Default for Growing {
    fn default() -> Self {
        const TEN: NonZeroU64 = NonZeroU64::new(10).expect("10 is not 0");
        let importance = Box::new(Magnitude::default());
        Self { importance, ratio: 0.5, delta: 1e-4, every: TEN, ceiling: 1.0, state: None }
    }
}

impl Growing {
    /// The picked coordinates of a group, ascending, by their number before the first cut; none before the first step.
    pub fn picked(&self, group: GroupId) -> &[u32] {
        self.state.as_ref().and_then(|state| state.picked.get(&group)).map_or(&[], Vec::as_slice)
    }

    /// λ of the next step, in units of the loss per squared unit of the weights.
    pub fn lambda(&self) -> f64 {
        let step = self.state.as_ref().map_or(0, |state| state.step);
        (self.delta * (1 + step / self.every) as f64).min(self.ceiling)
    }

    fn check(&self) -> Result<(), RegularizerError> {
        check("delta", self.delta)?;
        check("ceiling", self.ceiling)?;
        if (0.0..1.0).contains(&self.ratio) {
            return Ok(());
        }
        Err(RegularizerError::Setting {
            setting: "ratio",
            value: self.ratio,
            range: "a share of the coordinates of a group, at least 0 and less than 1",
        })
    }

    /// The coordinates of the lowest scores, read back from the device at once.
    fn pick(&self, groups: &[&dyn Group], weights: &Weights) -> Result<BTreeMap<GroupId, Vec<u32>>, RegularizerError> {
        let (mut scored, mut scores) = (Vec::new(), Vec::new());
        for group in groups {
            if let Some(score) = score(self.importance.as_ref(), *group, weights)? {
                scored.push(*group);
                scores.push(score);
            }
        }
        if scores.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all: Vec<f32> = Vec::try_from(Tensor::f_cat(&scores, 0)?.f_to_device(Device::Cpu)?)?;
        let mut rest = all.as_slice();
        let lowest = |group: &dyn Group| {
            let (scores, others) = rest.split_at(group.size());
            rest = others;
            (group.id(), lowest(group.coordinates(), scores, self.ratio))
        };
        Ok(scored.into_iter().map(lowest).collect())
    }
}

/// The share of the coordinates that has the lowest scores, ascending.
fn lowest(coordinates: &[u32], scores: &[f32], ratio: f64) -> Vec<u32> {
    // Less than any share of a coordinate that is meant, more than the error of the product.
    const ROUNDING: f64 = 1e-9;
    let count = (ratio * coordinates.len() as f64 + ROUNDING).floor() as usize;
    let mut places: Vec<usize> = (0..coordinates.len()).collect();
    places.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut lowest: Vec<u32> = places[..count].iter().map(|&place| coordinates[place]).collect();
    lowest.sort_unstable();
    lowest
}

#[typetag::serde(name = "growing")]
impl Regularizer for Growing {
    fn penalize(
        &mut self,
        groups: &[&dyn Group],
        weights: &Weights,
        gradients: &mut Gradients,
    ) -> Result<(), RegularizerError> {
        self.check()?;
        if self.state.is_none() {
            self.state = Some(State { step: 0, picked: self.pick(groups, weights)? });
        }
        let lambda = self.lambda() as f32;
        for group in groups {
            let picked = self.picked(group.id());
            let is_picked = |coordinate: &u32| picked.binary_search(coordinate).is_ok();
            let numbers = group.coordinates().iter().map(|at| if is_picked(at) { lambda } else { 0.0 });
            let numbers: Vec<f32> = numbers.collect();
            if numbers.iter().all(|&number| number == 0.0) {
                continue;
            }
            let numbers = Tensor::f_from_slice(&numbers)?;
            for (member, weight) in penalized(*group, weights, gradients)? {
                add(member, &weight, &slices::to_device(&numbers, weight.device())?, gradients)?;
            }
        }
        if let Some(state) = &mut self.state {
            state.step += 1;
        }
        Ok(())
    }
}
