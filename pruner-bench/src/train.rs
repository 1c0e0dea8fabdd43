//! Training and judging of classifiers, with the seconds and multiply-accumulates they cost.

use std::f64::consts::PI;
use std::ops::AddAssign;
use std::time::Instant;

use serde::Serialize;
use tch::nn::ModuleT;
use tch::{Kind, Tensor, nn};

use crate::data::Split;

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

/// What training asks of an optimiser.
pub trait Optimize {
    /// Sets the learning rate of all parameters.
    fn set_learning_rate(&mut self, rate: f64);

    /// Forgets the gradients, computes those of `loss`, and makes a step.
    fn backward_step(&mut self, loss: &Tensor);
}

impl Optimize for nn::Optimizer {
    fn set_learning_rate(&mut self, rate: f64) {
        self.set_lr(rate);
    }

    fn backward_step(&mut self, loss: &Tensor) {
        nn::Optimizer::backward_step(self, loss);
    }
}

/// How a network is trained.
#[derive(Clone, Copy, Debug)]
pub struct Training {
    /// Passes over the images.
    pub epochs: usize,
    /// Images to a step of the optimiser.
    pub batch_size: usize,
    /// The learning rate over all the passes together.
    pub schedule: Schedule,
    /// The order of the images.
    pub seed: u64,
}

/// What training cost and how it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds by the clock.
    pub seconds: f64,
    /// Multiply-accumulates, a backward pass counted as two forward passes.
    pub macs: u64,
    /// Images, each as often as it was seen.
    pub images: usize,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.macs += other.macs;
        self.images += other.images;
    }
}

/// Trains a classifier by the cross-entropy of its logits. `macs` are the multiply-accumulates of one image forward, and
/// `after_batch` is told the part that is over.
pub fn train(
    net: &impl ModuleT,
    optimizer: &mut impl Optimize,
    data: &Split,
    training: &Training,
    macs: u64,
    after_batch: &mut dyn FnMut(f64),
) -> Cost {
    let start = Instant::now();
    let mut done = 0_usize;
    let batches = data.len().div_ceil(training.batch_size) * training.epochs;
    for epoch in 0..training.epochs {
        for (images, labels) in data.batches(training.seed.wrapping_add(epoch as u64), training.batch_size) {
            optimizer.set_learning_rate(training.schedule.learning_rate(done as f64 / batches as f64));
            optimizer.backward_step(&net.forward_t(&images, true).cross_entropy_for_logits(&labels));
            done += 1;
            after_batch(done as f64 / batches as f64);
        }
    }
    let images = data.len() * training.epochs;
    Cost { seconds: start.elapsed().as_secs_f64(), macs: 3 * macs * images as u64, images }
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

/// Judges a classifier by images that are not empty, its normalisations and dropouts as in use.
pub fn evaluate(net: &impl ModuleT, data: &Split, batch_size: usize) -> Evaluation {
    let _guard = tch::no_grad_guard();
    let (mut right, mut loss) = (Vec::new(), 0.0);
    for (images, labels) in data.in_order(batch_size) {
        let logits = net.forward_t(&images, false);
        right.push(logits.argmax(-1, false).eq_tensor(&labels));
        loss += logits.cross_entropy_for_logits(&labels).double_value(&[]) * labels.size()[0] as f64;
    }
    let right = Tensor::cat(&right, 0);
    let accuracy = right.to_kind(Kind::Double).mean(None).double_value(&[]);
    Evaluation { accuracy, loss: loss / data.len() as f64, right }
}

/// The standard error of the difference of two accuracies on the same images: only those that one is right about and the
/// other is not tell them apart (McNemar 1947).
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
    use tch::Device;
    use tch::nn::OptimizerConfig as _;

    use super::*;
    use crate::models::randomize;
    use crate::rng::Rng;

    /// Images of one pixel row whose class is the largest pixel.
    fn largest_pixel(len: i64) -> Split {
        let images = Rng::new(1).tensor(&[len, 1, 1, 10], 0.0, 1.0);
        let labels = images.view([len, 10]).argmax(-1, false);
        Split { images, labels }
    }

    fn linear(vs: &nn::VarStore) -> impl ModuleT + use<> {
        let fc = nn::linear(vs.root(), 10, 10, nn::LinearConfig::default());
        randomize(vs, 1);
        nn::func_t(move |xs, _train| xs.view([-1, 10]).apply(&fc))
    }

    #[test]
    fn training_learns_what_can_be_learnt_and_counts_its_cost() {
        let (data, vs) = (largest_pixel(500), nn::VarStore::new(Device::Cpu));
        let net = linear(&vs);
        let before = evaluate(&net, &data, 64);
        let mut optimizer =
            nn::Sgd { momentum: 0.9, ..Default::default() }.build(&vs, 0.1).expect("settings are valid");
        let training = Training { epochs: 10, batch_size: 32, schedule: Schedule::OneCycle(0.5), seed: 1 };
        let mut told = Vec::new();
        let cost = train(&net, &mut optimizer, &data, &training, 100, &mut |done| told.push(done));
        let after = evaluate(&net, &data, 64);
        assert!(before.accuracy < 0.5 && after.accuracy > 0.8, "{} to {}", before.accuracy, after.accuracy);
        assert!(after.loss < before.loss);
        assert_eq!((cost.images, cost.macs), (5000, 3 * 100 * 5000));
        assert_eq!((told.len(), told.last()), (160, Some(&1.0)));
    }

    #[test]
    fn accuracy_counts_a_smaller_last_batch_by_its_size() {
        let (data, vs) = (largest_pixel(101), nn::VarStore::new(Device::Cpu));
        let net = linear(&vs);
        let (one, many) = (evaluate(&net, &data, 101), evaluate(&net, &data, 10));
        assert!((one.accuracy - many.accuracy).abs() < 1e-12 && (one.loss - many.loss).abs() < 1e-6);
        assert!(one.right.equal(&many.right));
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
