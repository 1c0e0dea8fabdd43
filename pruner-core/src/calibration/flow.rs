//! Synaptic flow, for which no data is needed.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::CalibrationError;
use super::gather::backward;
use crate::aten;
use crate::exec::{GraphModule, Hooks, Mode};
use crate::graph::Origin;
use crate::ids::ValueId;
use crate::importance::{Signal, Signals};

/// `∂R/∂|w|` by R for inputs of ones and absolute parameters and buffers, in double precision where the operations of the network allow it.
///
/// Source: Tanaka et al., *Pruning neural networks without any data by iteratively conserving synaptic flow* (arXiv 2006.05467).
pub(super) fn synaptic_flow(module: &GraphModule, signals: &mut Signals) -> Result<(), CalibrationError> {
    let flow = |kind: Option<Kind>| -> Result<Vec<(ValueId, Tensor)>, CalibrationError> {
        let inputs = ones(module, kind)?;
        let mut leaves = BTreeMap::new();
        for (id, value) in module.graph().stored() {
            let Some(tensor) = module.tensor(id).filter(|tensor| tensor.is_floating_point()) else { continue };
            let converted = tensor.f_detach()?.f_to_kind(kind.unwrap_or(tensor.kind()))?;
            let absolute =
                if value.origin == Origin::Constant { converted.f_detach_copy()? } else { converted.f_abs()? };
            let trained = value.origin == Origin::Parameter && tensor.requires_grad();
            leaves.insert(id, if trained { absolute.set_requires_grad(true) } else { absolute });
        }
        let leaf = |value: ValueId| leaves.get(&value).map(Tensor::shallow_clone);
        let outputs = module
            .forward_apart(&inputs, Mode::Eval, &leaf, Hooks::default())
            .map_err(CalibrationError::SynapticFlow)?;
        let mut sum = Tensor::f_zeros([0_i64; 0], (Kind::Double, module.device()))?;
        for output in outputs.iter().filter(|output| output.is_floating_point()) {
            sum = sum.f_add(&output.f_to_kind(Kind::Double)?.f_sum(None)?)?;
        }
        let trained: Vec<(ValueId, &Tensor)> =
            leaves.iter().filter(|(_, leaf)| leaf.requires_grad()).map(|(&id, leaf)| (id, leaf)).collect();
        let wanted: Vec<&Tensor> = trained.iter().map(|(_, leaf)| *leaf).collect();
        let share = sum.f_div(&sum.f_detach()?)?;
        let gradients = backward(0, &share, &wanted, false)?;
        Ok(trained.into_iter().map(|(id, _)| id).zip(gradients).collect())
    };
    let flows = tch::with_grad(|| flow(Some(Kind::Double)).or_else(|_| flow(None)))?;
    for (value, flow) in flows.into_iter().filter(|(_, flow)| flow.defined()) {
        signals.insert_weight(Signal::SynapticFlow, value, flow);
    }
    Ok(())
}

/// One sample of ones for every input that the network has, of the shapes that it was made with.
fn ones(module: &GraphModule, kind: Option<Kind>) -> Result<Vec<Tensor>, CalibrationError> {
    let graph = module.graph();
    let input = |&id: &ValueId| -> Result<Tensor, CalibrationError> {
        let meta = &graph.value(id).meta;
        let own = aten::kind(meta.dtype);
        let kind =
            kind.filter(|_| meta.dtype.is_float()).or(own).ok_or(CalibrationError::NoOnes { dtype: meta.dtype })?;
        Ok(Tensor::f_ones(&meta.shape, (kind, module.device()))?)
    };
    graph.inputs().iter().map(input).collect()
}
