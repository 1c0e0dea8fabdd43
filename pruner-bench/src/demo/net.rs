//! The network of the demonstration: a small residual CNN with a depthwise block and a concatenation.

use tch::{Tensor, nn};

/// A network for grey images of 28×28 and 10 classes, written as anyone would who never thought of pruning.
///
/// What must be cut together is spread over it: the residual addition ties two convolutions and what follows, the
/// depthwise convolution has its number of groups burnt in, and one layer reads a concatenation.
pub fn net(vs: &nn::Path<'_>) -> nn::FuncT<'static> {
    let stem = conv_bn(&(vs / "stem"), [1, 32], 3, nn::ConvConfig { stride: 2, ..Default::default() });
    let down = conv_bn(&(vs / "down"), [32, 32], 3, nn::ConvConfig { stride: 2, ..Default::default() });
    let residual1 = conv_bn(&(vs / "residual1"), [32, 32], 3, nn::ConvConfig::default());
    let residual2 = conv_bn(&(vs / "residual2"), [32, 32], 3, nn::ConvConfig::default());
    let depthwise = conv_bn(&(vs / "depthwise"), [32, 32], 3, nn::ConvConfig { groups: 32, ..Default::default() });
    let pointwise = conv_bn(&(vs / "pointwise"), [32, 64], 1, nn::ConvConfig::default());
    let mix = conv_bn(&(vs / "mix"), [96, 128], 1, nn::ConvConfig::default());
    let fc = nn::linear(vs / "fc", 128, 10, nn::LinearConfig::default());
    nn::func_t(move |xs, train| {
        let xs = xs.apply_t(&stem, train).relu().apply_t(&down, train).relu();
        let ys = xs.apply_t(&residual1, train).relu().apply_t(&residual2, train);
        let xs = (xs + ys).relu();
        let ys = xs.apply_t(&depthwise, train).relu().apply_t(&pointwise, train).relu();
        let xs = Tensor::cat(&[xs, ys], 1).apply_t(&mix, train).relu();
        xs.adaptive_avg_pool2d([1, 1]).flatten(1, -1).apply(&fc)
    })
}

/// A convolution and a batch normalisation; the padding keeps the resolution at a stride of 1.
fn conv_bn(vs: &nn::Path<'_>, [inputs, outputs]: [i64; 2], kernel: i64, config: nn::ConvConfig) -> nn::SequentialT {
    let config = nn::ConvConfig { padding: kernel / 2, bias: false, ..config };
    let norm = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
    nn::seq_t().add(nn::conv2d(vs / "conv", inputs, outputs, kernel, config)).add(nn::batch_norm2d(
        vs / "bn",
        outputs,
        norm,
    ))
}
