//! ShuffleNetV2 (Ma et al. 2018): half of the channels pass by, and a shuffle interleaves the halves.

use tch::nn::ModuleT;
use tch::{Tensor, nn};

use super::layers::{batch_norm, depthwise, linear, same};

/// ShuffleNetV2 for RGB images and 10 classes, its first stage `width` wide. The original's width is 116, whose half is 58,
/// whose half is odd.
pub fn shufflenet_v2(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let conv1 = nn::conv2d(vs / "conv1" / 0, 3, 24, 3, same(3, 2));
    let bn1 = batch_norm(vs / "conv1" / 1, 24);
    let mut stages = nn::seq_t();
    let mut inputs = 24;
    for (stage, blocks) in [(2, 4), (3, 8), (4, 4)] {
        let outputs = width << (stage - 2);
        for block in 0..blocks {
            let vs = vs / format!("stage{stage}") / block;
            stages = if block == 0 {
                stages.add(Downsample::new(&vs, inputs, outputs))
            } else {
                stages.add(Split(branch(&(&vs / "branch2"), outputs / 2, outputs / 2, 1)))
            };
        }
        inputs = outputs;
    }
    let conv5 = nn::conv2d(vs / "conv5" / 0, inputs, 1024, 1, same(1, 1));
    let bn5 = batch_norm(vs / "conv5" / 1, 1024);
    let fc = linear(vs / "fc", 1024, 10);
    nn::func_t(move |xs, train| {
        let xs = xs.apply(&conv1).apply_t(&bn1, train).relu();
        let xs = xs.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false).apply_t(&stages, train);
        let xs = xs.apply(&conv5).apply_t(&bn5, train).relu();
        xs.mean_dim(&[2_i64, 3][..], false, None).apply(&fc)
    })
}

/// Interleaves the channels of the halves.
fn channel_shuffle(xs: &Tensor, groups: i64) -> Tensor {
    let (batch, channels, height, width) = xs.size4().expect("a convolution's result has four dimensions");
    xs.view([batch, groups, channels / groups, height, width])
        .transpose(1, 2)
        .contiguous()
        .view([batch, channels, height, width])
}

fn branch(vs: &nn::Path<'_>, inputs: i64, outputs: i64, stride: i64) -> nn::SequentialT {
    nn::seq_t()
        .add(nn::conv2d(vs / 0, inputs, outputs, 1, same(1, 1)))
        .add(batch_norm(vs / 1, outputs))
        .add_fn(Tensor::relu)
        .add(nn::conv2d(vs / 3, outputs, outputs, 3, depthwise(outputs, 3, stride)))
        .add(batch_norm(vs / 4, outputs))
        .add(nn::conv2d(vs / 5, outputs, outputs, 1, same(1, 1)))
        .add(batch_norm(vs / 6, outputs))
        .add_fn(Tensor::relu)
}

/// One half passes by, the other goes through the branch.
#[derive(Debug)]
struct Split(nn::SequentialT);

impl ModuleT for Split {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let halves = xs.chunk(2, 1);
        channel_shuffle(&Tensor::cat(&[&halves[0], &halves[1].apply_t(&self.0, train)], 1), 2)
    }
}

/// Both branches read everything, at half the resolution.
#[derive(Debug)]
struct Downsample {
    branch1: nn::SequentialT,
    branch2: nn::SequentialT,
}

impl Downsample {
    fn new(vs: &nn::Path<'_>, inputs: i64, outputs: i64) -> Self {
        let vs1 = vs / "branch1";
        let branch1 = nn::seq_t()
            .add(nn::conv2d(&vs1 / 0, inputs, inputs, 3, depthwise(inputs, 3, 2)))
            .add(batch_norm(&vs1 / 1, inputs))
            .add(nn::conv2d(&vs1 / 2, inputs, outputs / 2, 1, same(1, 1)))
            .add(batch_norm(&vs1 / 3, outputs / 2))
            .add_fn(Tensor::relu);
        Self { branch1, branch2: branch(&(vs / "branch2"), inputs, outputs / 2, 2) }
    }
}

impl ModuleT for Downsample {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let ys = [xs.apply_t(&self.branch1, train), xs.apply_t(&self.branch2, train)];
        channel_shuffle(&Tensor::cat(&ys, 1), 2)
    }
}
