//! Soundness of unification: dimensions that were unified lose the same positions, whatever is cut.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::axes::{Axes, Cause};
use super::expr::Expr;
use crate::ids::{AxisId, NodeId};

/// What a random network does to its dimensions.
#[derive(Clone, Debug)]
enum Move {
    /// A new dimension.
    Fresh(usize),
    /// The product of two dimensions.
    Product(usize, usize),
    /// The concatenation of two dimensions.
    Sum(usize, usize),
    /// A dimension reversed, or every second position of it.
    Index(usize, bool),
    /// A dimension divided into two factors, and the factors swapped.
    Shuffle(usize, usize),
    /// Two halves of a dimension, not always equal.
    Split(usize, usize),
    /// A dimension unified with a new one, as a layer's weight is.
    Layer(usize),
    /// A dimension unified with another of its size.
    Unify(usize, usize),
    /// A dimension that may not be cut.
    Pin(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let place = 0_usize..64;
    let one = prop_oneof![
        2 => (1_usize..13).prop_map(Move::Fresh),
        2 => (place.clone(), place.clone()).prop_map(|(a, b)| Move::Product(a, b)),
        2 => (place.clone(), place.clone()).prop_map(|(a, b)| Move::Sum(a, b)),
        1 => (place.clone(), any::<bool>()).prop_map(|(a, b)| Move::Index(a, b)),
        3 => (place.clone(), place.clone()).prop_map(|(a, b)| Move::Shuffle(a, b)),
        2 => (place.clone(), place.clone()).prop_map(|(a, b)| Move::Split(a, b)),
        2 => place.clone().prop_map(Move::Layer),
        6 => (place.clone(), place.clone()).prop_map(|(a, b)| Move::Unify(a, b)),
        1 => place.prop_map(Move::Pin),
    ];
    prop::collection::vec(one, 1..40)
}

/// Plays the moves; returns the pairs that were unified.
fn play(axes: &mut Axes, moves: &[Move]) -> Vec<(Expr, Expr)> {
    axes.look_at(NodeId::new(0));
    let mut dims = vec![axes.fresh(6)];
    let mut unified = Vec::new();
    for step in moves {
        let pick = |at: usize| dims[at % dims.len()].clone();
        match *step {
            Move::Fresh(size) => dims.push(axes.fresh(size)),
            Move::Product(a, b) => {
                let e = Expr::product(vec![pick(a), pick(b)]);
                if axes.size(&e) <= 96 {
                    dims.push(e);
                }
            }
            Move::Sum(a, b) => {
                let e = Expr::sum(vec![pick(a), pick(b)]);
                if axes.size(&e) <= 96 {
                    dims.push(e);
                }
            }
            Move::Index(a, reverse) => {
                let e = pick(a);
                let size = axes.size(&e) as u32;
                let indices: Vec<u32> =
                    if reverse { (0..size).rev().collect() } else { (0..size).step_by(2).collect() };
                dims.push(axes.index(&e, &indices));
            }
            Move::Shuffle(a, by) => {
                let e = pick(a);
                let size = axes.size(&e);
                let divisors: Vec<usize> = (1..=size).filter(|d| size.is_multiple_of(*d)).collect();
                if size > 0 {
                    let inner = divisors[by % divisors.len()];
                    let (outer, inner) = (axes.fresh(size / inner), axes.fresh(inner));
                    let whole = Expr::product(vec![outer.clone(), inner.clone()]);
                    axes.unify(&whole, &e).expect("the sizes are equal");
                    unified.push((whole, e));
                    dims.push(Expr::product(vec![inner, outer]));
                }
            }
            Move::Split(a, at) => {
                let e = pick(a);
                let at = at % (axes.size(&e) + 1);
                let (left, right) = axes.split(&e, at);
                unified.push((Expr::sum(vec![left.clone(), right.clone()]), e));
                dims.extend([left, right]);
            }
            Move::Layer(a) => {
                let e = pick(a);
                let weight = axes.fresh(axes.size(&e));
                axes.unify(&weight, &e).expect("the sizes are equal");
                unified.push((weight.clone(), e));
                dims.push(weight);
            }
            Move::Unify(a, b) => {
                let a = pick(a);
                let size = axes.size(&a);
                let same: Vec<_> = dims.iter().filter(|dim| axes.size(dim) == size).cloned().collect();
                let b = same[b % same.len()].clone();
                axes.unify(&a, &b).expect("the sizes are equal");
                unified.push((a, b));
            }
            Move::Pin(a) => axes.pin(&pick(a), Cause::GraphInput),
        }
    }
    unified
}

/// For each position, whether it is left when `cut` says which coordinates of which variables go.
fn mask(axes: &mut Axes, e: &Expr, cut: &BTreeMap<AxisId, Vec<bool>>) -> Vec<bool> {
    let left = |axes: &Axes, axis: AxisId, at: usize| {
        axes.axis(axis).pin.is_some() || cut.get(&axis).is_none_or(|cut| !cut[at])
    };
    match axes.resolve(e) {
        Expr::Axis(axis) => (0..axes.axis(axis).size).map(|at| left(axes, axis, at)).collect(),
        Expr::Index(axis, indices) => indices.iter().map(|&at| left(axes, axis, at as usize)).collect(),
        Expr::Sum(elements) => elements.iter().flat_map(|e| mask(axes, e, cut)).collect(),
        Expr::Product(elements) => elements.iter().fold(vec![true], |outer, e| {
            let inner = mask(axes, e, cut);
            outer.iter().flat_map(|&o| inner.iter().map(move |&i| o && i)).collect()
        }),
    }
}

fn check(moves: &[Move], seed: u64) {
    let mut axes = Axes::default();
    let unified = play(&mut axes, moves);
    let mut state = seed;
    let mut cut = BTreeMap::new();
    for (a, b) in &unified {
        for e in [a, b] {
            axes.resolve(e).each_axis(&mut |axis| {
                let size = axes.axis(axis).size;
                cut.entry(axis).or_insert_with(|| {
                    (0..size)
                        .map(|_| {
                            state =
                                state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                            size > 1 && state >> 63 == 1
                        })
                        .collect::<Vec<bool>>()
                });
            });
        }
    }
    for (a, b) in &unified {
        let (left, right) = (mask(&mut axes, a, &cut), mask(&mut axes, b, &cut));
        assert_eq!(left, right, "{a} and {b} were unified");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn unified_dimensions_lose_the_same_positions(moves in moves(), seed in any::<u64>()) {
        check(&moves, seed);
    }

    #[test]
    fn unions_of_variables_in_any_order_give_the_same_leaders(
        pairs in prop::collection::vec((0_usize..12, 0_usize..12), 1..12),
        order in any::<u64>(),
    ) {
        let leaders = |pairs: &[(usize, usize)]| {
            let mut axes = Axes::default();
            let all: Vec<_> = (0..12).map(|_| axes.fresh(4)).collect();
            for &(a, b) in pairs {
                axes.unify(&all[a], &all[b]).expect("the sizes are equal");
            }
            all.iter().map(|e| axes.resolve(e).to_string()).collect::<Vec<_>>()
        };
        let mut shuffled = pairs.clone();
        let by = order as usize % pairs.len();
        shuffled.rotate_left(by);
        if order >> 63 == 1 {
            shuffled.reverse();
        }
        prop_assert_eq!(leaders(&pairs), leaders(&shuffled));
    }
}

#[test]
fn an_odd_half_of_interleaved_channels_is_still_cut() {
    let mut axes = Axes::default();
    axes.look_at(NodeId::new(0));
    let channels = axes.fresh(29);
    let shuffled = Expr::product(vec![channels.clone(), axes.fresh(2)]);
    let (left, right) = axes.split(&shuffled, 29);
    assert_eq!((axes.size(&left), axes.size(&right)), (29, 29));
    assert!(!axes.is_pinned(&channels), "the channels may be cut, though a half ends inside a pair");
}

#[test]
fn a_flipped_axis_added_to_itself_joins_each_position_with_its_mirror() {
    let mut axes = Axes::default();
    let a = axes.fresh(4);
    let flipped = axes.index(&a, &[3, 2, 1, 0]);
    axes.unify(&a, &flipped).expect("the sizes are equal");
    let Expr::Index(pair, indices) = axes.resolve(&a) else { panic!("the axis is indexed: {:?}", axes.resolve(&a)) };
    assert_eq!((axes.axis(pair).size, &*indices), (2, &[0, 1, 1, 0][..]));
}

#[test]
fn sizes_that_differ_are_an_error() {
    let mut axes = Axes::default();
    let (a, b) = (axes.fresh(4), axes.fresh(6));
    assert_eq!(axes.unify(&a, &b).expect_err("4 is not 6").to_string(), "an axis of 4 and one of 6 cannot be the same");
}
