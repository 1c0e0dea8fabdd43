//! `fpgm`: how far a filter is from the others, which could stand in for it.

use pruner_core::deps::{Group, Member, Side};
use pruner_core::importance::{Importance, ImportanceError, Weights, slices};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::settings::settings;
use crate::{Normalizer, Reduction};

register_importance!("fpgm", "sum of the distances of the filter of a coordinate to the others", Fpgm);

/// The score of a coordinate is `Σ ‖F − F'‖₂` over the filters F' of the other coordinates, with F its own: filters near the
/// geometric median of a layer can be told from the others least, and go first. It has the unit of the weights unless it is
/// normalised.
///
/// The filters are those of the layers that make the coordinates, where their weights have two dimensions or more; biases and
/// norms are none. A group that no layer makes has no score.
///
/// Source: He et al., *Filter Pruning via Geometric Median* (arXiv 1811.00250).
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fpgm {
    /// How the scores of several layers, as those of a residual stage, become one; with none it is their sum. Default: mean.
    pub reduction: Reduction,
    /// How groups are scaled before they are ranked together. Default: mean.
    pub normalizer: Normalizer,
}

settings! {
    Fpgm:
    /// With another reduction.
    with_reduction reduction: Reduction,
    /// With another normaliser.
    with_normalizer normalizer: Normalizer,
}

impl Default for Fpgm {
    fn default() -> Self {
        Self { reduction: Reduction::Mean, normalizer: Normalizer::Mean }
    }
}

#[typetag::serde(name = "fpgm")]
impl Importance for Fpgm {
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        let (mut members, mut scores) = (Vec::new(), Vec::new());
        for (member, weight) in slices::trained(group, weights)? {
            if member.side == Side::Output && weight.dim() >= 2 {
                members.push(member);
                scores.push(distances(member, weight, group.size())?);
            }
        }
        let score = self.reduction.reduce_scores(group.size(), &members, &scores)?;
        Ok(score.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}

/// How many filters are held against the others at once: so few that their distances stay in the caches, and so many that they come of
/// products of matrices.
const BLOCK: i64 = 128;

/// The sum of the distances of every coordinate's filter to the others that the layer has.
fn distances(member: &Member, weight: &Tensor, size: usize) -> Result<Tensor, ImportanceError> {
    // In double precision, so that the distance of near filters is not lost in the products that it is computed from.
    let filters = slices::rows(member, weight, size)?.f_to_kind(Kind::Double)?;
    let missing = slices::missing(member, size, weight.device())?;
    Ok(sums(&filters, missing.as_ref())?.f_to_kind(Kind::Float)?)
}

/// The sum of the distances of every row to the others, by `‖a − b‖² = ‖a‖² − 2ab + ‖b‖²`; those that are missing are at no distance. Each
/// distance is computed once.
fn sums(filters: &Tensor, missing: Option<&Tensor>) -> Result<Tensor, TchError> {
    let size = filters.size()[0];
    let squares = filters.f_norm_scalaropt_dim(2.0, 1, false)?.f_square()?;
    let sums = squares.f_zeros_like()?;
    for start in (0..size).step_by(BLOCK as usize) {
        let (rest, len) = (size - start, BLOCK.min(size - start));
        // Of the block to itself and to the filters after it.
        let (own, others) = (filters.f_narrow(0, start, len)?, filters.f_narrow(0, start, rest)?);
        let of_others = squares.f_narrow(0, start, rest)?;
        let of_own = of_others.f_narrow(0, 0, len)?.f_unsqueeze(1)?;
        let mut apart = of_others.f_addmm(&own.f_mul_scalar(-2.0)?, &others.f_transpose(0, 1)?)?;
        let mut all = apart.f_add_(&of_own)?.f_clamp_min_(0.0)?.f_sqrt_()?;
        let _ = all.f_narrow(1, 0, len)?.f_fill_diagonal_(0.0, false)?;
        if let Some(missing) = missing {
            let missing = missing.f_narrow(0, start, rest)?;
            let _ = all.f_masked_fill_(&missing, 0.0)?;
            let _ = all.f_masked_fill_(&missing.f_narrow(0, 0, len)?.f_unsqueeze(1)?, 0.0)?;
        }
        let _ = sums.f_narrow(0, start, len)?.f_add_(&all.f_sum_dim_intlist(1, false, None)?)?;
        let after = all.f_narrow(1, len, rest - len)?.f_sum_dim_intlist(0, false, None)?;
        let _ = sums.f_narrow(0, start + len, rest - len)?.f_add_(&after)?;
    }
    Ok(sums)
}
