//! MaxViT (Tu et al. 2022): a convolution with a gate, attention within windows, and attention across a grid.

use tch::nn::{Module, ModuleT};
use tch::{Tensor, nn};

use super::layers::{batch_norm, depthwise, layer_norm, linear, same, same_bias};

/// Side of a window and of the grid, in tokens.
const PARTITION: i64 = 4;

/// One block of MaxViT after a stem, for RGB images of 32×32 and 10 classes, with 4 heads. The smallest original is 64 wide.
pub fn maxvit(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let stem = nn::conv2d(vs / "stem" / 0, 3, width, 3, same(3, 2));
    let stem_norm = batch_norm(vs / "stem" / 1, width);
    let conv = MbConv::new(&(vs / "mbconv"), width);
    let window = Attention::new(&(vs / "window_attention"), width, Partition::Window);
    let grid = Attention::new(&(vs / "grid_attention"), width, Partition::Grid);
    let norm = layer_norm(vs / "classifier" / 2, width);
    let fc = linear(vs / "classifier" / 3, width, width);
    let head = linear(vs / "classifier" / 5, width, 10);
    nn::func_t(move |xs, train| {
        let xs = xs.apply(&stem).apply_t(&stem_norm, train).gelu("none").apply_t(&conv, train);
        let xs = xs.apply(&window).apply(&grid).adaptive_avg_pool2d([1, 1]).flatten(1, -1);
        xs.apply(&norm).apply(&fc).tanh().apply(&head)
    })
}

/// A pre-normalised inverted residual with squeeze and excitation.
#[derive(Debug)]
struct MbConv {
    pre_norm: nn::BatchNorm,
    expand: nn::SequentialT,
    squeeze: nn::Conv2D,
    excite: nn::Conv2D,
    project: nn::Conv2D,
    shortcut: nn::Conv2D,
}

impl MbConv {
    fn new(vs: &nn::Path<'_>, width: i64) -> Self {
        let hidden = 4 * width;
        let expand = nn::seq_t()
            .add(nn::conv2d(vs / "conv_a", width, hidden, 1, same(1, 1)))
            .add(batch_norm(vs / "norm_a", hidden))
            .add_fn(|xs| xs.gelu("none"))
            .add(nn::conv2d(vs / "conv_b", hidden, hidden, 3, depthwise(hidden, 3, 2)))
            .add(batch_norm(vs / "norm_b", hidden))
            .add_fn(|xs| xs.gelu("none"));
        Self {
            pre_norm: batch_norm(vs / "pre_norm", width),
            expand,
            squeeze: nn::conv2d(vs / "squeeze", hidden, width / 4, 1, same_bias(1, 1)),
            excite: nn::conv2d(vs / "excite", width / 4, hidden, 1, same_bias(1, 1)),
            project: nn::conv2d(vs / "conv_c", hidden, width, 1, same_bias(1, 1)),
            shortcut: nn::conv2d(vs / "proj" / 1, width, width, 1, same_bias(1, 1)),
        }
    }
}

impl ModuleT for MbConv {
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let shortcut = xs.avg_pool2d([3, 3], [2, 2], [1, 1], false, true, None::<i64>).apply(&self.shortcut);
        let ys = xs.apply_t(&self.pre_norm, train).apply_t(&self.expand, train);
        let gate = ys.adaptive_avg_pool2d([1, 1]).apply(&self.squeeze).silu().apply(&self.excite).sigmoid();
        (ys * gate).apply(&self.project) + shortcut
    }
}

/// Which tokens attend to each other.
#[derive(Clone, Copy, Debug)]
enum Partition {
    /// Neighbours.
    Window,
    /// Those at equal places of the cells of a grid.
    Grid,
}

#[derive(Debug)]
struct Attention {
    partition: Partition,
    norm1: nn::LayerNorm,
    to_qkv: nn::Linear,
    merge: nn::Linear,
    norm2: nn::LayerNorm,
    fc1: nn::Linear,
    fc2: nn::Linear,
}

impl Attention {
    fn new(vs: &nn::Path<'_>, width: i64, partition: Partition) -> Self {
        let (attn, mlp) = (vs / "attn_layer", vs / "mlp_layer");
        Self {
            partition,
            norm1: layer_norm(&attn / 0, width),
            to_qkv: linear(&attn / 1 / "to_qkv", width, 3 * width),
            merge: linear(&attn / 1 / "merge", width, width),
            norm2: layer_norm(&mlp / 0, width),
            fc1: linear(&mlp / 1, width, 4 * width),
            fc2: linear(&mlp / 3, 4 * width, width),
        }
    }

    fn attention(&self, xs: &Tensor) -> Tensor {
        let (batch, parts, tokens, width) = xs.size4().expect("parts of tokens have four dimensions");
        let qkv = xs.apply(&self.to_qkv).chunk(3, -1);
        let heads = |xs: &Tensor| xs.reshape([batch, parts, tokens, 4, width / 4]).permute([0, 1, 3, 2, 4]);
        let query = heads(&qkv[0]);
        let key = heads(&qkv[1]) * (width as f64 / 4.0).powf(-0.5);
        let scores = Tensor::einsum("B G H I D, B G H J D -> B G H I J", &[query, key], None::<i64>);
        let ys = Tensor::einsum(
            "B G H I J, B G H J D -> B G H I D",
            &[scores.softmax(-1, None), heads(&qkv[2])],
            None::<i64>,
        );
        ys.permute([0, 1, 3, 2, 4]).reshape([batch, parts, tokens, width]).apply(&self.merge)
    }
}

impl Module for Attention {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let (batch, channels, height, width) = xs.size4().expect("an image has four dimensions");
        let side = match self.partition {
            Partition::Window => PARTITION,
            Partition::Grid => height / PARTITION,
        };
        let (rows, columns) = (height / side, width / side);
        let swap = |xs: Tensor| match self.partition {
            Partition::Window => xs,
            Partition::Grid => xs.transpose(1, 2),
        };
        let parts = xs.reshape([batch, channels, rows, side, columns, side]).permute([0, 2, 4, 3, 5, 1]);
        let parts = swap(parts.reshape([batch, rows * columns, side * side, channels]));
        let parts = &parts + self.attention(&parts.apply(&self.norm1));
        let mlp = parts.apply(&self.norm2).apply(&self.fc1).gelu("none").apply(&self.fc2);
        swap(parts + mlp)
            .reshape([batch, rows, columns, side, side, channels])
            .permute([0, 5, 1, 3, 2, 4])
            .reshape([batch, channels, height, width])
    }
}
