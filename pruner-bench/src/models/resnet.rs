//! ResNet in torchvision's layout (He et al. 2015), and ResNeXt, which groups the middle convolution (Xie et al. 2016).

use tch::nn::{ConvConfig, ModuleT};
use tch::{Tensor, nn};

use super::layers::{batch_norm, linear, same};

/// ResNet-18 for RGB images and 10 classes. The original's width is 64.
pub fn resnet18(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    resnet18_of(vs, width, 10)
}

/// [`resnet18`] for so many classes.
pub fn resnet18_of(vs: &nn::Path<'_>, width: i64, classes: i64) -> nn::FuncT<'static> {
    resnet(vs, width, [2, 2, 2, 2], Block::Basic, classes)
}

/// ResNet-50 for RGB images and 10 classes. The original's width is 64.
pub fn resnet50(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    resnet50_of(vs, width, 10)
}

/// [`resnet50`] for so many classes.
pub fn resnet50_of(vs: &nn::Path<'_>, width: i64, classes: i64) -> nn::FuncT<'static> {
    resnet(vs, width, [3, 4, 6, 3], Block::Bottleneck { groups: 1, inner: 1 }, classes)
}

/// ResNeXt-50 with 4 channels to a group in the first stage; at the original's width of 64 it is 32×4d. `width` is even.
pub fn resnext50(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    resnet(vs, width, [3, 4, 6, 3], Block::Bottleneck { groups: width / 2, inner: 2 }, 10)
}

/// A residual block.
#[derive(Clone, Copy)]
pub(crate) enum Block {
    /// Two convolutions.
    Basic,
    /// Three convolutions, of which the middle one is narrower or grouped.
    /// `inner` is the width of the middle convolution as a multiple of the block's.
    Bottleneck { groups: i64, inner: i64 },
}

impl Block {
    fn expansion(self) -> i64 {
        match self {
            Self::Basic => 1,
            Self::Bottleneck { .. } => 4,
        }
    }

    /// A block at its place.
    pub(crate) fn build(self, vs: &nn::Path<'_>, inputs: i64, width: i64, stride: i64) -> Residual {
        let outputs = width * self.expansion();
        let main = match self {
            Self::Basic => nn::seq_t()
                .add(nn::conv2d(vs / "conv1", inputs, width, 3, same(3, stride)))
                .add(batch_norm(vs / "bn1", width))
                .add_fn(Tensor::relu)
                .add(nn::conv2d(vs / "conv2", width, outputs, 3, same(3, 1)))
                .add(batch_norm(vs / "bn2", outputs)),
            Self::Bottleneck { groups, inner } => nn::seq_t()
                .add(nn::conv2d(vs / "conv1", inputs, width * inner, 1, same(1, 1)))
                .add(batch_norm(vs / "bn1", width * inner))
                .add_fn(Tensor::relu)
                .add(nn::conv2d(
                    vs / "conv2",
                    width * inner,
                    width * inner,
                    3,
                    ConvConfig { groups, ..same(3, stride) },
                ))
                .add(batch_norm(vs / "bn2", width * inner))
                .add_fn(Tensor::relu)
                .add(nn::conv2d(vs / "conv3", width * inner, outputs, 1, same(1, 1)))
                .add(batch_norm(vs / "bn3", outputs)),
        };
        let downsample = (stride != 1 || inputs != outputs).then(|| {
            let vs = vs / "downsample";
            nn::seq_t().add(nn::conv2d(&vs / 0, inputs, outputs, 1, same(1, stride))).add(batch_norm(&vs / 1, outputs))
        });
        Residual { main, downsample }
    }
}

/// What a block adds to its input, and how it brings that to the shape of the sum.
#[derive(Debug)]
pub(crate) struct Residual {
    main: nn::SequentialT,
    downsample: Option<nn::SequentialT>,
}

impl ModuleT for Residual {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let mut ys = xs.apply_t(&self.main, train);
        ys += xs.apply_opt_t(&self.downsample, train);
        ys.relu_()
    }
}

fn resnet(vs: &nn::Path<'_>, width: i64, depths: [i64; 4], block: Block, classes: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1", 3, width, 7, same(7, 2));
    let bn1 = batch_norm(vs / "bn1", width);
    let mut layers = nn::seq_t();
    let mut inputs = width;
    for (stage, depth) in depths.into_iter().enumerate() {
        let vs = vs / format!("layer{}", stage + 1);
        let stage_width = width << stage;
        for index in 0..depth {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            layers = layers.add(block.build(&(&vs / index), inputs, stage_width, stride));
            inputs = stage_width * block.expansion();
        }
    }
    let fc = linear(vs / "fc", inputs, classes);
    nn::func_t(move |xs, train| {
        xs.apply(&conv1)
            .apply_t(&bn1, train)
            .relu_()
            .max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)
            .apply_t(&layers, train)
            .adaptive_avg_pool2d([1, 1])
            .flatten(1, -1)
            .apply(&fc)
    })
}
