//! Training and judging of classifiers, with the seconds and multiply-accumulates they cost.

use std::f64::consts::PI;
use std::time::Instant;

use pruner_core::events::Cost;
use pruner_core::exec::{ExecError, GraphModule, Mode};
use pruner_core::optim::{OptimError, Optimizer, backward};
use pruner_core::pruner::PruneError;
use tch::{Device, Kind, Tensor};

use crate::data::Split;
use crate::energy::Meter;

/// The learning rate over a run, as a function of its part that is over, in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// The same throughout.
    Constant(f64),
    /// From this rate to 0 along half a cosine (Loshchilov and Hutter 2016).
    Cosine(f64),
    /// Up to this rate over the first three tenths and down to 0 along a cosine (Smith and Topin 2017).
    OneCycle(f64),
}

impl Schedule {
    /// The learning rate once the part `progress` of the run is over.
    pub fn learning_rate(self, progress: f64) -> f64 {
        const RISE: f64 = 0.3;
        let fall = |progress: f64| f64::midpoint(1.0, (PI * progress.clamp(0.0, 1.0)).cos());
        match self {
            Self::Constant(rate) => rate,
            Self::Cosine(rate) => rate * fall(progress),
            Self::OneCycle(rate) if progress < RISE => rate * (0.04 + 0.96 * progress / RISE),
            Self::OneCycle(rate) => rate * fall((progress - RISE) / (1.0 - RISE)),
        }
    }
}

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The network cannot be run on the images.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The optimiser cannot step.
    #[error(transparent)]
    Optim(#[from] OptimError),
    /// The gradients cannot be penalised.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// The network has not one result.
    #[error("the network has {0} results; a classifier has one, its logits")]
    Results(usize),
}

/// How a network is trained.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// Images to be seen, to the end of the batch that holds the last; beyond those that there are, they are seen again in another order.
    pub images: usize,
    /// Images to a step of the optimiser.
    pub batch_size: usize,
    /// The learning rate over all of them together.
    pub schedule: Schedule,
    /// The order of the images.
    pub seed: u64,
    /// The multiply-accumulates of one image forward, from which the cost is counted.
    pub macs_per_image: u64,
}

/// Trains a classifier by the cross-entropy of its logits. `after_batch` is told the part that is over.
pub fn train(
    net: &GraphModule,
    optimizer: &mut dyn Optimizer,
    data: &Split,
    training: &Training,
    after_batch: &mut dyn FnMut(f64),
) -> Result<Cost, TrainError> {
    train_with(net, optimizer, data, training, Hooks { before_step: &mut || Ok(()), after_batch })
}

/// What is done in the midst of training.
#[expect(missing_debug_implementations, reason = "functions show nothing")]
pub struct Hooks<'a> {
    /// Called between the backward pass and the step of the optimiser, as for
    /// [`regularize`](pruner_core::pruner::GroupPruner::regularize).
    pub before_step: &'a mut dyn FnMut() -> Result<(), PruneError>,
    /// Told the part of the run that is over.
    pub after_batch: &'a mut dyn FnMut(f64),
}

/// [`train`] with more done in its midst.
pub fn train_with(
    net: &GraphModule,
    optimizer: &mut dyn Optimizer,
    data: &Split,
    training: &Training,
    hooks: Hooks<'_>,
) -> Result<Cost, TrainError> {
    let Hooks { before_step, after_batch } = hooks;
    let meter = Meter::new(data.labels.device());
    let (start, joules) = (Instant::now(), meter.joules());
    let mut seen = 0;
    let passes = training.images.div_ceil(data.len().max(1)) as u64;
    let orders = (0..passes).map(|pass| training.seed.wrapping_add(pass));
    for (images, labels) in orders.flat_map(|seed| data.batches(seed, training.batch_size)) {
        if seen >= training.images {
            break;
        }
        optimizer.set_lr(training.schedule.learning_rate(seen as f64 / training.images as f64));
        let loss = logits(net, images, Mode::Train)?.cross_entropy_for_logits(&labels);
        optimizer.zero_grad();
        backward(&loss)?;
        before_step()?;
        optimizer.step()?;
        seen += labels.size()[0] as usize;
        after_batch((seen as f64 / training.images as f64).min(1.0));
    }
    wait_for(data.labels.device());
    Ok(Cost {
        seconds: start.elapsed().as_secs_f64(),
        samples: seen as u64,
        // A backward pass counts as two forward passes.
        macs: 3 * training.macs_per_image * seen as u64,
        joules: joules.zip(meter.joules()).map(|(before, after)| after - before),
    })
}

/// The logits that a classifier gives to images.
fn logits(net: &GraphModule, images: Tensor, mode: Mode) -> Result<Tensor, TrainError> {
    let mut results = net.forward(&[images], mode)?;
    match (results.pop(), results.len()) {
        (Some(logits), 0) => Ok(logits),
        (last, rest) => Err(TrainError::Results(rest + usize::from(last.is_some()))),
    }
}

/// Waits until a device has done what it was told, so that the clock can be read.
fn wait_for(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// How well a classifier does.
#[derive(Debug)]
pub struct Evaluation {
    /// The part of the images whose class it names.
    pub accuracy: f64,
    /// The mean cross-entropy.
    pub loss: f64,
    /// Which images it is right about, of shape `[len]`.
    pub right: Tensor,
}

/// Judges a classifier by images, of which there is one at least, its normalisations and dropouts as in use.
pub fn evaluate(net: &GraphModule, data: &Split, batch_size: usize) -> Result<Evaluation, TrainError> {
    let _guard = tch::no_grad_guard();
    let (mut right, mut loss) = (Vec::new(), 0.0);
    for (images, labels) in data.in_order(batch_size) {
        let logits = logits(net, images, Mode::Eval)?;
        right.push(logits.argmax(-1, false).eq_tensor(&labels));
        loss += logits.cross_entropy_for_logits(&labels).double_value(&[]) * labels.size()[0] as f64;
    }
    let right = Tensor::cat(&right, 0);
    let accuracy = right.to_kind(Kind::Double).mean(None).double_value(&[]);
    Ok(Evaluation { accuracy, loss: loss / data.len() as f64, right })
}

/// The standard error of the difference of two accuracies on the same images: only those that one is right about and the
/// other is not tell them apart (`McNemar` 1947).
pub fn standard_error(one: &Evaluation, other: &Evaluation) -> f64 {
    let count = |condition: Tensor| condition.to_kind(Kind::Double).sum(None).double_value(&[]);
    let one_only = count(one.right.logical_and(&other.right.logical_not()));
    let other_only = count(other.right.logical_and(&one.right.logical_not()));
    let images = one.right.size()[0] as f64;
    let difference = one_only - other_only;
    (one_only + other_only - difference * difference / images).max(0.0).sqrt() / images
}

#[cfg(test)]
mod tests {
    use pruner_core::optim::{Sgd, SgdSettings};
    use pruner_core::trace::trace;
    use tch::nn;

    use super::*;
    use crate::models::randomize;
    use crate::rng::Rng;

    /// Images of one pixel row whose class is the largest pixel.
    fn largest_pixel(len: i64) -> Split {
        let images = Rng::new(1).tensor(&[len, 1, 1, 10], 0.0, 1.0);
        let labels = images.view([len, 10]).argmax(-1, false);
        Split { images, labels }
    }

    fn linear(results: usize) -> GraphModule {
        let vs = nn::VarStore::new(Device::Cpu);
        let fc = nn::linear(vs.root(), 10, 10, nn::LinearConfig::default());
        randomize(&vs, 1);
        let example = Tensor::zeros([2, 1, 1, 10], (Kind::Float, Device::Cpu));
        let forward = |xs: &[Tensor]| (0..results).map(|_| xs[0].view([-1, 10]).apply(&fc)).collect();
        trace(&vs, &[example], forward).expect("a linear layer is traced")
    }

    #[test]
    fn training_learns_what_can_be_learnt_and_counts_its_cost() {
        let (data, net) = (largest_pixel(500), linear(1));
        let before = evaluate(&net, &data, 64).expect("the network runs");
        let mut optimizer = Sgd::new(net.parameters(), SgdSettings::default().with_momentum(0.9));
        let schedule = Schedule::OneCycle(0.5);
        let training = Training { images: 5000, batch_size: 32, schedule, seed: 1, macs_per_image: 100 };
        let mut told = Vec::new();
        let cost =
            train(&net, &mut optimizer, &data, &training, &mut |done| told.push(done)).expect("the network trains");
        let after = evaluate(&net, &data, 64).expect("the network runs");
        assert!(before.accuracy < 0.5 && after.accuracy > 0.8, "{} to {}", before.accuracy, after.accuracy);
        assert!(after.loss < before.loss);
        assert_eq!((cost.samples, cost.macs), (5000, 3 * 100 * 5000));
        assert_eq!((told.len(), told.last()), (160, Some(&1.0)));
    }

    #[test]
    fn accuracy_counts_a_smaller_last_batch_by_its_size() {
        let (data, net) = (largest_pixel(101), linear(1));
        let at = |batch_size| evaluate(&net, &data, batch_size).expect("the network runs");
        let (one, many) = (at(101), at(10));
        assert!((one.accuracy - many.accuracy).abs() < 1e-12 && (one.loss - many.loss).abs() < 1e-6);
        assert!(one.right.equal(&many.right));
    }

    #[test]
    fn a_network_that_is_no_classifier_of_these_images_is_an_error() {
        let error = evaluate(&linear(2), &largest_pixel(3), 3).expect_err("there are two results");
        assert_eq!(error.to_string(), "the network has 2 results; a classifier has one, its logits");
        let wide = Split { images: Rng::new(1).tensor(&[2, 1, 1, 11], 0.0, 1.0), ..largest_pixel(2) };
        assert!(matches!(evaluate(&linear(1), &wide, 2), Err(TrainError::Exec(_))));
    }

    #[test]
    fn the_standard_error_is_mcnemars() {
        let evaluation = |right: &[bool]| Evaluation { accuracy: 0.0, loss: 0.0, right: Tensor::from_slice(right) };
        let one = evaluation(&[true, true, true, false]);
        let other = evaluation(&[true, false, false, true]);
        // Two images against one, of four: √(3 − 1/4) / 4.
        assert!((standard_error(&one, &other) - 2.75_f64.sqrt() / 4.0).abs() < 1e-12);
        assert!(standard_error(&one, &one) < 1e-12);
    }

    #[test]
    fn schedules_begin_and_end_where_they_say() {
        let rate = |schedule: Schedule, progress| schedule.learning_rate(progress);
        assert!([0.0, 0.5, 1.0].iter().all(|&at| (rate(Schedule::Constant(2.0), at) - 2.0).abs() < 1e-12));
        assert!((rate(Schedule::Cosine(2.0), 0.5) - 1.0).abs() < 1e-12);
        assert!(rate(Schedule::Cosine(2.0), 1.0).abs() < 1e-12);
        assert!((rate(Schedule::OneCycle(2.0), 0.3) - 2.0).abs() < 1e-12);
        assert!(rate(Schedule::OneCycle(2.0), 0.0) < 0.1 && rate(Schedule::OneCycle(2.0), 1.0).abs() < 1e-12);
    }
}
