//! DenseNet (Huang et al. 2016): every layer reads the concatenation of all before it in its block.

use tch::nn::ModuleT;
use tch::{Tensor, nn};

use super::layers::{batch_norm, linear, same};

/// DenseNet with growth rate `growth`, bottlenecks of four times it, and so many layers in each block, for RGB images and
/// 10 classes. DenseNet-121 has a growth of 32 and blocks of 6, 12, 24 and 16.
pub fn densenet(vs: &nn::Path<'_>, growth: i64, blocks: &[i64]) -> nn::FuncT<'static> {
    let features = vs / "features";
    let mut channels = 2 * growth;
    let mut net = nn::seq_t()
        .add(nn::conv2d(&features / "conv0", 3, channels, 7, same(7, 2)))
        .add(batch_norm(&features / "norm0", channels))
        .add_fn(Tensor::relu)
        .add_fn(|xs| xs.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false));
    for (index, &layers) in blocks.iter().enumerate() {
        let number = index + 1;
        net = net.add(DenseBlock::new(&(&features / format!("denseblock{number}")), channels, growth, layers));
        channels += growth * layers;
        if number < blocks.len() {
            net = transition(&(&features / format!("transition{number}")), net, channels);
            channels /= 2;
        }
    }
    let norm = batch_norm(&features / "norm5", channels);
    let classifier = linear(vs / "classifier", channels, 10);
    nn::func_t(move |xs, train| {
        let xs = xs.apply_t(&net, train).apply_t(&norm, train).relu();
        xs.adaptive_avg_pool2d([1, 1]).flatten(1, -1).apply(&classifier)
    })
}

fn transition(vs: &nn::Path<'_>, net: nn::SequentialT, channels: i64) -> nn::SequentialT {
    net.add(batch_norm(vs / "norm", channels))
        .add_fn(Tensor::relu)
        .add(nn::conv2d(vs / "conv", channels, channels / 2, 1, same(1, 1)))
        .add_fn(|xs| xs.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>))
}

#[derive(Debug)]
struct DenseBlock(Vec<nn::SequentialT>);

impl DenseBlock {
    fn new(vs: &nn::Path<'_>, inputs: i64, growth: i64, layers: i64) -> Self {
        let layer = |index: i64| {
            let vs = vs / format!("denselayer{}", index + 1);
            let inputs = inputs + index * growth;
            nn::seq_t()
                .add(batch_norm(&vs / "norm1", inputs))
                .add_fn(Tensor::relu)
                .add(nn::conv2d(&vs / "conv1", inputs, 4 * growth, 1, same(1, 1)))
                .add(batch_norm(&vs / "norm2", 4 * growth))
                .add_fn(Tensor::relu)
                .add(nn::conv2d(&vs / "conv2", 4 * growth, growth, 3, same(3, 1)))
        };
        Self((0..layers).map(layer).collect())
    }
}

impl ModuleT for DenseBlock {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let mut features = vec![xs.shallow_clone()];
        for layer in &self.0 {
            features.push(Tensor::cat(&features, 1).apply_t(layer, train));
        }
        Tensor::cat(&features, 1)
    }
}
