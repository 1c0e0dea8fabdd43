//! How the scores of the members of a group become that of the group.

use pruner_core::deps::Member;
use pruner_core::importance::{ImportanceError, slices};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

/// How the scores that a coordinate has in the members of its group become one.
///
/// Only members in which the coordinate occurs count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// They do not: the slices of the coordinate in all members are scored as one.
    #[default]
    None,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The greatest.
    Max,
    /// Their product.
    Prod,
    /// That of the first member in the order of the group, which is where the coordinate is made.
    First,
}

impl Reduction {
    /// The score of each coordinate of a group of `size` from those of its members, one vector of shape `[size]` for each;
    /// [`Reduction::None`] is their sum. `None` where there are no members.
    pub fn reduce_scores(
        self,
        size: usize,
        members: &[&Member],
        scores: &[Tensor],
    ) -> Result<Option<Tensor>, ImportanceError> {
        let Some(device) = scores.first().map(Tensor::device) else { return Ok(None) };
        let missing = members.iter().map(|member| slices::missing(member, size, device));
        Ok(Some(self.of_scores(scores, &missing.collect::<Result<Vec<_>, _>>()?, device)?))
    }

    fn of_scores(self, scores: &[Tensor], missing: &[Option<Tensor>], device: Device) -> Result<Tensor, TchError> {
        let stacked = Tensor::f_stack(scores, 1)?;
        let kind = stacked.kind();
        match self {
            Self::None | Self::Sum => stacked.f_sum_dim_intlist(1, false, kind),
            Self::Mean => match absent(missing, &scores[0], device)? {
                None => stacked.f_mean_dim(1, false, kind),
                Some(absent) => {
                    let present = absent.f_logical_not()?.f_sum_dim_intlist(1, false, kind)?;
                    stacked.f_sum_dim_intlist(1, false, kind)?.f_div(&present.f_clamp_min(1.0)?)
                }
            },
            Self::Max => match absent(missing, &scores[0], device)? {
                None => stacked.f_amax(1, false),
                Some(absent) => stacked.f_masked_fill(&absent, f64::NEG_INFINITY)?.f_amax(1, false),
            },
            Self::Prod => match absent(missing, &scores[0], device)? {
                None => stacked.f_prod_dim_int(1, false, kind),
                Some(absent) => stacked.f_masked_fill(&absent, 1.0)?.f_prod_dim_int(1, false, kind),
            },
            Self::First => {
                let mut first = scores[0].shallow_clone();
                // From the last to the first, so that the first in which a coordinate occurs is written last.
                for (score, missing) in scores.iter().zip(missing).rev() {
                    first = match missing {
                        Some(missing) => first.f_where_self(missing, score)?,
                        None => score.shallow_clone(),
                    };
                }
                Ok(first)
            }
        }
    }
}

/// Which coordinates do not occur in which members, as truth values of shape `[size, members]`; `None` if all occur in all.
fn absent(missing: &[Option<Tensor>], like: &Tensor, device: Device) -> Result<Option<Tensor>, TchError> {
    if missing.iter().all(Option::is_none) {
        return Ok(None);
    }
    let columns = missing
        .iter()
        .map(|column| match column {
            Some(column) => Ok(column.shallow_clone()),
            None => Tensor::f_zeros(like.size(), (Kind::Bool, device)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    Tensor::f_stack(&columns, 1).map(Some)
}
