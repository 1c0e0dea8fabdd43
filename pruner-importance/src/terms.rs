//! Folds over the slices of a coordinate, which most criteria are.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Form, ImportanceError, Signal, Weights};
use tch::{Kind, TchError, Tensor};

use crate::{Normalizer, Reduction};

/// What is folded over the slices of a coordinate, how the folds of members become one, and how groups are scaled.
pub(crate) struct Terms {
    pub(crate) form: Form,
    /// What the weights are multiplied by, where the form reads another tensor.
    pub(crate) by: Option<Signal>,
    pub(crate) reduction: Reduction,
    pub(crate) normalizer: Normalizer,
}

impl Terms {
    /// The score of each coordinate: `finish` of the fold over the trained members that are `counted`. A member without the signal adds nothing; a
    /// group of such members has no score.
    pub(crate) fn score(
        &self,
        group: &dyn Group,
        weights: &Weights,
        counted: impl Fn(&Member) -> bool,
        finish: impl Fn(&Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Option<Tensor>, ImportanceError> {
        let members: Vec<&Member> = group.members().iter().filter(|member| member.trained && counted(member)).collect();
        let (form, size) = (self.form, group.size());
        let score = if self.reduction == Reduction::None {
            let fold = weights.fold_together(&members, size, form, self.by)?;
            fold.map(|fold| finish(&fold)?.f_to_kind(Kind::Float)).transpose()?
        } else {
            let (mut with_signal, mut scores) = (Vec::new(), Vec::new());
            for member in members {
                if let Some(fold) = weights.fold_together(&[member], size, form, self.by)? {
                    with_signal.push(member);
                    scores.push(finish(&fold)?);
                }
            }
            let reduced = match scores.as_slice() {
                [one] => Some(one.shallow_clone()),
                several => self.reduction.reduce_scores(size, &with_signal, several)?,
            };
            reduced.map(|score| score.f_to_kind(Kind::Float)).transpose()?
        };
        Ok(score.map(|score| self.normalizer.apply(&score)).transpose()?)
    }
}

/// The fold that adds.
pub(crate) fn sum(tensor: &Tensor, dims: &[i64]) -> Result<Tensor, TchError> {
    tensor.f_sum_dim_intlist(dims, false, None::<Kind>)
}

/// All members.
pub(crate) fn all(_: &Member) -> bool {
    true
}

/// A fold as it is.
#[allow(clippy::unnecessary_wraps, reason = "others that finish a fold may fail")]
pub(crate) fn as_it_is(fold: &Tensor) -> Result<Tensor, TchError> {
    Ok(fold.shallow_clone())
}
