//! A plain CNN in the manner of LeNet: convolutions, pooling, and a flattening into fully connected layers.

use tch::nn::ModuleT as _;
use tch::{Tensor, nn};

use super::layers::{batch_norm, linear, same, same_bias};

/// LeNet with batch normalisation, for RGB images of 32×32 and 10 classes.
///
/// The flattening makes 64 features of every channel of the last convolution.
pub fn plain_cnn(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 5, same(5, 1));
    let bn1 = batch_norm(vs / "bn1", width);
    let conv2 = nn::conv2d(vs / "conv2", width, 2 * width, 3, same_bias(3, 1));
    let bn2 = batch_norm(vs / "bn2", 2 * width);
    let fc1 = linear(vs / "fc1", 2 * width * 8 * 8, 4 * width);
    let fc2 = linear(vs / "fc2", 4 * width, 10);
    nn::func_t(move |xs, train| {
        let xs = halve(xs, &conv1, &bn1, train);
        let xs = halve(&xs, &conv2, &bn2, train);
        xs.view([-1, 2 * width * 8 * 8]).apply(&fc1).relu().dropout(0.5, train).apply(&fc2)
    })
}

/// Convolution, normalisation, ReLU, and half the resolution.
fn halve(xs: &Tensor, conv: &nn::Conv2D, bn: &nn::BatchNorm, train: bool) -> Tensor {
    bn.forward_t(&xs.apply(conv), train).relu().max_pool2d_default(2)
}
