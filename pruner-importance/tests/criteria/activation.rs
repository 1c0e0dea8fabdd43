//! `activation` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::Signal;
use pruner_importance::{ActivationStatistic, Activations, Normalizer};

use crate::support::{Case, close, table};

fn plain(statistic: ActivationStatistic) -> Activations {
    Activations::default().with_statistic(statistic).with_normalizer(Normalizer::None)
}

#[test]
fn the_mean_is_over_the_positions_of_a_coordinate_and_over_the_layers() {
    let heads = table(&[Some(0), None, Some(0), Some(1)]);
    let case = Case::new(2).activation(None, heads, 1, &[(Signal::MeanAbs, &[1.0, 100.0, 3.0, 5.0])]).activation(
        None,
        Layout::Identity(2),
        1,
        &[(Signal::MeanAbs, &[4.0, 1.0])],
    );
    close(&case.scores(&plain(ActivationStatistic::MeanAbs)), &[f32::midpoint(2.0, 4.0), f32::midpoint(5.0, 1.0)]);
    close(&case.scores(&Activations::default()), &[1.0, 1.0]);
}

#[test]
fn the_root_is_taken_of_the_mean_of_squares() {
    let case = Case::new(2).activation(None, Layout::Identity(2), 1, &[(Signal::SquaredMeanAbs, &[9.0, 0.25])]);
    close(&case.scores(&plain(ActivationStatistic::RootMeanSquare)), &[3.0, 0.5]);
}

#[test]
fn what_is_often_zero_goes_first() {
    let case = Case::new(2).activation(None, Layout::Identity(2), 1, &[(Signal::NonZero, &[0.75, 0.1])]);
    close(&case.scores(&plain(ActivationStatistic::NonZero)), &[0.75, 0.1]);
}

#[test]
fn what_no_layer_sums_over_has_no_score() {
    assert!(!Case::new(2).signal(Signal::MeanAbs, &[]).is_scored(&Activations::default()));
}
