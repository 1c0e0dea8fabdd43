//! `flap` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::{Importance, Signal};
use pruner_importance::{Flap, Normalizer};

use crate::support::{Case, close, tensor};

fn case() -> Case {
    Case::new(3).plain(tensor(&[1.0, -8.0, 2.0, -3.0, 4.0, 0.0], &[2, 3]), 1).activation(
        Some(0),
        Layout::Identity(3),
        7,
        &[(Signal::Variance, &[9.0, 0.25, 1.0])],
    )
}

#[test]
fn the_variance_is_weighted_by_the_squares_of_what_reads_it() {
    let plain = Flap::default().with_normalizer(Normalizer::None);
    close(&case().scores(&plain), &[90.0, 20.0, 4.0]);
}

#[test]
fn groups_are_standardised_by_default() {
    let mean: f32 = 38.0;
    let deviation = (((90.0 - mean).powi(2) + (20.0 - mean).powi(2) + (4.0 - mean).powi(2)) / 3.0).sqrt();
    let expected = [90.0, 20.0, 4.0].map(|score| (score - mean) / deviation);
    close(&case().scores(&Flap::default()), &expected);
}

#[test]
fn biases_make_up_for_what_goes_unless_they_are_not_to() {
    assert!(Flap::default().compensates());
    assert!(!Flap::default().uncompensated().compensates());
}
