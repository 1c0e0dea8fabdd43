//! The criteria of activations against loops over single positions, outputs and places of a kernel.

use pruner_core::deps::{Layout, Side};
use pruner_core::importance::Signal;
use pruner_importance::{ActivationStatistic, Activations, Flap, Normalizer, Wanda};
use tch::{Device, Kind, Tensor};

use crate::reference::Draw;
use crate::support::{Case, close};

/// A layer that reads an activation: its weight as `[groups, outputs, inputs, kernel]`, and the numbers of the activation by position.
struct Read {
    groups: usize,
    outputs: usize,
    inputs: usize,
    kernel: usize,
    weights: Vec<f64>,
    layout: Layout,
    places: u64,
    numbers: Vec<f64>,
}

impl Read {
    /// `f` of the absolute weight of each output and place of the kernel that read a position.
    fn weights_of(&self, position: usize) -> Vec<f64> {
        let (group, input) = (position / self.inputs, position % self.inputs);
        let mut all = Vec::new();
        for output in 0..self.outputs {
            for at in 0..self.kernel {
                let index = ((group * self.outputs + output) * self.inputs + input) * self.kernel + at;
                all.push(self.weights[index].abs());
            }
        }
        all
    }
}

fn draw(draw: &mut Draw) -> (Case, Vec<Read>) {
    let size = 1 + draw.below(5);
    let (mut case, mut reads) = (Case::new(size), Vec::new());
    for _ in 0..=draw.below(3) {
        let inner = draw.layout(size);
        let (groups, outputs, kernel) = (1 + draw.below(3), 1 + draw.below(3), 1 + draw.below(3));
        let (inputs, layout) = (inner.len(), inner.clone().repeated(groups, 1));
        let shape = [(groups * outputs) as i64, inputs as i64, kernel as i64];
        let weight = Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let numbers: Vec<f64> = (0..layout.len()).map(|_| draw.below(1000) as f64 / 100.0).collect();
        let elements = weight.to_kind(Kind::Double).reshape([-1]);
        let places = 1 + draw.below(9) as u64;
        let index = case.tensors.len();
        case = case.weight(weight, 1, inner);
        case.group.members[index].side = Side::Input;
        let statistics = [Signal::MeanSquare, Signal::Variance, Signal::MeanAbs, Signal::SquaredMeanAbs];
        case = case.activation(
            Some(index),
            layout.clone(),
            places,
            &statistics.map(|signal| (signal, numbers.as_slice())),
        );
        let weights = Vec::try_from(elements).expect("a vector of numbers");
        reads.push(Read { groups, outputs, inputs, kernel, weights, layout, places, numbers });
    }
    (case, reads)
}

fn expected(size: usize, reads: &[Read], score: impl Fn(&Read, usize) -> f64) -> Vec<f32> {
    let mut scores = vec![0.0; size];
    for read in reads {
        assert_eq!(read.layout.len(), read.groups * read.inputs);
        for (position, coordinate) in read.layout.places() {
            scores[coordinate as usize] += score(read, position);
        }
    }
    scores.into_iter().map(|score| score as f32).collect()
}

#[test]
fn wanda_and_flap_are_what_a_loop_over_positions_gives_grouped_convolutions_too() {
    tch::manual_seed(3);
    let mut random = Draw::new(3);
    for _ in 0..200 {
        let (case, reads) = draw(&mut random);
        let size = case.group.coordinates.len();
        let wanda = |read: &Read, position: usize| {
            let weights = read.weights_of(position);
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            mean * (read.places as f64 * read.numbers[position]).sqrt()
        };
        close(&case.scores(&Wanda::default().with_normalizer(Normalizer::None)), &expected(size, &reads, wanda));
        let flap = |read: &Read, position: usize| {
            read.weights_of(position).iter().map(|weight| weight * weight).sum::<f64>() * read.numbers[position]
        };
        close(&case.scores(&Flap::default().with_normalizer(Normalizer::None)), &expected(size, &reads, flap));
    }
}

#[test]
fn activation_is_what_a_loop_over_positions_gives() {
    let mut random = Draw::new(4);
    for _ in 0..200 {
        let (case, reads) = draw(&mut random);
        let size = case.group.coordinates.len();
        for statistic in [ActivationStatistic::MeanAbs, ActivationStatistic::RootMeanSquare] {
            let mean = |read: &Read, position: usize| {
                let own = read.layout.coordinates().nth(position).expect("it is one of its");
                let positions = read.layout.coordinates().filter(|at| *at == own).count();
                let number = read.numbers[position];
                let number = if statistic == ActivationStatistic::MeanAbs { number } else { number.sqrt() };
                number / positions as f64 / reads.len() as f64
            };
            let plain = Activations::default().with_statistic(statistic).with_normalizer(Normalizer::None);
            close(&case.scores(&plain), &expected(size, &reads, mean));
        }
    }
}
