//! Convolutions and normalisations off the beaten track.

use tch::{Tensor, nn};

use crate::models::layers::{batch_norm, same, same_bias};

/// Transposed convolution in 4 groups, on RGB images. `width` is divisible by 4.
pub fn grouped_conv_transpose(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, width, 3, same_bias(3, 1));
    let config = nn::ConvTransposeConfig { stride: 2, groups: 4, ..Default::default() };
    let up = nn::conv_transpose2d(vs / "up", width, 2 * width, 2, config);
    let head = nn::conv2d(vs / "head", 2 * width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, _train| xs.apply(&conv).relu().apply(&up).relu().apply(&head))
}

/// Depthwise convolution that makes two channels of each, on RGB images.
pub fn depth_multiplier(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, width, 3, same_bias(3, 1));
    let config = nn::ConvConfig { groups: width, ..same(3, 1) };
    let depthwise = nn::conv2d(vs / "depthwise", width, 2 * width, 3, config);
    let bn = batch_norm(vs / "bn", 2 * width);
    let head = nn::conv2d(vs / "head", 2 * width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, train| xs.apply(&conv).relu().apply(&depthwise).apply_t(&bn, train).relu().apply(&head))
}

/// Instance normalisation by the input's statistics, and by running ones, on RGB images.
pub fn instance_norm(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    // The first normalisation takes a bias out again.
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, same(3, 1));
    let conv2 = nn::conv2d(vs / "conv2", width, width, 3, same_bias(3, 1));
    let head = nn::conv2d(vs / "head", width, 2, 1, same_bias(1, 1));
    let affine = |vs: nn::Path<'_>| (vs.ones("weight", &[width]), vs.zeros("bias", &[width]));
    let (weight1, bias1) = affine(vs / "norm1");
    let (weight2, bias2) = affine(vs / "norm2");
    let running_mean = (vs / "norm2").zeros_no_train("running_mean", &[width]);
    let running_var = (vs / "norm2").ones_no_train("running_var", &[width]);
    nn::func_t(move |xs, train| {
        let none = None::<&Tensor>;
        let xs = xs.apply(&conv1);
        let xs = xs.instance_norm(Some(&weight1), Some(&bias1), none, none, true, 0.1, 1e-5, true).relu();
        let (mean, var) = (Some(&running_mean), Some(&running_var));
        let xs = xs.apply(&conv2).instance_norm(Some(&weight2), Some(&bias2), mean, var, train, 0.1, 1e-5, true);
        xs.relu().apply(&head)
    })
}
