//! MobileNetV2 (Sandler et al. 2018): inverted residuals around depthwise convolutions.

use tch::nn::ModuleT;
use tch::{Tensor, nn};

use super::layers::{batch_norm, depthwise, linear, same};

/// Expansion, channels in eighths of the width, blocks and stride of every stage: the table of the paper at a width of 32
/// but for its repeats, which are at most 2.
const STAGES: [(i64, i64, i64, i64); 7] =
    [(1, 4, 1, 1), (6, 6, 2, 2), (6, 8, 2, 2), (6, 16, 2, 2), (6, 24, 2, 1), (6, 40, 2, 2), (6, 80, 1, 1)];

/// MobileNetV2 for RGB images and 10 classes, its stem `width` wide. The original's width is 32; `width` is divisible by 4.
pub fn mobilenet_v2(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let features = vs / "features";
    let mut net = conv_bn_relu6(&(&features / 0), nn::seq_t(), 3, width, same(3, 2));
    let (mut inputs, mut number) = (width, 1);
    for (expansion, eighths, blocks, stride) in STAGES {
        let outputs = width * eighths / 8;
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            net = net.add(InvertedResidual::new(&(&features / number), [inputs, outputs], expansion, stride));
            inputs = outputs;
            number += 1;
        }
    }
    net = conv_bn_relu6(&(&features / number), net, inputs, 40 * width, same(1, 1));
    let classifier = linear(vs / "classifier" / 1, 40 * width, 10);
    nn::func_t(move |xs, train| {
        let xs = xs.apply_t(&net, train).adaptive_avg_pool2d([1, 1]).flatten(1, -1);
        xs.dropout(0.2, train).apply(&classifier)
    })
}

/// Adds a convolution, its batch normalisation and a ReLU6 to a network.
pub(crate) fn conv_bn_relu6(
    vs: &nn::Path<'_>,
    net: nn::SequentialT,
    inputs: i64,
    outputs: i64,
    config: nn::ConvConfig,
) -> nn::SequentialT {
    let kernel = 2 * config.padding + 1;
    net.add(nn::conv2d(vs / 0, inputs, outputs, kernel, config))
        .add(batch_norm(vs / 1, outputs))
        .add_fn(|xs| xs.clamp(0.0, 6.0))
}

/// A block that widens, convolves each channel by itself, and narrows.
#[derive(Debug)]
pub(crate) struct InvertedResidual {
    conv: nn::SequentialT,
    residual: bool,
}

impl InvertedResidual {
    /// A block at its place.
    pub(crate) fn new(vs: &nn::Path<'_>, [inputs, outputs]: [i64; 2], expansion: i64, stride: i64) -> Self {
        let vs = vs / "conv";
        let hidden = inputs * expansion;
        let mut conv = nn::seq_t();
        let mut number = 0;
        if expansion != 1 {
            conv = conv_bn_relu6(&(&vs / number), conv, inputs, hidden, same(1, 1));
            number += 1;
        }
        conv = conv_bn_relu6(&(&vs / number), conv, hidden, hidden, depthwise(hidden, 3, stride));
        conv = conv
            .add(nn::conv2d(&vs / (number + 1), hidden, outputs, 1, same(1, 1)))
            .add(batch_norm(&vs / (number + 2), outputs));
        Self { conv, residual: stride == 1 && inputs == outputs }
    }
}

impl ModuleT for InvertedResidual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = xs.apply_t(&self.conv, train);
        if self.residual { xs + ys } else { ys }
    }
}
