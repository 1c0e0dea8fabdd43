//! Masked equals sliced: the judge of every cut.
//!
//! Setting the slices that go to zero in every parameter makes a network that computes what the cut one must. For a group
//! that is exact the two agree to rounding; where a cut changes a statistic they need not, and the difference says by
//! how much.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::apply::{ApplyError, Slices};
use crate::deps::{Analysis, Kept};
use crate::exec::{ExecError, GraphModule, Hooks, Mode};
use crate::graph::Origin;
use crate::ids::ValueId;

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

/// Why two networks cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// The cut does not fit the network.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// One of them does not run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Their outputs are of other shapes.
    #[error("the outputs have shapes {found:?} where those of the masked network have {expected:?}")]
    Outputs {
        /// Those of the masked network.
        expected: Vec<Vec<i64>>,
        /// Those of the cut one.
        found: Vec<Vec<i64>>,
    },
}

/// Compares what is left of an uncut network with the network masked, on `inputs` in evaluation mode. The network is not
/// changed.
pub fn masked_equals_sliced(
    module: &GraphModule,
    analysis: &Analysis,
    kept: &Kept,
    inputs: &[Tensor],
) -> Result<Difference, CompareError> {
    let (masked, sliced) = (masked(module, analysis, kept)?, sliced(module, analysis, kept)?);
    compare(module, &masked, &sliced, inputs)
}

/// An uncut network with zeros in every parameter where a cut takes something away. What the cut leaves as it is shares
/// its memory with the network's.
pub fn masked(module: &GraphModule, analysis: &Analysis, kept: &Kept) -> Result<GraphModule, ApplyError> {
    let tensors = stored(module, analysis, |value, tensor| {
        let slices = Slices::new(analysis, &Kept::all(), kept, value);
        let stored = analysis.graph().value(value);
        match slices.filter(|_| stored.origin == Origin::Parameter) {
            Some(slices) => slices.mask(&stored.name, &tensor),
            None => Ok(tensor),
        }
    })?;
    Ok(GraphModule::new(analysis.graph().clone(), tensors, module.device())?)
}

/// What is left of an uncut network, which is not changed. What the cut leaves as it is shares its memory with the
/// network's.
pub fn sliced(module: &GraphModule, analysis: &Analysis, kept: &Kept) -> Result<GraphModule, ApplyError> {
    let tensors = stored(module, analysis, |value, tensor| match Slices::new(analysis, &Kept::all(), kept, value) {
        Some(slices) => slices.slice(&analysis.graph().value(value).name, &tensor),
        None => Ok(tensor),
    })?;
    Ok(GraphModule::new(analysis.rewrite(kept), tensors, module.device())?)
}

/// Compares a network masked with a network cut, on `inputs` in evaluation mode.
pub fn compare(
    dense: &GraphModule,
    masked: &GraphModule,
    sliced: &GraphModule,
    inputs: &[Tensor],
) -> Result<Difference, CompareError> {
    // What a network writes to its inputs and buffers is not seen by the next.
    let run =
        |module: &GraphModule| tch::no_grad(|| module.forward_apart(inputs, Mode::Eval, &|_| None, Hooks::default()));
    let (dense, masked, sliced) = (run(dense)?, run(masked)?, run(sliced)?);
    let shapes = |outputs: &[Tensor]| outputs.iter().map(Tensor::size).collect::<Vec<_>>();
    let (expected, found) = (shapes(&masked), shapes(&sliced));
    if shapes(&dense) != expected || found != expected {
        return Err(CompareError::Outputs { expected, found });
    }
    let mut difference = Difference { max_abs: 0.0, relative: 0.0, finite: true, effect: 0.0 };
    for ((dense, masked), sliced) in dense.iter().zip(&masked).zip(&sliced) {
        difference.add(dense, masked, sliced);
    }
    Ok(difference)
}

/// The stored tensors of a network, each as `change` makes it.
fn stored(
    module: &GraphModule,
    analysis: &Analysis,
    change: impl Fn(ValueId, Tensor) -> Result<Tensor, ApplyError>,
) -> Result<BTreeMap<ValueId, Tensor>, ApplyError> {
    let tensor = |value: ValueId, name: &str| {
        let tensor = module.tensor(value).ok_or_else(|| ApplyError::Missing { name: name.to_owned() })?;
        Ok((value, change(value, tensor.detach())?))
    };
    analysis.graph().stored().map(|(value, stored)| tensor(value, &stored.name)).collect()
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
        // A number that is none stays: `max` would pass over it.
        let larger = |a: f64, b: f64| if a.is_nan() || b <= a { a } else { b };
        self.max_abs = larger(self.max_abs, max_abs);
        self.relative = larger(self.relative, max_abs / scale);
        self.effect = larger(self.effect, largest(&(dense - masked)) / scale);
    }
}
