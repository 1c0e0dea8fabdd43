//! One pass over calibration batches for all signals that are asked for.

use std::collections::{BTreeMap, BTreeSet};

use tch::{TchError, Tensor};

use super::flow::synaptic_flow;
use super::gates::{Gates, gated};
use super::statistics::{Statistics, arrange};
use super::{Batch, CalibrationError, Loader, Loss};
use crate::aten::{DifferentiableAttention, widened};
use crate::deps::{Analysis, AxisGroup, Group as _, Kept, Site};
use crate::exec::{GraphModule, Hooks, Mode};
use crate::graph::Origin;
use crate::ids::{GroupId, NodeId, ValueId};
use crate::importance::{Activation, Signal, SignalSet, Signals};

/// Runs a network on calibration batches and adds up the signals that are `wanted`, those of activations and gates for the groups that
/// may be cut.
///
/// Dropout does nothing and norms use the statistics that they have. Parameters, gradients and buffers stay as they are. All
/// batches are run once, or twice for [`Signal::HessianGradients`]; sample by sample where a signal is of single samples and the
/// network mixes those of a batch up or runs no more than one. Beside the signals it takes the memory of a forward pass,
/// and where a loss is differentiated that of a backward pass, the gradients of a batch, and a copy of what is gated.
/// [`Signal::HessianGradients`] takes four times the memory of the parameters, with its own numbers, beside what the passes keep of activations: the
/// mean gradients, and twice as much for the backward pass through the gradients of a batch.
pub fn gather(
    module: &GraphModule,
    analysis: &Analysis,
    kept: &Kept,
    wanted: SignalSet,
    loader: &dyn Loader,
    loss: Option<Loss<'_>>,
) -> Result<Signals, CalibrationError> {
    if wanted.is_empty() {
        return Ok(Signals::new(wanted));
    }
    let groups: Vec<AxisGroup> = analysis.groups_left(kept).into_iter().filter(|group| group.pin().is_none()).collect();
    let mut signals = Signals::new(wanted);
    if wanted.contains(Signal::SynapticFlow) {
        synaptic_flow(module, &mut signals)?;
    }
    if wanted.contains(Signal::Costs) {
        for group in &groups {
            signals.insert_cost(group.id(), analysis.freed(kept, group.id()));
        }
    }
    if wanted.contains(Signal::Memory) {
        for group in &groups {
            signals.insert_memory(group.id(), analysis.freed_activation_bytes(kept, group.id()));
        }
    }
    if let (Some(signal), None) = ((wanted & Signal::of_loss()).into_iter().next(), loss) {
        return Err(CalibrationError::NoLoss(signal));
    }
    if !wanted.is_disjoint(Signal::of_data()) {
        let mut pass = Pass::new(module, analysis, kept, &groups, wanted);
        pass.run(loader, loss)?;
        pass.finish(&mut signals);
    }
    Ok(signals)
}

/// The batches on their way.
struct Pass<'a> {
    module: &'a GraphModule,
    wanted: SignalSet,
    /// The size of every group that may be cut, and where it is summed over.
    sites: BTreeMap<GroupId, (usize, Vec<Site>)>,
    sample_dims: BTreeMap<ValueId, Option<usize>>,
    /// The parameters that take gradients.
    trained: Vec<ValueId>,
    /// Sums over samples by parameter, and once all are seen their means.
    gradients: Vec<Option<Tensor>>,
    squares: Vec<Option<Tensor>>,
    hessian: Vec<Option<Tensor>>,
    statistics: BTreeMap<(NodeId, ValueId, usize), Statistics>,
    gates: Gates,
    samples: f64,
}

/// What a forward pass leaves to be differentiated.
struct Forward {
    leaves: Vec<Tensor>,
    gates: BTreeMap<(NodeId, ValueId, usize), Tensor>,
    outputs: Vec<Tensor>,
}

impl<'a> Pass<'a> {
    fn new(module: &'a GraphModule, analysis: &Analysis, kept: &Kept, groups: &[AxisGroup], wanted: SignalSet) -> Self {
        let reads_activations = !wanted.is_disjoint(Signal::of_activations() | Signal::of_gates());
        let mut all = if reads_activations { analysis.sites(kept) } else { BTreeMap::new() };
        let sites: BTreeMap<GroupId, (usize, Vec<Site>)> =
            groups.iter().filter_map(|group| Some((group.id(), (group.size(), all.remove(&group.id())?)))).collect();
        let values = sites.values().flat_map(|(_, sites)| sites).map(|site| site.value);
        let sample_dims = values.map(|value| (value, analysis.sample_dim(value))).collect();
        let takes_gradient = |value: &ValueId| module.tensor(*value).is_some_and(Tensor::requires_grad);
        let parameters = module.graph().stored().filter(|(_, value)| value.origin == Origin::Parameter);
        let trained: Vec<ValueId> = parameters.map(|(value, _)| value).filter(takes_gradient).collect();
        let none = || trained.iter().map(|_| None).collect();
        Self {
            module,
            wanted,
            sites,
            sample_dims,
            gradients: none(),
            squares: none(),
            hessian: none(),
            trained,
            statistics: BTreeMap::new(),
            gates: Gates::new(wanted & Signal::of_gates()),
            samples: 0.0,
        }
    }

    fn run(&mut self, loader: &dyn Loader, loss: Option<Loss<'_>>) -> Result<(), CalibrationError> {
        let per_sample = Signal::of_gates() | Signal::SquaredMeanAbs;
        let mixed = !self.wanted.is_disjoint(per_sample) && self.sample_dims.values().any(Option::is_none);
        let single = mixed || self.wanted.contains(Signal::SquaredGradients) || self.follows_no_batch(loader);
        let loss = loss.filter(|_| !self.wanted.is_disjoint(Signal::of_loss()));
        for (number, batch) in loader.batches().enumerate() {
            for part in parts(batch, single)? {
                self.batch(number, &part, part.samples()?, loss)?;
            }
        }
        if self.samples == 0.0 {
            return Err(CalibrationError::NoBatches("a signal"));
        }
        average(&mut self.gradients, self.samples)?;
        average(&mut self.squares, self.samples)?;
        match loss.filter(|_| self.wanted.contains(Signal::HessianGradients)) {
            Some(loss) => self.hessian(loader, loss, single),
            None => Ok(()),
        }
    }

    /// Whether the network was made with one sample and cannot run as many as the first batch has.
    fn follows_no_batch(&self, loader: &dyn Loader) -> bool {
        let graph = self.module.graph();
        let samples = |shape: &[i64]| shape.first().copied().unwrap_or(1);
        if graph.inputs().iter().any(|&input| samples(graph.shape(input)) != 1) {
            return false;
        }
        let Some(batch) = loader.batches().next().filter(|batch| batch.samples().is_ok_and(|samples| samples > 1))
        else {
            return false;
        };
        let run = || self.module.forward_apart(&batch.inputs, Mode::Eval, &|_| None, Hooks::default());
        tch::no_grad(run).is_err()
    }

    /// One batch forward, and backward where there is a loss.
    fn batch(
        &mut self,
        number: usize,
        batch: &Batch,
        samples: i64,
        loss: Option<Loss<'_>>,
    ) -> Result<(), CalibrationError> {
        self.samples += samples as f64;
        let Some(loss) = loss else {
            return tch::no_grad(|| self.forward(number, batch, samples, false)).map(drop);
        };
        let forward = tch::with_grad(|| self.forward(number, batch, samples, true))?;
        let loss = evaluated(loss, &forward.outputs, batch)?;
        let gates: Vec<_> = forward.gates.into_iter().collect();
        let inputs: Vec<&Tensor> = forward.leaves.iter().chain(gates.iter().map(|(_, gate)| gate)).collect();
        let mut gradients = backward(number, &loss, &inputs, false)?.into_iter();
        tch::no_grad(|| {
            for (index, gradient) in gradients.by_ref().take(forward.leaves.len()).enumerate() {
                if !gradient.defined() {
                    continue;
                }
                let gradient = widened(&gradient)?;
                if self.wanted.contains(Signal::SquaredGradients) {
                    add(&mut self.squares[index], &gradient.f_square()?)?;
                }
                if !self.wanted.is_disjoint(Signal::Gradients | Signal::HessianGradients) {
                    add(&mut self.gradients[index], &(gradient * samples as f64))?;
                }
            }
            let of_gates: BTreeMap<_, _> = gates.iter().map(|(key, _)| *key).zip(gradients).collect();
            for (&group, (size, sites)) in &self.sites {
                let read = |site: &'_ Site| {
                    let gradient = of_gates.get(&(site.node, site.value, site.dim))?;
                    // The gradient is that of the mean over the samples.
                    gradient.defined().then(|| gradient * samples as f64)
                };
                let gradients: Vec<(&Site, Tensor)> =
                    sites.iter().filter_map(|site| Some((site, read(site)?))).collect();
                self.gates.add(group, *size, &gradients)?;
            }
            Ok(())
        })
    }

    /// Runs the network on copies of what it may write to; statistics are added up and gates set on the way.
    fn forward(
        &mut self,
        number: usize,
        batch: &Batch,
        samples: i64,
        differentiate: bool,
    ) -> Result<Forward, CalibrationError> {
        let leaves = self.leaves(differentiate);
        let mut gates = BTreeMap::new();
        let mut reads: BTreeMap<(NodeId, ValueId), BTreeSet<usize>> = BTreeMap::new();
        for site in self.sites.values().flat_map(|(_, sites)| sites) {
            reads.entry((site.node, site.value)).or_default().insert(site.dim);
        }
        let sample_dims = &self.sample_dims;
        let activations = self.wanted & Signal::of_activations();
        let gate = differentiate && !self.wanted.is_disjoint(Signal::of_gates());
        let mut statistics = std::mem::take(&mut self.statistics);
        let mut tap = |node: NodeId, value: ValueId, tensor: &Tensor| -> Result<Option<Tensor>, TchError> {
            let mut other: Option<Tensor> = None;
            // A node that reads it twice sums over it once.
            for dim in reads.remove(&(node, value)).into_iter().flatten() {
                let (key, sample_dim) = ((node, value, dim), sample_dims[&value]);
                if !activations.is_empty() {
                    let arranged = arrange(&tensor.f_detach()?, dim, sample_dim, samples)?;
                    let own = statistics.entry(key).or_insert_with(|| Statistics::new(activations));
                    tch::no_grad(|| own.add(&arranged))?;
                }
                if gate {
                    let (gated, gate) = gated(other.as_ref().unwrap_or(tensor), dim, sample_dim, samples)?;
                    other = Some(gated);
                    gates.insert(key, gate);
                }
            }
            Ok(other)
        };
        let outputs = self.outputs(number, batch, &leaves, Hooks { made: None, read: Some(&mut tap) })?;
        self.statistics = statistics;
        Ok(Forward { leaves, gates, outputs })
    }

    /// The parameters as leaves of an autograd graph of their own, none where no gradient of theirs is wanted.
    fn leaves(&self, differentiate: bool) -> Vec<Tensor> {
        let of = |value: &ValueId| self.module.tensor(*value).expect("it is trained").detach().set_requires_grad(true);
        let wanted = differentiate && !self.wanted.is_disjoint(Signal::of_weights());
        if wanted { self.trained.iter().map(of).collect() } else { Vec::new() }
    }

    /// The mean of `H·g`, batch by batch: the gradient of `g_batch · g`.
    fn hessian(&mut self, loader: &dyn Loader, loss: Loss<'_>, single: bool) -> Result<(), CalibrationError> {
        let _attention = DifferentiableAttention::new();
        for (number, batch) in loader.batches().enumerate() {
            for part in parts(batch, single)? {
                let products = tch::with_grad(|| self.curvature(number, &part, loss))?;
                let samples = part.samples()? as f64;
                for (sum, product) in self.hessian.iter_mut().zip(products).filter(|(_, product)| product.defined()) {
                    add(sum, &(widened(&product)? * samples))?;
                }
            }
        }
        Ok(average(&mut self.hessian, self.samples)?)
    }

    /// The product of the Hessian of the loss of a batch with the mean gradients, by parameter; undefined or absent where it is 0.
    fn curvature(&self, number: usize, batch: &Batch, loss: Loss<'_>) -> Result<Vec<Tensor>, CalibrationError> {
        let leaves = self.leaves(true);
        let inputs: Vec<&Tensor> = leaves.iter().collect();
        let outputs = self.outputs(number, batch, &leaves, Hooks::default())?;
        let own = backward(number, &evaluated(loss, &outputs, batch)?, &inputs, true)?;
        let mut product = None;
        // Each gradient is dropped as soon as it is multiplied, so that the pass back does not hold it.
        for (own, whole) in own.into_iter().zip(&self.gradients) {
            if let Some(whole) = whole.as_ref().filter(|_| own.defined() && own.requires_grad()) {
                add(&mut product, &own.f_mul(&whole.f_to_kind(own.kind())?)?.f_sum(None)?)?;
            }
        }
        match product {
            Some(product) => backward(number, &product, &inputs, false),
            None => Ok(Vec::new()),
        }
    }

    /// What the network returns with leaves in the place of its parameters, where there are some.
    fn outputs(
        &self,
        number: usize,
        batch: &Batch,
        leaves: &[Tensor],
        hooks: Hooks<'_>,
    ) -> Result<Vec<Tensor>, CalibrationError> {
        let by_value: BTreeMap<ValueId, &Tensor> = self.trained.iter().copied().zip(leaves).collect();
        let leaf = |value: ValueId| by_value.get(&value).map(|leaf| leaf.shallow_clone());
        let run = self.module.forward_apart(&batch.inputs, Mode::Eval, &leaf, hooks);
        run.map_err(|source| CalibrationError::Run { batch: number, source })
    }

    /// Hands the means over all samples over.
    fn finish(self, signals: &mut Signals) {
        let of_weights = [
            (Signal::Gradients, self.gradients),
            (Signal::SquaredGradients, self.squares),
            (Signal::HessianGradients, self.hessian),
        ];
        for (signal, means) in of_weights.into_iter().filter(|(signal, _)| self.wanted.contains(*signal)) {
            for (&value, mean) in self.trained.iter().zip(means) {
                if let Some(mean) = mean {
                    signals.insert_weight(signal, value, mean);
                }
            }
        }
        let finished: BTreeMap<_, _> =
            self.statistics.into_iter().map(|(key, of)| (key, (of.places(self.samples), of.finish()))).collect();
        let sites =
            self.sites.into_iter().flat_map(|(group, (_, sites))| sites.into_iter().map(move |site| (group, site)));
        for (group, site) in sites {
            if let Some((places, statistics)) = finished.get(&(site.node, site.value, site.dim)) {
                let statistics =
                    statistics.iter().map(|(signal, numbers)| (*signal, numbers.shallow_clone())).collect();
                let Site { node, weight, layout, .. } = site;
                signals.insert_activation(group, Activation { node, weight, layout, places: *places, statistics });
            }
        }
        for ((signal, group), mean) in self.gates.finish(self.samples) {
            signals.insert_gate(signal, group, mean);
        }
    }
}

/// A batch, or each of its samples as one.
fn parts(batch: Batch, single: bool) -> Result<Vec<Batch>, CalibrationError> {
    match batch.samples()? {
        samples if single => Ok((0..samples).map(|sample| batch.sample(sample)).collect::<Result<_, _>>()?),
        _ => Ok(vec![batch]),
    }
}

/// The loss of a batch, if it is one number.
fn evaluated(loss: Loss<'_>, outputs: &[Tensor], batch: &Batch) -> Result<Tensor, CalibrationError> {
    let loss = tch::with_grad(|| loss(outputs, &batch.targets))?;
    if loss.numel() == 1 { Ok(loss) } else { Err(CalibrationError::Loss { shape: loss.size() }) }
}

/// The gradients of a number by `inputs`; undefined where it does not depend on one.
pub(super) fn backward(
    batch: usize,
    of: &Tensor,
    inputs: &[&Tensor],
    create_graph: bool,
) -> Result<Vec<Tensor>, CalibrationError> {
    let message = |error: TchError| CalibrationError::Backward { batch, message: error.to_string() };
    if !of.requires_grad() {
        let message = "it depends on no parameter that takes gradients".to_owned();
        return Err(CalibrationError::Backward { batch, message });
    }
    if inputs.is_empty() {
        // libtorch would take all that the number depends on instead, and add to the gradients that the user sees.
        return Ok(Vec::new());
    }
    Tensor::f_run_backward(&[of], inputs, create_graph, create_graph).map_err(message)
}

fn add(sum: &mut Option<Tensor>, term: &Tensor) -> Result<(), TchError> {
    *sum = Some(match sum.take() {
        Some(mut sum) => sum.f_add_(term)?,
        // Gradients of gradients come transposed; a criterion reads them beside the weights.
        None => term.f_contiguous()?,
    });
    Ok(())
}

/// Makes sums over so many samples their means, in place.
fn average(sums: &mut [Option<Tensor>], samples: f64) -> Result<(), TchError> {
    for sum in sums.iter_mut().flatten() {
        let _ = sum.f_div_scalar_(samples)?;
    }
    Ok(())
}
