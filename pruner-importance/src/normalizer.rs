//! How the scores of a group are scaled before groups are ranked together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

/// How the scores `s` of one group are scaled, so that those of several can be ranked together.
///
/// None changes the order within a group. Where a formula divides by 0, as in a group of zeros, the quotient is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalizer {
    /// `s`.
    #[default]
    None,
    /// `s / Σ s`.
    Sum,
    /// `s / mean(s)`.
    Mean,
    /// `s / max(s)`.
    Max,
    /// `(s − min(s)) / (max(s) − min(s))`, to the unit interval.
    Standardization,
    /// `(s − mean(s)) / σ(s)`, to mean 0 and variance 1 (of the population).
    Gaussian,
    /// `s(u)² / Σ s(v)²` over the coordinates `v` that score as high as `u` or higher; of equals, the first counts as
    /// the lower. Source: layer-adaptive magnitude, Lee et al. (arXiv 2010.07611).
    Lamp,
}

impl Normalizer {
    /// `score`, of shape `[size]` in single precision, scaled.
    pub fn apply(self, score: &Tensor) -> Result<Tensor, TchError> {
        if score.numel() == 0 || self == Self::None {
            return Ok(score.shallow_clone());
        }
        if score.device() == Device::Cpu {
            return self.apply_in_memory(Vec::try_from(score)?);
        }
        self.apply_on_device(score)
    }

    /// As [`apply`](Self::apply), of scores in memory. Most groups are small, for which an operation of libtorch per step takes long.
    pub(crate) fn apply_in_memory(self, mut scores: Vec<f32>) -> Result<Tensor, TchError> {
        if scores.is_empty() || self == Self::None {
            return Tensor::f_from_slice(&scores);
        }
        let Some((shift, scale)) = self.shift_and_scale(&scores) else {
            return self.apply_on_device(&Tensor::f_from_slice(&scores)?);
        };
        for score in &mut scores {
            *score = if scale == 0.0 { 0.0 } else { ((f64::from(*score) - shift) / scale) as f32 };
        }
        Tensor::f_from_slice(&scores)
    }

    fn apply_on_device(self, score: &Tensor) -> Result<Tensor, TchError> {
        // In double precision no sum or square of single-precision scores overflows, and the result is the same in
        // single precision in whatever order a device adds.
        let wide = score.f_to_kind(Kind::Double)?;
        let scaled = match self {
            Self::None => wide,
            Self::Sum => divide(&wide, &wide.f_sum(None)?)?,
            Self::Mean => divide(&wide, &wide.f_mean(None)?)?,
            Self::Max => divide(&wide, &wide.f_max()?)?,
            Self::Standardization => {
                let least = wide.f_min()?;
                divide(&wide.f_sub(&least)?, &wide.f_max()?.f_sub(&least)?)?
            }
            Self::Gaussian => divide(&wide.f_sub(&wide.f_mean(None)?)?, &wide.f_std(false)?)?,
            Self::Lamp => lamp(&wide)?,
        };
        scaled.f_to_kind(Kind::Float)
    }

    /// What is taken away from each score, and what it is divided by then; `None` where that is not all.
    fn shift_and_scale(self, scores: &[f32]) -> Option<(f64, f64)> {
        let wide = || scores.iter().copied().map(f64::from);
        let count = scores.len() as f64;
        let mean = || wide().sum::<f64>() / count;
        match self {
            Self::None | Self::Lamp => None,
            Self::Sum => Some((0.0, wide().sum())),
            Self::Mean => Some((0.0, mean())),
            Self::Max => Some((0.0, greatest(wide()))),
            Self::Standardization => {
                let least = -greatest(wide().map(|score| -score));
                Some((least, greatest(wide()) - least))
            }
            Self::Gaussian => {
                let mean = mean();
                let variance = wide().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
                Some((mean, variance.sqrt()))
            }
        }
    }
}

/// The greatest; NaN is passed on.
fn greatest(scores: impl Iterator<Item = f64>) -> f64 {
    scores.fold(f64::NEG_INFINITY, |most, score| if score > most || score.is_nan() { score } else { most })
}

/// The quotient, 0 where the denominator is.
fn divide(numerator: &Tensor, denominator: &Tensor) -> Result<Tensor, TchError> {
    let zero = denominator.f_eq(0.0)?;
    numerator.f_div(&denominator.f_masked_fill(&zero, 1.0)?)?.f_masked_fill(&zero, 0.0)
}

fn lamp(score: &Tensor) -> Result<Tensor, TchError> {
    let (ascending, order) = score.f_square()?.f_sort_stable(true, 0, false)?;
    let at_least = ascending.f_flip(0)?.f_cumsum(0, None)?.f_flip(0)?;
    let quotients = divide(&ascending, &at_least)?;
    quotients.f_scatter(0, &order, &quotients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_in_memory_are_scaled_as_on_a_device() {
        use Normalizer::{Gaussian, Max, Mean, None, Standardization, Sum};
        let scores = Tensor::arange(37, (Kind::Float, Device::Cpu)).f_sin().expect("numbers");
        let with_nan = Tensor::f_from_slice(&[1.0_f32, f32::NAN, 3.0]).expect("numbers");
        for normalizer in [None, Sum, Mean, Max, Standardization, Gaussian] {
            for scores in [&scores, &with_nan, &with_nan.zeros_like()] {
                let own = normalizer.apply(scores).expect("scaled");
                let expected = normalizer.apply_on_device(scores).expect("scaled");
                assert!(own.allclose(&expected, 1e-6, 1e-6, true), "{normalizer:?}: {own:?} is not {expected:?}");
            }
        }
    }
}
