//! Compensation: biases that make up for the means of what is cut.

use std::collections::BTreeMap;

use tch::{Kind, TchError, Tensor};

use crate::aten::not_finite;
use crate::calibration::CalibrationError;
use crate::deps::{AxisGroup, Group as _};
use crate::exec::GraphModule;
use crate::graph::Origin;
use crate::ids::{NodeId, ValueId};
use crate::importance::{Activation, Signal, Signals};
use crate::plan::Plan;

/// What is added to biases, by parameter; undone unless it is [kept](Self::keep).
#[derive(Debug)]
pub(crate) struct Compensation {
    /// The bias, and what it was before.
    changed: Vec<(Tensor, Tensor)>,
}

impl Compensation {
    /// Adds `W·E[X]` of what `plan` cuts to the biases of the layers that read it: of linear layers and convolutions, with the sum over the places of a
    /// kernel, which takes every place of it to see the same mean. Layers that read nothing that is cut, have no bias of their own or share it are passed over.
    pub(crate) fn add(
        module: &GraphModule,
        groups: &[AxisGroup],
        plan: &Plan,
        signals: &Signals,
    ) -> Result<Self, CalibrationError> {
        // Where heads and the dimensions of heads are cut, a position may go with either.
        let mut reads: BTreeMap<(NodeId, ValueId), (&Activation, Vec<f64>)> = BTreeMap::new();
        for group in groups {
            let cut = plan.cut(group.id());
            if cut.is_empty() {
                continue;
            }
            let goes: Vec<bool> = group.coordinates().iter().map(|kept| cut.binary_search(kept).is_ok()).collect();
            for activation in signals.activations(group.id()) {
                let Some((weight, _)) = activation.weight else { continue };
                let len = activation.layout.len();
                let (_, gone) = reads.entry((activation.node, weight)).or_insert_with(|| (activation, vec![0.0; len]));
                for (position, _) in activation.layout.places().filter(|(_, at)| goes[*at as usize]) {
                    gone[position] = 1.0;
                }
            }
        }
        let mut shifts = Vec::new();
        for (activation, gone) in reads.values() {
            let Some(mean) = activation.statistics.get(&Signal::Mean) else { continue };
            shifts.extend(shift(module, activation, mean, gone)?);
        }
        if let Some(place) = not_finite(shifts.iter().map(|(_, shift)| shift))? {
            return Err(CalibrationError::NotFinite { name: module.graph().value(shifts[place].0).name.clone() });
        }
        let mut compensation = Self { changed: Vec::new() };
        for (value, shift) in shifts {
            let Some(bias) = module.tensor(value) else { continue };
            let shift = shift.f_to_kind(bias.kind())?;
            compensation.changed.push((bias.shallow_clone(), tch::no_grad(|| bias.detach().copy())));
            let _ = tch::no_grad(|| bias.shallow_clone().f_add_(&shift))?;
        }
        Ok(compensation)
    }

    /// How many biases were changed.
    pub(crate) fn biases(&self) -> usize {
        self.changed.len()
    }

    /// Leaves the biases as they are.
    pub(crate) fn keep(mut self) {
        self.changed.clear();
    }
}

impl Drop for Compensation {
    fn drop(&mut self) {
        for (bias, before) in &mut self.changed {
            tch::no_grad(|| bias.copy_(before));
        }
    }
}

/// The bias of a node and `W·E[X]` of the positions of its input that are gone; `None` where it has none of its own.
fn shift(
    module: &GraphModule,
    activation: &Activation,
    mean: &Tensor,
    gone: &[f64],
) -> Result<Option<(ValueId, Tensor)>, TchError> {
    let graph = module.graph();
    let Some((weight, dim)) = activation.weight else { return Ok(None) };
    let trained = |value: &ValueId| graph.value(*value).origin == Origin::Parameter;
    let own = |value: &ValueId| trained(value) && *value != weight && graph.shape(*value).len() == 1;
    let bias = graph.node(activation.node).inputs().find(own);
    let (Some(bias), Some(stored)) = (bias, module.tensor(weight)) else { return Ok(None) };
    // A bias that other layers add too cannot make up for what this one lost.
    if graph.nodes().flat_map(|(_, node)| node.inputs()).filter(|value| *value == bias).count() > 1 {
        return Ok(None);
    }
    let gone = Tensor::f_from_slice(gone)?.f_to_device(mean.device())?;
    let mut mean = mean.f_mul(&gone)?;
    if dim == 0 && stored.dim() > 2 {
        // A transposed convolution spreads the places that it reads over those that it makes.
        let space = |value: ValueId| -> i64 { graph.shape(value).iter().rev().take(stored.dim() - 2).product() };
        let node = graph.node(activation.node);
        if let (Some(read), Some(made)) = (node.inputs().next(), node.results.first()) {
            mean = mean.f_mul_scalar(space(read) as f64 / space(*made) as f64)?;
        }
    }
    // [outputs, inputs], summed over the places of a kernel.
    let matrix = stored.f_detach()?.f_to_kind(Kind::Double)?.f_movedim_int(dim as i64, -1)?;
    let shape = matrix.size();
    let (outputs, inputs) = (shape[0], shape[shape.len() - 1]);
    let matrix = matrix.f_reshape([outputs, -1, inputs])?.f_sum_dim_intlist(1, false, None)?;
    let (read, made) = (mean.size()[0], graph.shape(bias)[0]);
    let shift = if inputs > 0 && outputs == made && read % inputs == 0 && outputs % (read / inputs) == 0 {
        let groups = read / inputs;
        let matrix = matrix.f_view([groups, outputs / groups, inputs])?;
        matrix.f_matmul(&mean.f_view([groups, inputs, 1])?)?
    } else if outputs > 0 && inputs == read && made % outputs == 0 && inputs % (made / outputs) == 0 {
        // Of a transposed convolution with groups, each of which has its own inputs.
        let groups = made / outputs;
        let matrix = matrix.f_view([outputs, groups, inputs / groups])?.f_transpose(0, 1)?;
        matrix.f_matmul(&mean.f_view([groups, inputs / groups, 1])?)?
    } else {
        return Ok(None);
    };
    Ok(Some((bias, shift.f_reshape([made])?)))
}
