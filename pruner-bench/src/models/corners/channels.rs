//! What networks do to channels between two convolutions: gates, concatenations, and changes of their order.

use tch::{Tensor, nn};

use crate::models::layers::{batch_norm, linear, same, same_bias};

/// A squeeze-and-excitation gate (Hu et al. 2017) on RGB images.
pub fn squeeze_excite(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, width, 3, same(3, 1));
    let bn = batch_norm(vs / "bn", width);
    let fc1 = nn::conv2d(vs / "fc1", width, width / 4, 1, same_bias(1, 1));
    let fc2 = nn::conv2d(vs / "fc2", width / 4, width, 1, same_bias(1, 1));
    let head = nn::conv2d(vs / "head", width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, train| {
        let xs = xs.apply(&conv).apply_t(&bn, train).silu();
        let gate = xs.adaptive_avg_pool2d([1, 1]).apply(&fc1).silu().apply(&fc2).sigmoid();
        (gate * xs).apply(&head)
    })
}

/// A gate of one channel that weighs the pixels of all channels alike, on RGB images.
pub fn one_channel_gate(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, width, 3, same_bias(3, 1));
    let gate = nn::conv2d(vs / "gate", width, 1, 1, same_bias(1, 1));
    let head = nn::conv2d(vs / "head", width, 2, 3, same_bias(3, 1));
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&conv).relu();
        (&xs * xs.apply(&gate).sigmoid()).apply(&head)
    })
}

/// Super-resolution by sub-pixel convolution (Shi et al. 2016): RGB images to twice their sides, twice over.
pub fn pixel_shuffle(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 5, same_bias(5, 1));
    let up1 = nn::conv2d(vs / "up1", width, 4 * width, 3, same_bias(3, 1));
    let conv2 = nn::conv2d(vs / "conv2", width, width, 3, same_bias(3, 1));
    let up2 = nn::conv2d(vs / "up2", width, 3 * 4, 3, same_bias(3, 1));
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&conv1).tanh().apply(&up1).pixel_shuffle(2).apply(&conv2).tanh();
        xs.apply(&up2).pixel_shuffle(2)
    })
}

/// Gated linear units (Dauphin et al. 2016) over channels and over features, on RGB images.
pub fn glu(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, 2 * width, 3, same_bias(3, 1));
    let fc1 = linear(vs / "fc1", width, 2 * width);
    let fc2 = linear(vs / "fc2", width, 10);
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&conv).glu(1).mean_dim(&[2_i64, 3][..], false, None);
        xs.apply(&fc1).glu(-1).apply(&fc2)
    })
}

/// An image concatenated before what a convolution made of it.
pub fn concatenated_input(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, same_bias(3, 1));
    let conv2 = nn::conv2d(vs / "conv2", width + 3, width, 3, same_bias(3, 1));
    let head = nn::conv2d(vs / "head", 2 * width + 3, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, _train| {
        let xs = Tensor::cat(&[xs, &xs.apply(&conv1).relu()], 1);
        let xs = Tensor::cat(&[&xs, &xs.apply(&conv2).relu()], 1);
        xs.apply(&head)
    })
}

/// Channels in the opposite order, by themselves and added to themselves.
pub fn flip(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, same_bias(3, 1));
    let conv2 = nn::conv2d(vs / "conv2", width, width, 3, same_bias(3, 1));
    let head = nn::conv2d(vs / "head", width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&conv1).relu().flip([1]).apply(&conv2).relu();
        (&xs + xs.flip([1])).apply(&head)
    })
}

/// Every second channel by itself, and the odd before the even ones. `width` is even.
pub fn strided_slices(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, same_bias(3, 1));
    let bn = batch_norm(vs / "bn", width / 2);
    let conv2 = nn::conv2d(vs / "conv2", width / 2, width, 3, same(3, 1));
    let head = nn::conv2d(vs / "head", width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, train| {
        let xs = xs.apply(&conv1).relu().slice(1, 0, i64::MAX, 2).apply_t(&bn, train);
        let xs = xs.apply(&conv2).relu();
        Tensor::cat(&[xs.slice(1, 1, width, 2), xs.slice(1, 0, width, 2)], 1).apply(&head)
    })
}

/// Pixels before channels, flattened into a linear layer, on RGB images of 8×8.
pub fn nhwc_flatten(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv = nn::conv2d(vs / "conv", 3, width, 3, same_bias(3, 2));
    let fc = linear(vs / "fc", 4 * 4 * width, 10);
    nn::func_t(move |xs, _train| xs.apply(&conv).relu().permute([0, 2, 3, 1]).flatten(1, -1).apply(&fc))
}

/// Two equal halves of the channels, the second before the first. `width` is even.
pub fn swapped_halves(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, same_bias(3, 1));
    let conv2 = nn::conv2d(vs / "conv2", width / 2, width / 2, 3, same_bias(3, 1));
    let conv3 = nn::conv2d(vs / "conv3", width, width, 3, same_bias(3, 1));
    let head = nn::conv2d(vs / "head", width, 2, 1, same_bias(1, 1));
    nn::func_t(move |xs, _train| {
        let halves = xs.apply(&conv1).relu().split(width / 2, 1);
        let xs = Tensor::cat(&[&halves[1].apply(&conv2).relu(), &halves[0]], 1);
        xs.apply(&conv3).relu().apply(&head)
    })
}
