//! Numbers of coordinates at their positions.

use pruner_core::deps::{Layout, Member};
use pruner_core::importance::slices::{gather, spread};
use tch::{Device, Kind, Tensor};

use crate::reference::Draw;
use crate::support::{Case, close, numbers, table, tensor};

fn member(size: usize, layout: Layout) -> Member {
    let vector = Tensor::zeros([layout.len() as i64], (Kind::Float, Device::Cpu));
    Case::new(size).weight(vector, 0, layout).group.members.swap_remove(0)
}

#[test]
fn each_position_gets_the_number_of_its_coordinate_and_what_is_of_others_zero() {
    let member = member(3, table(&[Some(2), None, Some(0), Some(2)]));
    assert_eq!(numbers(&spread(&member, &tensor(&[5.0, 6.0, 7.0], &[3])).expect("it fits")), [7.0, 0.0, 5.0, 7.0]);
}

#[test]
fn spreading_is_the_transpose_of_gathering() {
    tch::manual_seed(1);
    let mut draw = Draw::new(1);
    for _ in 0..200 {
        let size = 1 + draw.below(6);
        let member = member(size, draw.layout(size));
        let random = |len: usize| Tensor::randn([len as i64], (Kind::Float, Device::Cpu));
        let (of_positions, of_coordinates) = (random(member.layout.len()), random(size));
        let sum = |tensor: &Tensor, dims: &[i64]| tensor.f_sum_dim_intlist(dims, false, None::<Kind>);
        let gathered = gather(&member, &of_positions, size, sum).expect("it fits");
        let spread = spread(&member, &of_coordinates).expect("it fits");
        let product = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double).double_value(&[]) as f32;
        close(&[product(&spread, &of_positions)], &[product(&gathered, &of_coordinates)]);
    }
}

#[test]
fn numbers_of_another_group_are_refused() {
    let numbers = tensor(&[1.0, 2.0], &[2]);
    let identity = spread(&member(3, Layout::Identity(3)), &numbers).expect_err("there are three coordinates");
    let expected = "`parameter0` has shape [2], but the group has 3 positions in dimension 0";
    assert_eq!(identity.to_string(), expected);
    let beyond = spread(&member(3, table(&[Some(2), Some(0)])), &numbers).expect_err("there is a third coordinate");
    assert_eq!(beyond.to_string(), "`parameter0` names coordinate 2 of a group of 2");
}
