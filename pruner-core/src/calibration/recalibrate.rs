//! The statistics of batch norms, measured anew.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Kind, TchError, Tensor};

use super::{CalibrationError, Loader};
use crate::aten::{not_finite, widened};
use crate::exec::{GraphModule, Hooks, Mode};
use crate::graph::{Argument, Node};
use crate::ids::{NodeId, ValueId};

/// A batch norm that keeps statistics.
struct Norm {
    input: ValueId,
    /// Where it keeps the mean and the variance.
    kept: [ValueId; 2],
    /// The mean and the biased variance of the batch.
    batch: Option<[Tensor; 2]>,
    /// The sums of the means and of the unbiased variances so far, in double precision, and of how many batches.
    sums: Option<[Tensor; 2]>,
    batches: f64,
}

/// Sets the running means and variances of all batch norms to the averages of those of batches, and returns how many norms that
/// are. Each normalises by the statistics of the batch meanwhile; dropout does nothing. Nothing else changes, and an error changes
/// nothing.
///
/// A batch in which a norm sees one value per channel does not count for it; an error where it sees no other.
///
/// A cut changes what every later layer sees; without training, this alone brings back much of the accuracy. The averages are
/// those of `torch.optim.swa_utils.update_bn`, all batches counting the same.
pub fn recalibrate(module: &mut GraphModule, loader: &dyn Loader) -> Result<usize, CalibrationError> {
    let mut norms: BTreeMap<NodeId, Norm> =
        module.graph().nodes().filter_map(|(id, node)| Some((id, norm(module, node)?))).collect();
    if norms.is_empty() {
        return Ok(0);
    }
    let mut any = false;
    for (number, batch) in loader.batches().enumerate() {
        batch.samples()?;
        let mut tap = |node: NodeId, value: ValueId, tensor: &Tensor| match norms.get_mut(&node) {
            Some(norm) => norm.read(value, tensor),
            None => Ok(None),
        };
        let hooks = Hooks { made: None, read: Some(&mut tap) };
        let run = || module.forward_apart(&batch.inputs, Mode::Eval, &|_| None, hooks);
        tch::no_grad(run).map_err(|source| CalibrationError::Run { batch: number, source })?;
        any = true;
    }
    if !any {
        return Err(CalibrationError::NoBatches("the statistics of batch norms"));
    }
    // A norm that several nodes read has the average of what all of them saw. All are computed before the first is set.
    let mut means: BTreeMap<ValueId, Vec<Tensor>> = BTreeMap::new();
    for Norm { kept, sums, batches, .. } in norms.values() {
        for (value, sum) in kept.iter().zip(sums.iter().flatten()) {
            means.entry(*value).or_default().push(sum.f_div_scalar(*batches)?);
        }
    }
    let name = |value: ValueId| module.graph().value(value).name.clone();
    let mut measured = Vec::new();
    for value in norms.values().flat_map(|norm| norm.kept) {
        let means = means.get(&value).ok_or_else(|| CalibrationError::OneValue { name: name(value) })?;
        measured.push((value, Tensor::f_stack(means, 0)?.f_mean_dim(0, false, None)?));
    }
    if let Some(place) = not_finite(measured.iter().map(|(_, mean)| mean))? {
        return Err(CalibrationError::NotFinite { name: name(measured[place].0) });
    }
    for (value, mean) in measured {
        if let Some(tensor) = module.tensor(value) {
            tch::no_grad(|| tensor.shallow_clone().f_copy_(&mean))?;
        }
    }
    let buffers: BTreeSet<ValueId> = norms.values().map(|norm| norm.kept[0]).collect();
    Ok(buffers.len())
}

fn norm(module: &GraphModule, node: &Node) -> Option<Norm> {
    let argument = |wanted: &str| {
        node.arguments.iter().find_map(|(name, argument)| match argument {
            Argument::Value(value) if name == wanted => Some(*value),
            _ => None,
        })
    };
    let kept = [argument("running_mean")?, argument("running_var")?];
    let stored = kept.iter().all(|value| module.tensor(*value).is_some());
    let input = argument("input")?;
    (stored && node.op.contains("batch_norm")).then_some(Norm { input, kept, batch: None, sums: None, batches: 0.0 })
}

impl Norm {
    /// Takes the statistics of an input, and gives them in the place of those that are kept.
    fn read(&mut self, value: ValueId, tensor: &Tensor) -> Result<Option<Tensor>, TchError> {
        if value == self.input {
            self.add(tensor)?;
        }
        let [mean, variance] = self.kept;
        let batch = self.batch.as_ref().map(|[mean, variance]| (mean, variance));
        match batch {
            Some((batch, _)) if value == mean => batch.f_to_kind(tensor.kind()).map(Some),
            Some((_, batch)) if value == variance => batch.f_to_kind(tensor.kind()).map(Some),
            _ => Ok(None),
        }
    }

    fn add(&mut self, input: &Tensor) -> Result<(), TchError> {
        let dims: Vec<i64> = (0..input.dim() as i64).filter(|&dim| dim != 1).collect();
        let values: i64 = dims.iter().map(|&dim| input.size()[dim as usize]).product();
        let wide = widened(input)?;
        let (variance, mean) = wide.f_var_mean_correction(dims.as_slice(), 0, false)?;
        self.batch = Some([mean.shallow_clone(), variance.shallow_clone()]);
        if values < 2 {
            // One value has no variance.
            return Ok(());
        }
        let unbiased = values as f64 / (values - 1) as f64;
        self.batches += 1.0;
        let own = [mean.f_to_kind(Kind::Double)?, variance.f_to_kind(Kind::Double)?.f_mul_scalar(unbiased)?];
        self.sums = Some(match self.sums.take() {
            Some([means, variances]) => [means.f_add(&own[0])?, variances.f_add(&own[1])?],
            None => own,
        });
        Ok(())
    }
}
