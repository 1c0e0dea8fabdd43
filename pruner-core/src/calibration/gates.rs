//! Gates: ones by which activations are multiplied, so that their gradients are those of masking coordinates.

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

use crate::deps::Site;
use crate::ids::GroupId;
use crate::importance::{ImportanceError, Signal, SignalSet, slices};

/// `activation` times a gate of `[samples, positions]` that it was given; both take part in the autograd graph.
pub(super) fn gated(
    activation: &Tensor,
    dim: usize,
    sample_dim: Option<usize>,
    samples: i64,
) -> Result<(Tensor, Tensor), TchError> {
    let shape = activation.size();
    let positions = shape[dim];
    let gate = Tensor::f_ones([samples, positions], (activation.kind(), activation.device()))?.set_requires_grad(true);
    let mut view = vec![1; shape.len()];
    view[dim] = positions;
    let spread = match sample_dim {
        Some(sample_dim) => {
            let inner = shape[sample_dim] / samples;
            view[sample_dim] = shape[sample_dim];
            let (spread, all) = if sample_dim < dim {
                (gate.f_unsqueeze(1)?, [samples, inner, positions])
            } else {
                (gate.f_transpose(0, 1)?.f_unsqueeze(2)?, [positions, samples, inner])
            };
            spread.f_expand(all, false)?.f_reshape(&view)?
        }
        None => gate.f_view(view.as_slice())?,
    };
    Ok((activation.f_mul(&spread)?, gate))
}

/// The sums over samples of what the gates of every group say.
#[derive(Debug)]
pub(super) struct Gates {
    wanted: SignalSet,
    sums: BTreeMap<(Signal, GroupId), Tensor>,
}

impl Gates {
    pub(super) fn new(wanted: SignalSet) -> Self {
        Self { wanted, sums: BTreeMap::new() }
    }

    /// Adds the gradients of the gates of a group of `size`, each of `[samples, positions]`, at one batch for each of its sites that
    /// was read.
    pub(super) fn add(
        &mut self,
        group: GroupId,
        size: usize,
        gradients: &[(&Site, Tensor)],
    ) -> Result<(), ImportanceError> {
        let mut effect: Option<Tensor> = None;
        for (site, gradient) in gradients {
            let sum = |numbers: &Tensor, dims: &[i64]| numbers.f_sum_dim_intlist(dims, false, None);
            let name = site.value.to_string();
            let own = slices::by_coordinate(&name, &site.layout, &gradient.f_to_kind(Kind::Double)?, size, sum)?;
            effect = Some(match effect {
                Some(effect) => effect.f_add(&own)?,
                None => own,
            });
        }
        let Some(effect) = effect else { return Ok(()) };
        for signal in self.wanted {
            let own = if signal == Signal::Gate { effect.f_abs()? } else { effect.f_square()? };
            let own = own.f_sum_dim_intlist(0, false, None)?;
            let sum = match self.sums.remove(&(signal, group)) {
                Some(sum) => sum.f_add(&own)?,
                None => own,
            };
            self.sums.insert((signal, group), sum);
        }
        Ok(())
    }

    /// The means over so many samples.
    pub(super) fn finish(self, samples: f64) -> impl Iterator<Item = ((Signal, GroupId), Tensor)> {
        self.sums.into_iter().map(move |(key, sum)| (key, sum / samples))
    }
}
