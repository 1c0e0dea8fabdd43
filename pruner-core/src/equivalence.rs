//! Masked equals sliced: the judge of every cut.
//!
//! Setting the slices that go to zero in every parameter makes a network that computes what the cut one must. For a group
//! that is exact the two agree to rounding; where a cut changes a statistic they need not, and the difference says by
//! how much.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::apply::{ApplyError, Slices};
use crate::deps::{Analysis, Kept};
use crate::exec::{GraphModule, Mode};
use crate::graph::Origin;

/// How far the outputs of a cut network are from those of the masked one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// The largest absolute difference of two elements.
    pub max_abs: f64,
    /// That, by the largest absolute element of the masked network's output.
    pub relative: f64,
    /// Whether all elements of both are finite.
    pub finite: bool,
    /// By how much masking changed the output, in the terms of `relative`. Where it is 0 the comparison says nothing.
    pub effect: f64,
}

/// Compares what is left of an uncut network with the network masked, on `inputs` in evaluation mode. The network is not
/// changed.
pub fn masked_equals_sliced(
    module: &GraphModule,
    analysis: &Analysis,
    kept: &Kept,
    inputs: &[Tensor],
) -> Result<Difference, ApplyError> {
    let (mut masked, mut sliced) = (BTreeMap::new(), BTreeMap::new());
    for (value, stored) in analysis.graph().stored() {
        let tensor = module.tensor(value).ok_or_else(|| ApplyError::Missing { name: stored.name.clone() })?.detach();
        match Slices::new(analysis, &Kept::all(), kept, value) {
            None => {
                masked.insert(value, tensor.shallow_clone());
                sliced.insert(value, tensor);
            }
            Some(slices) => {
                sliced.insert(value, slices.slice(&stored.name, &tensor)?);
                let whole = stored.origin != Origin::Parameter;
                masked.insert(value, if whole { tensor } else { slices.mask(&stored.name, &tensor)? });
            }
        }
    }
    let masked = GraphModule::new(analysis.graph().clone(), masked, module.device())?;
    let sliced = GraphModule::new(analysis.rewrite(kept), sliced, module.device())?;
    let run = |module: &GraphModule| tch::no_grad(|| module.forward(inputs, Mode::Eval));
    let (dense, masked, sliced) = (run(module)?, run(&masked)?, run(&sliced)?);
    let mut difference = Difference { max_abs: 0.0, relative: 0.0, finite: true, effect: 0.0 };
    for ((dense, masked), sliced) in dense.iter().zip(&masked).zip(&sliced) {
        difference.add(dense, masked, sliced);
    }
    Ok(difference)
}

impl Difference {
    fn add(&mut self, dense: &Tensor, masked: &Tensor, sliced: &Tensor) {
        let double = |tensor: &Tensor| tensor.to_kind(tch::Kind::Double);
        let largest = |tensor: &Tensor| {
            if tensor.numel() == 0 { 0.0 } else { tensor.abs().max().double_value(&[]) }
        };
        let (dense, masked, sliced) = (double(dense), double(masked), double(sliced));
        let scale = largest(&masked).max(f64::MIN_POSITIVE);
        let max_abs = largest(&(&masked - &sliced));
        self.finite &= scale.is_finite() && max_abs.is_finite();
        self.max_abs = self.max_abs.max(max_abs);
        self.relative = self.relative.max(max_abs / scale);
        self.effect = self.effect.max(largest(&(dense - masked)) / scale);
    }
}
