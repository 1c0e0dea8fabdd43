//! Statistics of activations, added up over batches.

use tch::{Kind, TchError, Tensor};

use crate::aten::widened;
use crate::importance::{Signal, SignalSet};

/// An activation as samples, places and positions: `[samples, places, positions]`.
///
/// `sample_dim` is the dimension over whose outermost part the samples are spread; without it there is one sample.
pub(super) fn arrange(
    activation: &Tensor,
    dim: usize,
    sample_dim: Option<usize>,
    samples: i64,
) -> Result<Tensor, TchError> {
    let last = activation.f_movedim_int(dim as i64, -1)?;
    let positions = last.size().last().copied().unwrap_or(1);
    match sample_dim {
        Some(sample_dim) => {
            let moved = if sample_dim < dim { sample_dim } else { sample_dim - 1 };
            last.f_movedim_int(moved as i64, 0)?.f_reshape([samples, -1, positions])
        }
        None => last.f_reshape([1, -1, positions]),
    }
}

/// The statistics of one activation so far.
#[derive(Debug)]
pub(super) struct Statistics {
    wanted: SignalSet,
    /// How many samples and places were seen.
    elements: f64,
    samples: f64,
    /// Per position and in double precision: the mean of all so far.
    means: Vec<(Signal, Tensor)>,
    /// The sum of squared deviations from the mean.
    deviations: Option<(Tensor, Tensor)>,
}

impl Statistics {
    pub(super) fn new(wanted: SignalSet) -> Self {
        Self { wanted, elements: 0.0, samples: 0.0, means: Vec::new(), deviations: None }
    }

    /// Adds an activation of `[samples, places, positions]`.
    pub(super) fn add(&mut self, arranged: &Tensor) -> Result<(), TchError> {
        let x = widened(arranged)?;
        let (samples, places) = (x.size()[0] as f64, x.size()[1] as f64);
        let all = [0_i64, 1].as_slice();
        let (before, own) = (self.elements, samples * places);
        let (samples_before, both) = (self.samples, before + own);
        let first = self.means.is_empty();
        for (index, signal) in (self.wanted - Signal::Variance).into_iter().enumerate() {
            let mean = match signal {
                Signal::Mean => x.f_mean_dim(all, false, None)?,
                Signal::MeanSquare => x.f_square()?.f_mean_dim(all, false, None)?,
                Signal::MeanAbs => x.f_abs()?.f_mean_dim(all, false, None)?,
                Signal::SquaredMeanAbs => {
                    x.f_abs()?.f_mean_dim(1, false, None)?.f_square()?.f_mean_dim(0, false, None)?
                }
                // NaN is passed on.
                Signal::NonZero => x
                    .f_ne(0.0)?
                    .f_to_kind(Kind::Float)?
                    .f_mean_dim(all, false, None)?
                    .f_add(&x.f_mean_dim(all, false, None)?.f_mul_scalar(0.0)?)?,
                other => unreachable!("{other:?} is no statistic of an activation"),
            };
            let mean = mean.f_to_kind(Kind::Double)?;
            let weight =
                if signal == Signal::SquaredMeanAbs { samples / (samples_before + samples) } else { own / both };
            if first {
                self.means.push((signal, mean));
            } else {
                let so_far = &mut self.means[index].1;
                *so_far = so_far.f_lerp(&mean, weight)?;
            }
        }
        if self.wanted.contains(Signal::Variance) {
            let (variance, mean) = x.f_var_mean_correction(all, 0, false)?;
            let (deviations, mean) = (variance.f_to_kind(Kind::Double)? * own, mean.f_to_kind(Kind::Double)?);
            self.deviations = Some(match self.deviations.take() {
                None => (mean, deviations),
                // Source: Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances* (1979).
                Some((mean_before, before_deviations)) => {
                    let delta = mean.f_sub(&mean_before)?;
                    let between = delta.f_square()? * (before * own / both);
                    (
                        mean_before.f_add(&(delta * (own / both)))?,
                        before_deviations.f_add(&deviations)?.f_add(&between)?,
                    )
                }
            });
        }
        (self.elements, self.samples) = (both, samples_before + samples);
        Ok(())
    }

    /// The places that each of so many samples has.
    pub(super) fn places(&self, samples: f64) -> u64 {
        (self.elements / samples).round() as u64
    }

    pub(super) fn finish(self) -> Vec<(Signal, Tensor)> {
        let variance = self.deviations.map(|(_, deviations)| (Signal::Variance, deviations / self.elements));
        self.means.into_iter().chain(variance).collect()
    }
}
