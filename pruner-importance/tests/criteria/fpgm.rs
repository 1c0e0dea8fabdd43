//! `fpgm` by hand and against a loop over pairs of filters.

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

/// A layer whose positions go round the coordinates twice, all but those that are left out: its scores, and those of a loop over pairs.
fn check_pairs(size: usize, left_out: impl Fn(usize) -> bool) {
    tch::manual_seed(7);
    let of: Vec<_> = (0..2 * size).map(|position| position % size).collect();
    let of: Vec<_> = of.into_iter().map(|coordinate| (!left_out(coordinate)).then_some(coordinate as u32)).collect();
    let weight = Tensor::randn([5, (2 * size) as i64, 3], (Kind::Float, Device::Cpu));
    let rows: Vec<Option<Vec<f64>>> = (0..size)
        .map(|row| {
            let places = Tensor::from_slice(&[row as i64, (row + size) as i64]);
            let own = weight.index_select(1, &places).flatten(0, -1).to_kind(Kind::Double);
            (!left_out(row)).then(|| Vec::try_from(own).expect("a vector"))
        })
        .collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let to_others = |row: &Vec<f64>| rows.iter().flatten().map(|other| distance(row, other)).sum::<f64>() as f32;
    let expected: Vec<f32> = rows.iter().map(|row| row.as_ref().map_or(0.0, to_others)).collect();
    close(&Case::new(size).weight(weight, 1, table(&of)).scores(&raw()), &expected);
}

#[test]
fn it_is_what_a_loop_over_pairs_gives() {
    check_pairs(30, |_| false);
    check_pairs(128, |_| false);
    check_pairs(300, |_| false);
    check_pairs(300, |coordinate| coordinate % 7 == 3 || (130..260).contains(&coordinate));
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
