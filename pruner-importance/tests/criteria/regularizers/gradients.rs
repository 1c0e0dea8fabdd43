//! The gradients that regularisers add to.

use pruner_core::ids::ValueId;
use pruner_core::regularizer::Gradients;
use pruner_importance::regularizers::GroupLasso;
use tch::{Device, Kind, Tensor};

use super::{added, step};
use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn a_sparse_gradient_is_made_dense_where_it_is() {
    let words = tensor(&[3.0, 4.0, 1.0, 0.0, 5.0, 12.0], &[3, 2]).set_requires_grad(true);
    let read = Tensor::embedding(&words, &Tensor::from_slice(&[0_i64, 2, 2]), -1, false, true);
    read.sum(Kind::Float).backward();
    assert!(words.grad().is_sparse());
    let case = Case::new(3).plain(words, 0);
    step(&case, &mut GroupLasso { lambda: 0.0 }).expect("it can be penalised");
    assert!(!case.tensors[0].grad().is_sparse());
    let found = added(&case, &mut GroupLasso { lambda: 1.0 });
    let root = 2.0_f32.sqrt();
    let lasso = [0.6 * root, 0.8 * root, root, 0.0, root * 5.0 / 13.0, root * 12.0 / 13.0];
    let loss = [1.0, 1.0, 0.0, 0.0, 2.0, 2.0];
    close(&found[0], &lasso.iter().zip(loss).map(|(a, b)| a + b).collect::<Vec<_>>());
}

#[test]
fn what_is_added_has_the_shape_of_the_gradient() {
    let case = conv_bn_conv().random_gradients();
    let mut gradients = Gradients::new();
    gradients.insert(ValueId::new(1), &case.tensors[1]).expect("it has a gradient");
    let scalar = Tensor::ones([1], (Kind::Float, Device::Cpu));
    let error = gradients.add(&case.group.members[1], &scalar).expect_err("it is of another shape");
    assert_eq!(error.to_string(), "`parameter1` has a gradient of shape [2], and [1] was to be added to it");
    assert!(!gradients.has(&case.group.members[0]), "it was not told of this one");
    gradients.add(&case.group.members[0], &scalar).expect("without a gradient nothing is done");
}
