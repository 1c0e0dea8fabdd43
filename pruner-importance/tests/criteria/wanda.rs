//! `wanda` by hand.

use pruner_core::deps::Layout;
use pruner_core::importance::Signal;
use pruner_importance::{Normalizer, Wanda};

use crate::support::{Case, close, table, tensor};

fn plain() -> Wanda {
    Wanda::default().with_normalizer(Normalizer::None)
}

#[test]
fn the_mean_over_outputs_is_weighted_by_the_norm_of_a_sample() {
    // A linear layer of 2 outputs, over 4 tokens: the norms are √(4·9) and √(4·0.25).
    let case = Case::new(2)
        .plain(tensor(&[50.0, 60.0], &[2, 1]), 0)
        .plain(tensor(&[1.0, -8.0, -3.0, 4.0], &[2, 2]), 1)
        .activation(Some(1), Layout::Identity(2), 4, &[(Signal::MeanSquare, &[9.0, 0.25])]);
    close(&case.scores(&plain()), &[2.0 * 6.0, 6.0 * 1.0]);
    close(&case.scores(&Wanda::default()), &[12.0 / 9.0, 6.0 / 9.0]);
}

#[test]
fn layers_that_read_it_and_positions_are_added() {
    // A head of two positions in one layer, and a convolution of 1×2 that reads the heads.
    let case = Case::new(2)
        .weight(tensor(&[1.0, 2.0, 3.0, 4.0], &[1, 4]), 1, table(&[Some(0), Some(0), Some(1), Some(1)]))
        .plain(tensor(&[1.0, 3.0, -5.0, 0.0], &[1, 2, 1, 2]), 1)
        .activation(
            Some(0),
            table(&[Some(0), Some(0), Some(1), Some(1)]),
            1,
            &[(Signal::MeanSquare, &[1.0, 4.0, 9.0, 16.0])],
        )
        .activation(Some(1), Layout::Identity(2), 1, &[(Signal::MeanSquare, &[1.0, 100.0])]);
    close(&case.scores(&plain()), &[1.0 + 4.0 + 2.0, 9.0 + 16.0 + 25.0]);
}

#[test]
fn without_weights_that_read_it_there_is_no_score() {
    let case = Case::new(2).plain(tensor(&[1.0, 2.0], &[2, 1]), 0);
    assert!(!case.signal(Signal::MeanSquare, &[]).is_scored(&plain()));
    let met = Case::new(2).plain(tensor(&[1.0, 2.0], &[2, 1]), 0).activation(
        None,
        Layout::Identity(2),
        1,
        &[(Signal::MeanSquare, &[1.0, 2.0])],
    );
    assert!(!met.is_scored(&plain()));
}

#[test]
fn of_a_square_weight_the_side_that_reads_counts() {
    // The weight of a layer inside of a residual makes the coordinates in one dimension and reads them in the other.
    let square = tensor(&[1.0, 2.0, 30.0, 40.0], &[2, 2]);
    let mut case = Case::new(2).plain(square.copy(), 0).plain(square, 1);
    case.group.members[1].value = case.group.members[0].value;
    let case = case.activation(Some(1), Layout::Identity(2), 1, &[(Signal::MeanSquare, &[1.0, 1.0])]);
    close(&case.scores(&plain()), &[31.0 / 2.0, 42.0 / 2.0]);
}
