//! `fpgm` by hand and against a loop over pairs of filters.

use pruner_core::deps::Layout;
use pruner_core::importance::score;
use pruner_importance::{Fpgm, Normalizer, Reduction};
use tch::{Device, Kind, Tensor};

use crate::support::{Case, close, conv_bn_conv, table, tensor};

fn raw() -> Fpgm {
    Fpgm::default().with_normalizer(Normalizer::None)
}

#[test]
fn a_filter_between_the_others_goes_first() {
    // Three filters on a line, at 0, 3 and 4: distances 3 + 4, 3 + 1, 4 + 1.
    let case = Case::new(3).plain(tensor(&[0.0, 0.0, 3.0, 0.0, 4.0, 0.0], &[3, 2]), 0);
    close(&case.scores(&raw()), &[7.0, 4.0, 5.0]);
    close(&case.scores(&Fpgm::default()), &[21.0 / 16.0, 12.0 / 16.0, 15.0 / 16.0]);
}

#[test]
fn norms_biases_and_the_layers_that_read_are_no_filters() {
    // (3, −4) and (1, 2) are √40 apart; the convolution that reads them would add 84.
    close(&conv_bn_conv().scores(&raw()), &[40.0_f32.sqrt(); 2]);
    let read = Case::new(2).plain(tensor(&[1.0, 2.0], &[1, 2]), 1).input(0);
    assert!(score(&raw(), &read.group, &read.weights()).expect("that is no error").is_none());
}

#[test]
fn several_layers_are_averaged_over_those_that_make_the_coordinate() {
    let case = || {
        let absent = table(&[Some(0), Some(2)]);
        let whole = tensor(&[0.0, 1.0, 3.0], &[3, 1]);
        Case::new(3).plain(whole, 0).weight(tensor(&[5.0, 15.0], &[2, 1]), 0, absent)
    };
    close(&case().scores(&raw()), &[f32::midpoint(4.0, 10.0), 3.0, f32::midpoint(5.0, 10.0)]);
    close(&case().scores(&raw().with_reduction(Reduction::First)), &[4.0, 3.0, 5.0]);
    close(&case().scores(&raw().with_reduction(Reduction::None)), &[14.0, 3.0, 15.0]);
}

#[test]
fn it_is_what_a_loop_over_pairs_gives() {
    tch::manual_seed(7);
    let (size, positions) = (30, 2);
    let of: Vec<_> = (0..size * positions).map(|position| Some(position as u32 % size as u32)).collect();
    let weight = Tensor::randn([5, (size * positions) as i64, 3], (Kind::Float, Device::Cpu));
    let rows: Vec<Vec<f64>> = (0..size as i64)
        .map(|row| {
            let places = Tensor::from_slice(&[row, row + size as i64]);
            Vec::try_from(weight.index_select(1, &places).flatten(0, -1).to_kind(Kind::Double)).expect("a vector")
        })
        .collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let expected = rows.iter().map(|row| rows.iter().map(|other| distance(row, other)).sum::<f64>() as f32);
    let expected: Vec<f32> = expected.collect();
    let layouts = [table(&of), Layout::Identity(size)];
    let case = Case::new(size).weight(weight, 1, layouts[0].clone());
    close(&case.scores(&raw()), &expected);
}

#[test]
fn filters_that_differ_little_are_told_apart() {
    // 1000 and 1000.001 in many dimensions: the difference is lost in single-precision products.
    let mut elements = vec![1000.0_f32; 40 * 16];
    elements[16..32].fill(1000.001);
    let case = Case::new(40).plain(tensor(&elements, &[40, 16]), 0);
    let scores = case.scores(&raw());
    let apart = 4.0 * (1000.001_f32 - 1000.0);
    assert!((scores[1] - 39.0 * apart).abs() < 1e-3, "{scores:?}");
    assert!((scores[0] - apart).abs() < 1e-4, "{scores:?}");
}
