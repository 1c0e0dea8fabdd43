//! Normalisers by hand.

use pruner_importance::Normalizer::{self, Gaussian, Lamp, Max, Mean, Standardization, Sum};
use tch::Tensor;

use crate::support::{close, numbers, tensor};

const ALL: [Normalizer; 7] = [Normalizer::None, Sum, Mean, Max, Standardization, Gaussian, Lamp];

fn apply(normalizer: Normalizer, scores: &[f32]) -> Vec<f32> {
    numbers(&normalizer.apply(&Tensor::from_slice(scores)).expect("a vector can be normalised"))
}

#[test]
fn each_is_as_its_formula_says() {
    let scores = [3.0, 1.0, 4.0];
    close(&apply(Normalizer::None, &scores), &scores);
    close(&apply(Sum, &scores), &[0.375, 0.125, 0.5]);
    close(&apply(Mean, &scores), &[1.125, 0.375, 1.5]);
    close(&apply(Max, &scores), &[0.75, 0.25, 1.0]);
    close(&apply(Standardization, &scores), &[2.0 / 3.0, 0.0, 1.0]);
    // Mean 8/3, variance (1 + 25 + 16)/9/3 = 14/9.
    let deviation = (14.0_f32 / 9.0).sqrt();
    close(&apply(Gaussian, &scores), &[1.0 / 3.0 / deviation, -5.0 / 3.0 / deviation, 4.0 / 3.0 / deviation]);
    close(&apply(Lamp, &scores), &[9.0 / 25.0, 1.0 / 26.0, 1.0]);
}

#[test]
fn of_equal_scores_lamp_ranks_the_first_lowest() {
    close(&apply(Lamp, &[2.0, 2.0, 2.0]), &[1.0 / 3.0, 0.5, 1.0]);
}

#[test]
fn equal_scores_and_zeros_stay_finite() {
    for normalizer in ALL {
        for scores in [&[0.0, 0.0, 0.0][..], &[5.0, 5.0, 5.0], &[0.0], &[7.0], &[0.0, 1e-38], &[1e38, 3e38, 3e38]] {
            let normalized = apply(normalizer, scores);
            assert!(normalized.iter().all(|score| score.is_finite()), "{normalizer:?} of {scores:?}: {normalized:?}");
        }
    }
    for normalizer in ALL {
        close(&apply(normalizer, &[0.0, 0.0, 0.0]), &[0.0, 0.0, 0.0]);
        close(&apply(normalizer, &[]), &[]);
    }
}

#[test]
fn none_changes_the_order_within_a_group() {
    let scores = [0.3, 0.1, 7.0, 0.2, 1.5, 0.0];
    let order = |scores: &[f32]| {
        let mut order: Vec<_> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order
    };
    for normalizer in ALL {
        assert_eq!(order(&apply(normalizer, &scores)), order(&scores), "{normalizer:?}");
    }
}

#[test]
fn a_nan_is_seen_after_every_normaliser() {
    for normalizer in ALL {
        assert!(apply(normalizer, &[1.0, f32::NAN, 2.0])[1].is_nan(), "{normalizer:?}");
    }
}

#[test]
fn lamp_is_the_same_in_any_unit() {
    let scores = tensor(&[3e-20, 1e-20, 4e-20], &[3]);
    close(&numbers(&Lamp.apply(&scores).expect("a vector")), &[9.0 / 25.0, 1.0 / 26.0, 1.0]);
}
