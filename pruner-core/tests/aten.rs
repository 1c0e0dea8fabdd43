//! Variables whose shape changes, and slices of all dimensions at once.
#![cfg(feature = "torch")]

use pruner_core::aten::{self, Form, Operator, OperatorArgument, OperatorResult, gather_slices};
use tch::{Device, Kind, Tensor};

fn numbers(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::arange(shape.iter().product::<i64>(), (Kind::Int64, Device::Cpu)).to_kind(kind).view(shape)
}

/// The slices are those of `index_select` and lie in memory as the tensor does.
#[track_caller]
fn check(tensor: &Tensor, kept: &[Option<&[i64]>]) {
    let slices = gather_slices(tensor, kept).expect("slices");
    let mut expected = tensor.shallow_clone();
    for (dim, list) in kept.iter().enumerate() {
        if let Some(list) = list {
            expected = expected.index_select(dim as i64, &Tensor::from_slice(list));
        }
    }
    assert_eq!(slices.size(), expected.size());
    assert_eq!(slices.kind(), tensor.kind());
    assert!(slices.equal(&expected));
    assert!(!slices.requires_grad());
    assert_ne!(aten::storage_id(&slices), aten::storage_id(tensor));
}

#[test]
fn slices_are_those_of_index_select() {
    let (even, few, runs, none): (&[i64], &[i64], &[i64], &[i64]) = (&[0, 2, 4], &[5, 1, 1, 0], &[0, 1, 2, 4, 5], &[]);
    for kind in [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16, Kind::Int64, Kind::Uint8, Kind::ComplexDouble] {
        check(&numbers(&[6, 7, 3, 3], kind), &[Some(even), Some(few), None, None]);
        check(&numbers(&[6, 6], kind), &[Some(runs), Some(even)]);
        check(&numbers(&[6], kind), &[Some(few)]);
    }
    check(&numbers(&[6, 7, 3], Kind::Float), &[None, None, None]);
    check(&numbers(&[6, 7, 3], Kind::Float), &[None, Some(runs), None]);
    check(&numbers(&[6, 7, 3], Kind::Float), &[Some(none), None, Some(&[1])]);
    check(&numbers(&[300, 500], Kind::Float), &[Some(&(0..300).step_by(3).collect::<Vec<_>>()), None]);
    check(&numbers(&[1, 90_000, 2], Kind::Float), &[None, Some(&(0..90_000).step_by(2).collect::<Vec<_>>()), None]);
    check(&numbers(&[], Kind::Float), &[]);
    check(&numbers(&[4, 6], Kind::Float).tr(), &[Some(even), Some(&[3, 0])]);
    check(&numbers(&[8, 7], Kind::Float).slice(1, 0, 7, 2), &[Some(few), None]);
    check(&numbers(&[6], Kind::Float).expand([3, 6], false), &[Some(&[2, 0]), Some(even)]);
}

#[test]
fn slices_of_every_place_in_every_layout_are_those_of_index_select() {
    let lists: [Option<&[i64]>; 6] = [None, Some(&[0]), Some(&[1]), Some(&[2]), Some(&[1, 2]), Some(&[2, 0])];
    for first in lists {
        for second in lists {
            check(&numbers(&[3, 4], Kind::Float), &[first, second]);
            check(&numbers(&[4, 3], Kind::Float).tr(), &[first, second]);
            for third in lists {
                check(&numbers(&[3, 4, 5], Kind::Float), &[first, second, third]);
                let image = numbers(&[3, 4, 5, 2], Kind::Float);
                check(&image, &[first, second, third, None]);
                check(&channels_last(&image), &[first, second, third, None]);
            }
        }
    }
}

#[test]
fn slices_keep_the_memory_format() {
    let tensor = numbers(&[4, 6, 3, 3], Kind::Float).permute([0, 3, 1, 2]).contiguous().permute([0, 2, 3, 1]);
    let slices = gather_slices(&tensor, &[Some(&[1, 3]), Some(&[0, 2, 5]), None, None]).expect("slices");
    let order = |tensor: &Tensor| {
        let mut dims: Vec<_> = tensor.stride().into_iter().enumerate().collect();
        dims.sort_by_key(|(_, stride)| -stride);
        dims.into_iter().map(|(dim, _)| dim).collect::<Vec<_>>()
    };
    assert_eq!(order(&slices), order(&tensor));
    let last = channels_last(&numbers(&[4, 6, 3, 3], Kind::Float));
    check(&last, &[Some(&[1, 3]), Some(&[0, 2, 5]), None, None]);
    let slices = gather_slices(&last, &[Some(&[1, 3]), Some(&[0, 2, 5]), None, None]).expect("slices");
    assert_eq!(slices.stride(), [27, 1, 9, 3]);
    let one = gather_slices(&last, &[None, Some(&[4]), None, None]).expect("slices");
    assert_eq!(one.stride(), [9, 1, 3, 1]);
}

#[test]
fn slices_of_long_rows_are_those_of_index_select() {
    for columns in [8, 15, 16, 17, 63, 200] {
        let tensor = numbers(&[9, columns], Kind::Float);
        let rows: &[i64] = &[0, 2, 3, 5, 8];
        for (modulus, less) in [(2, 1), (3, 2), (5, 1), (9, 8), (11, 3), (64, 63)] {
            let stay: Vec<i64> = (0..columns).filter(|at| at * 7 % modulus < less).collect();
            check(&tensor, &[Some(rows), Some(&stay)]);
            check(&tensor, &[None, Some(&stay.iter().rev().copied().collect::<Vec<_>>())]);
        }
    }
}

/// What is folded of `a` and `b`, in double precision.
fn terms(a: &Tensor, b: &Tensor, form: Form) -> Tensor {
    let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
    match form {
        Form::Abs | Form::Max => a.abs(),
        Form::Square => a.square(),
        Form::Product => a * b,
        Form::AbsProduct => (a * b).abs(),
        Form::SquareBy => a.square() * b,
        Form::AbsBy => a.abs() * b,
        _ => unreachable!("these are all"),
    }
}

#[test]
fn folds_are_those_of_operations_in_double_precision_however_long_rows_are() {
    use Form::{Abs, AbsBy, AbsProduct, Max, Product, Square, SquareBy};
    let shapes: [&[i64]; 9] =
        [&[1], &[70], &[3, 9], &[16, 40], &[19, 1, 3, 3], &[5, 2048], &[21, 2047], &[6, 300, 3, 3], &[70, 5000]];
    for (shape, form) in shapes
        .iter()
        .flat_map(|shape| [Abs, Square, Max, Product, AbsProduct, SquareBy, AbsBy].map(|form| (shape, form)))
    {
        let a = (numbers(shape, Kind::Float) * 0.37).sin();
        let b = (numbers(shape, Kind::Float) * 0.11).cos();
        let other = form.reads_other().then_some(&b);
        let expected = |dim: usize| {
            let others: Vec<i64> = (0..shape.len() as i64).filter(|&other| other != dim as i64).collect();
            let terms = terms(&a, &b, form);
            match form {
                _ if others.is_empty() => terms,
                Max => terms.amax(others.as_slice(), false),
                _ => terms.sum_dim_intlist(others.as_slice(), false, None::<Kind>),
            }
        };
        let close = |found: &Tensor, dim: usize| {
            // Sums of both signs are as exact as what they add.
            let others: Vec<i64> = (0..shape.len() as i64).filter(|&other| other != dim as i64).collect();
            let size = terms(&a, &b, form).abs();
            let size =
                if others.is_empty() { size } else { size.sum_dim_intlist(others.as_slice(), false, None::<Kind>) };
            let error = (found - expected(dim)).abs() / (size + 1e-30);
            assert!(f64::try_from(error.max()).expect("a number") < 1e-6, "{form:?} of {shape:?} for dimension {dim}");
        };
        if shape.len() == 1 {
            close(&aten::fold(&a, other, form, (None, 0)).expect("folded").1, 0);
            continue;
        }
        let (of_outer, of_inner) = aten::fold(&a, other, form, (Some(0), 1)).expect("folded");
        close(&of_outer.expect("there is an outer dimension"), 0);
        close(&of_inner, 1);
        close(&aten::fold(&a, other, form, (None, 0)).expect("folded").1, 0);
    }
}

#[test]
fn a_fold_passes_on_what_is_no_number() {
    for (columns, form) in [(10, Form::Max), (3000, Form::Max), (3000, Form::Square)] {
        let matrix = numbers(&[8, columns], Kind::Float);
        _ = matrix.narrow(0, 3, 1).narrow(1, columns - 1, 1).fill_(f64::NAN);
        let (of_rows, of_columns) = aten::fold(&matrix, None, form, (Some(0), 1)).expect("folded");
        for (folds, at) in [(of_rows.expect("rows"), 3), (of_columns, columns - 1)] {
            let no_number = folds.isnan();
            assert_eq!(i64::try_from(no_number.sum(Kind::Int64)).expect("a count"), 1);
            assert!(bool::try_from(no_number.get(at)).expect("a truth value"));
        }
    }
}

fn channels_last(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

#[test]
fn a_slice_that_is_not_there_is_an_error() {
    let tensor = numbers(&[4, 6], Kind::Float);
    let says = |kept: &[Option<&[i64]>], what: &str| {
        let error = gather_slices(&tensor, kept).expect_err("no such slice").to_string();
        assert!(error.contains(what), "{error}");
    };
    says(&[Some(&[4]), None], "no slice 4 in dimension 0 of size 4");
    says(&[None, Some(&[-1])], "no slice -1 in dimension 1");
    says(&[None], "the tensor has 2 dimensions, not 1");
}

#[test]
fn a_variable_of_another_shape_is_seen_by_all_who_share_it_and_can_be_trained() {
    let variable = numbers(&[4, 3], Kind::Float).set_requires_grad(true);
    let shared = variable.shallow_clone();
    let live_loss = (&variable * 2.0).sum(Kind::Float);
    (&variable * 3.0).sum(Kind::Float).backward();
    let kept: &[i64] = &[3, 1];
    let cut = |tensor: &Tensor| gather_slices(tensor, &[Some(kept), None]).expect("slices");
    let id = aten::variable_id(&variable);
    aten::replace(&variable, &cut(&variable), Some(&cut(&variable.grad()))).expect("replaced");
    assert_eq!(aten::variable_id(&shared), id);
    assert_eq!(shared.size(), [2, 3]);
    assert!(shared.requires_grad());
    assert!(shared.grad().equal(&Tensor::full([2, 3], 3.0, (Kind::Float, Device::Cpu))));
    // The gradient goes on from what it was, though a loss from before still holds the accumulator.
    (&shared * 5.0).sum(Kind::Float).backward();
    assert!(variable.grad().equal(&Tensor::full([2, 3], 8.0, (Kind::Float, Device::Cpu))));
    drop(live_loss);
    aten::replace(&variable, &numbers(&[5], Kind::Float), None).expect("replaced");
    assert!(!shared.grad().defined());
    shared.square().sum(Kind::Float).backward();
    assert!(shared.grad().equal(&(numbers(&[5], Kind::Float) * 2.0)));
}

#[test]
fn a_gradient_that_does_not_fit_changes_nothing() {
    let variable = numbers(&[4], Kind::Float).set_requires_grad(true);
    let error = aten::replace(&variable, &numbers(&[2], Kind::Float), Some(&numbers(&[3], Kind::Float)));
    assert!(error.is_err_and(|error| error.to_string().contains("another shape")));
    assert_eq!(variable.size(), [4]);
    assert!(aten::replace(&variable, &Tensor::new(), None).is_err());
}

#[test]
fn a_gradient_can_be_set_and_taken_away() {
    let variable = numbers(&[4], Kind::Float).set_requires_grad(true);
    aten::set_grad(&variable, Some(&numbers(&[4], Kind::Float))).expect("set");
    assert!(variable.grad().equal(&numbers(&[4], Kind::Float)));
    aten::set_grad(&variable, None).expect("taken");
    assert!(!variable.grad().defined());
}

#[test]
fn a_schema_says_what_an_operator_does() {
    let batch_norm = Operator::find("aten::batch_norm", "").expect("it is there");
    let names: Vec<_> = batch_norm.arguments().iter().map(|argument| argument.name.as_str()).collect();
    assert_eq!(names[..5], ["input", "weight", "bias", "running_mean", "running_var"]);
    assert_eq!(batch_norm.results(), [OperatorResult::Tensor]);
    assert!(!batch_norm.mutates() && !batch_norm.is_random() && !batch_norm.is_factory());
    assert!(Operator::find("aten::copy_", "").expect("it is there").arguments()[0].is_written());
    assert!(Operator::find("aten::dropout", "").expect("it is there").is_random());
    let zeros = Operator::find("aten::zeros", "").expect("it is there");
    assert!(zeros.is_factory() && zeros.arguments().iter().any(OperatorArgument::is_device));
    assert_eq!(Operator::find("aten::chunk", "").expect("it is there").results(), [OperatorResult::Tensors]);
    assert_eq!(Operator::find("aten::item", "").expect("it is there").results(), [OperatorResult::Other]);
}

#[test]
fn the_state_of_the_gpu_library_can_be_told() {
    assert!(!aten::init().is_empty());
    assert_eq!(aten::cuda_is_available(), tch::Cuda::is_available());
}
