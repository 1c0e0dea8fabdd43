//! Folds over the slices of a coordinate, which most criteria are.

use pruner_core::deps::{Group, Member};
use pruner_core::importance::{Fold, Form, ImportanceError, Signal, Weights};
use tch::{Kind, TchError, Tensor};

use crate::{Normalizer, Reduction};

/// What becomes of a fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    AsItIs,
    Half,
    Sqrt,
    Square,
}

impl Finish {
    fn number(self, fold: f64) -> f64 {
        match self {
            Self::AsItIs => fold,
            Self::Half => 0.5 * fold,
            Self::Sqrt => fold.sqrt(),
            Self::Square => fold * fold,
        }
    }

    fn tensor(self, fold: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::AsItIs => Ok(fold.shallow_clone()),
            Self::Half => fold.f_mul_scalar(0.5),
            Self::Sqrt => fold.f_sqrt(),
            Self::Square => fold.f_square(),
        }
    }

    /// In double precision.
    fn fold(self, fold: &Fold) -> Result<Tensor, TchError> {
        match fold {
            Fold::Host(numbers) => {
                Tensor::f_from_slice(&numbers.iter().map(|&fold| self.number(fold)).collect::<Vec<_>>())
            }
            Fold::Device(fold) => self.tensor(fold),
        }
    }
}

/// What is folded over the slices of a coordinate, how the folds of members become one, and how groups are scaled.
pub(crate) struct Terms {
    pub(crate) form: Form,
    /// What the weights are multiplied by, where the form reads another tensor.
    pub(crate) by: Option<Signal>,
    pub(crate) finish: Finish,
    pub(crate) reduction: Reduction,
    pub(crate) normalizer: Normalizer,
}

impl Terms {
    /// The score of each coordinate: what becomes of the fold over the trained members that are `counted`. A member without the signal adds nothing;
    /// a group of such members has no score.
    pub(crate) fn score(
        &self,
        group: &dyn Group,
        weights: &Weights,
        counted: impl Fn(&Member) -> bool,
    ) -> Result<Option<Tensor>, ImportanceError> {
        let members: Vec<&Member> = group.members().iter().filter(|member| member.trained && counted(member)).collect();
        let (form, size) = (self.form, group.size());
        if self.reduction == Reduction::None {
            return match weights.fold_together(&members, size, form, self.by)? {
                Some(Fold::Host(fold)) => {
                    let scores = fold.into_iter().map(|fold| self.finish.number(fold) as f32).collect();
                    Ok(Some(self.normalizer.apply_in_memory(scores)?))
                }
                Some(Fold::Device(fold)) => self.normalized(&self.finish.tensor(&fold)?).map(Some),
                None => Ok(None),
            };
        }
        let (mut with_signal, mut scores) = (Vec::new(), Vec::new());
        for member in members {
            if let Some(fold) = weights.fold_together(&[member], size, form, self.by)? {
                with_signal.push(member);
                scores.push(self.finish.fold(&fold)?);
            }
        }
        match scores.as_slice() {
            [one] => self.normalized(one).map(Some),
            several => {
                let reduced = self.reduction.reduce_scores(size, &with_signal, several)?;
                reduced.map(|score| self.normalized(&score)).transpose()
            }
        }
    }

    fn normalized(&self, score: &Tensor) -> Result<Tensor, ImportanceError> {
        Ok(self.normalizer.apply(&score.f_to_kind(Kind::Float)?)?)
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
