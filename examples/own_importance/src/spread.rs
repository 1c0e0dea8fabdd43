//! `spread`: a criterion of our own. Filters whose weights are all alike only blur.

use pruner::deps::{Group, Side};
use pruner::importance::{Importance, ImportanceError, Weights, slices};
use pruner::register_importance;
use serde::{Deserialize, Serialize};
use tch::Tensor;

register_importance!("spread", "standard deviation of the weights that make a coordinate");

/// The score of a coordinate is the standard deviation of its weights, summed over the layers that make it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spread {
    /// Whether the deviation is that of a sample. Default: false.
    pub unbiased: bool,
}

#[typetag::serde(name = "spread")]
impl Importance for Spread {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let mut total: Option<Tensor> = None;
        for (member, weight) in slices::trained(group, weights)? {
            if member.side == Side::Output {
                let deviation = |weight: &Tensor, others: &[i64]| weight.f_std_dim(others, self.unbiased, false);
                let positions = slices::per_position(member, weight, deviation)?;
                let sum = |positions: &Tensor, others: &[i64]| positions.f_sum_dim_intlist(others, false, None);
                let score = slices::gather(member, &positions, group.size(), sum)?;
                total = Some(match total {
                    Some(total) => total.f_add(&score)?,
                    None => score,
                });
            }
        }
        Ok(total)
    }
}
