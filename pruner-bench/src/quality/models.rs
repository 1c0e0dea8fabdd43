//! The networks that are trained and pruned: for grey images of 28×28 and 10 classes, a million multiply-accumulates each or a few.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use crate::models::layers::{batch_norm, linear, same};
use crate::models::mobilenet::{InvertedResidual, conv_bn_relu6};
use crate::models::resnet::Block;
use crate::models::vit::{Vit, vit};

/// A network by name. Its Python twin is in `xtask/python/quality/nets.py`, with the same names of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Three convolutions and two fully connected layers, in the manner of `LeNet`.
    Cnn,
    /// ResNet-20, half as wide and with a stem of stride 2.
    Resnet,
    /// Inverted residuals in the manner of `MobileNetV2`.
    Mobilenet,
    /// A vision transformer on patches of 7×7.
    Vit,
}

impl Model {
    /// Every network.
    pub const ALL: [Self; 4] = [Self::Cnn, Self::Resnet, Self::Mobilenet, Self::Vit];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cnn => "cnn",
            Self::Resnet => "resnet",
            Self::Mobilenet => "mobilenet",
            Self::Vit => "vit",
        }
    }

    /// The name on the page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cnn => "Plain CNN",
            Self::Resnet => "ResNet-20, half as wide",
            Self::Mobilenet => "Small MobileNetV2",
            Self::Vit => "Small ViT",
        }
    }

    /// Whether it is a transformer, which is trained by `AdamW` rather than by SGD.
    pub fn is_transformer(self) -> bool {
        self == Self::Vit
    }

    /// The network with new weights.
    pub fn build(self, vs: &nn::Path<'_>) -> nn::FuncT<'static> {
        match self {
            Self::Cnn => cnn(vs),
            Self::Resnet => resnet(vs),
            Self::Mobilenet => mobilenet(vs),
            Self::Vit => vit(vs, Vit { channels: 1, width: 64, heads: 8, depth: 4, patch: 7, image: 28, classes: 10 }),
        }
    }
}

fn cnn(vs: &nn::Path<'_>) -> nn::FuncT<'static> {
    let convolution = |name: &str, from, to, stride| {
        nn::seq_t()
            .add(nn::conv2d(vs / format!("conv{name}"), from, to, 3, same(3, stride)))
            .add(batch_norm(vs / format!("bn{name}"), to))
            .add_fn(Tensor::relu)
    };
    let features = convolution("1", 1, 16, 2).add(convolution("2", 16, 32, 2)).add(convolution("3", 32, 64, 1));
    let (fc1, fc2) = (linear(vs / "fc1", 64 * 3 * 3, 128), linear(vs / "fc2", 128, 10));
    nn::func_t(move |xs, train| {
        let xs = xs.apply_t(&features, train).max_pool2d_default(2);
        xs.flatten(1, -1).apply(&fc1).relu().apply(&fc2)
    })
}

fn resnet(vs: &nn::Path<'_>) -> nn::FuncT<'static> {
    const WIDTHS: [i64; 3] = [8, 16, 32];
    let conv1 = nn::conv2d(vs / "conv1", 1, WIDTHS[0], 3, same(3, 2));
    let bn1 = batch_norm(vs / "bn1", WIDTHS[0]);
    let mut layers = nn::seq_t();
    let mut inputs = WIDTHS[0];
    for (stage, width) in WIDTHS.into_iter().enumerate() {
        let vs = vs / format!("layer{}", stage + 1);
        for index in 0..3 {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            layers = layers.add(Block::Basic.build(&(&vs / index), inputs, width, stride));
            inputs = width;
        }
    }
    let fc = linear(vs / "fc", inputs, 10);
    nn::func_t(move |xs, train| {
        let xs = xs.apply(&conv1).apply_t(&bn1, train).relu().apply_t(&layers, train);
        xs.adaptive_avg_pool2d([1, 1]).flatten(1, -1).apply(&fc)
    })
}

fn mobilenet(vs: &nn::Path<'_>) -> nn::FuncT<'static> {
    /// Channels and stride of every block; each is four times as wide inside.
    const BLOCKS: [(i64, i64); 6] = [(8, 1), (12, 2), (12, 1), (16, 1), (24, 2), (24, 1)];
    let features = vs / "features";
    let mut net = conv_bn_relu6(&(&features / 0), nn::seq_t(), 1, 8, same(3, 2));
    let mut inputs = 8;
    for (index, (outputs, stride)) in BLOCKS.into_iter().enumerate() {
        net = net.add(InvertedResidual::new(&(&features / (index + 1)), [inputs, outputs], 4, stride));
        inputs = outputs;
    }
    net = conv_bn_relu6(&(&features / (BLOCKS.len() + 1)), net, inputs, 96, same(1, 1));
    let classifier = linear(vs / "classifier", 96, 10);
    nn::func_t(move |xs, train| xs.apply_t(&net, train).adaptive_avg_pool2d([1, 1]).flatten(1, -1).apply(&classifier))
}
