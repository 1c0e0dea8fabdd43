//! `random`: which numbers, and what they depend on.

use pruner_core::ids::GroupId;
use pruner_importance::Random;

use crate::support::{Case, tensor};

fn case(size: usize, group: usize) -> Case {
    let mut case = Case::new(size).plain(tensor(&vec![1.0; size], &[size as i64]), 0);
    case.group.id = GroupId::new(group);
    case
}

#[test]
fn the_numbers_are_the_same_on_every_machine() {
    let scores = case(4, 0).scores(&Random::default().with_seed(42));
    assert_eq!(scores, [0.386_974_28, 0.712_935_3, 0.865_830_5, 0.169_887]);
}

#[test]
fn they_depend_on_the_seed_and_the_group() {
    let scores = |seed, group| case(8, group).scores(&Random::default().with_seed(seed));
    assert_eq!(scores(1, 0), scores(1, 0));
    assert_ne!(scores(1, 0), scores(2, 0));
    assert_ne!(scores(1, 0), scores(1, 1));
    assert_ne!(scores(1, 1), scores(2, 0));
}

#[test]
fn without_a_seed_of_its_own_it_takes_that_of_the_run() {
    assert_eq!(case(8, 3).scores(&Random::default()), case(8, 3).scores(&Random::default().with_seed(0)));
}

#[test]
fn a_coordinate_keeps_its_number_when_others_are_cut() {
    let before = case(6, 0).scores(&Random::default());
    let mut cut = case(3, 0);
    cut.group.coordinates = vec![1, 4, 5];
    assert_eq!(cut.scores(&Random::default()), [before[1], before[4], before[5]]);
}

#[test]
fn they_are_uniform() {
    let scores = case(100_000, 0).scores(&Random::default().with_seed(7));
    let mut tenths = [0_usize; 10];
    for score in scores {
        assert!((0.0..1.0).contains(&score));
        tenths[(score * 10.0) as usize] += 1;
    }
    // Three standard deviations of a count are 285.
    assert!(tenths.iter().all(|&count| count.abs_diff(10_000) < 400), "{tenths:?}");
}
