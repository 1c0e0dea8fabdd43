//! `growing` by hand.

use std::num::NonZeroU64;

use pruner_core::ids::GroupId;
use pruner_importance::regularizers::Growing;
use pruner_importance::{BnScale, Taylor};

use super::{added, error, step, zeroed};
use crate::support::{Case, close, conv_bn_conv, tensor};

fn growing() -> Growing {
    let every = NonZeroU64::new(2).expect("2 is not 0");
    Growing::default().with_delta(0.5).with_every(every).with_ceiling(1.2)
}

#[test]
fn the_lowest_coordinates_are_drawn_to_zero_harder_up_to_the_ceiling() {
    // The norms of the coordinates are 85 and 5.
    let case = zeroed(conv_bn_conv());
    let mut growing = growing();
    assert!(growing.picked(GroupId::new(0)).is_empty());
    for lambda in [0.5, 0.5, 1.0, 1.0, 1.2, 1.2, 1.2] {
        assert!((growing.lambda() - f64::from(lambda)).abs() < 1e-6);
        let found = added(&case, &mut growing);
        close(&found[0], &[0.0, 0.0, lambda, 2.0 * lambda]);
        close(&found[1], &[0.0, 2.0 * lambda]);
        close(&found[2], &[0.0, 4.0 * lambda]);
        assert!(found[3].is_empty(), "statistics are not trained");
        close(&found[4], &[0.0, 0.0]);
        assert_eq!(growing.picked(GroupId::new(0)), [1]);
    }
}

#[test]
fn what_was_picked_stays_picked_whatever_the_scores_become() {
    let case = zeroed(Case::new(4).plain(tensor(&[4.0, 1.0, 3.0, 2.0], &[4]), 0));
    let mut growing = growing();
    assert_eq!(added(&case, &mut growing), [[0.0, 0.5, 0.0, 1.0]]);
    case.tensors[0].detach().copy_(&tensor(&[1.0, 40.0, 2.0, 30.0], &[4]));
    assert_eq!(added(&case, &mut growing), [[0.0, 20.0, 0.0, 15.0]]);
}

#[test]
fn after_a_cut_the_coordinates_that_are_left_go_on() {
    let case = zeroed(Case::new(6).plain(tensor(&[6.0, 1.0, 5.0, 2.0, 4.0, 3.0], &[6]), 0));
    let mut growing = growing();
    assert_eq!(added(&case, &mut growing), [[0.0, 0.5, 0.0, 1.0, 0.0, 1.5]]);
    let mut cut = zeroed(Case::new(4).plain(tensor(&[6.0, 2.0, 4.0, 3.0], &[4]), 0));
    cut.group.coordinates = vec![0, 3, 4, 5];
    assert_eq!(added(&cut, &mut growing), [[0.0, 1.0, 0.0, 1.5]]);
    assert_eq!(added(&cut, &mut growing), [[0.0, 2.0, 0.0, 3.0]]);
}

#[test]
fn the_share_is_rounded_down_to_whole_coordinates() {
    let case = zeroed(Case::new(10).plain(tensor(&[1.0; 10], &[10]), 0));
    // 0.29 · 100 is less than 29 in floating point, 0.3 · 10 is 3; of equal scores the first go.
    for (ratio, expected) in [(0.0, vec![]), (0.09, vec![]), (0.3, vec![0, 1, 2]), (0.99, (0..9).collect())] {
        let mut growing = growing().with_ratio(ratio);
        step(&case, &mut growing).expect("it can be penalised");
        assert_eq!(growing.picked(GroupId::new(0)), expected, "{ratio}");
    }
    let case = zeroed(Case::new(100).plain(tensor(&[1.0; 100], &[100]), 0));
    let mut growing = growing().with_ratio(0.29);
    step(&case, &mut growing).expect("it can be penalised");
    assert_eq!(growing.picked(GroupId::new(0)).len(), 29);
}

#[test]
fn another_criterion_picks_and_a_group_without_score_is_left_alone() {
    let case = conv_bn_conv();
    case.tensors[1].detach().copy_(&tensor(&[1.0, 2.0], &[2]));
    let mut by_scale = growing().with_importance(Box::new(BnScale::default()));
    let found = added(&zeroed(case), &mut by_scale);
    close(&found[1], &[0.5, 0.0]);
    let case = zeroed(Case::new(2).plain(tensor(&[1.0, 2.0], &[2]), 0));
    assert_eq!(added(&case, &mut growing().with_importance(Box::new(BnScale::default()))), [[0.0, 0.0]]);
    let none = Case::new(2).plain(tensor(&[1.0, 2.0], &[2]), 0);
    let message = error(&none, &mut growing().with_importance(Box::new(Taylor::default())));
    assert!(message.contains("no parameter has a gradient"), "{message}");
}

#[test]
fn settings_out_of_their_range_are_refused() {
    let case = zeroed(conv_bn_conv());
    for (mut growing, message) in [
        (
            growing().with_ratio(1.0),
            "ratio is 1; it is a share of the coordinates of a group, at least 0 and less than 1",
        ),
        (growing().with_delta(-0.5), "delta is -0.5; it is a finite number, at least 0"),
        (growing().with_ceiling(f64::NAN), "ceiling is NaN; it is a finite number, at least 0"),
    ] {
        assert_eq!(error(&case, &mut growing), format!("regularizer `growing`: {message}"));
    }
}
