//! Swin transformer (Liu et al. 2021): attention within windows that are shifted every second block.

use tch::nn::{Module, ModuleT as _};
use tch::{Kind, Tensor, nn};

use super::layers::{layer_norm, linear, linear_no_bias};

/// Side of a window, in tokens.
const WINDOW: i64 = 4;

/// Swin for RGB images of 64×64 and 10 classes: two stages of two blocks with 2 and 4 heads. The smallest original is 96 wide.
pub fn swin(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let config = nn::ConvConfig { stride: 4, ..Default::default() };
    let patch_embed = nn::conv2d(vs / "patch_embed" / "proj", 3, width, 4, config);
    let patch_norm = layer_norm(vs / "patch_embed" / "norm", width);
    let layers = vs / "layers";
    let stages = nn::seq()
        .add(Block::new(&(&layers / 0 / "blocks" / 0), width, 2, 0))
        .add(Block::new(&(&layers / 0 / "blocks" / 1), width, 2, WINDOW / 2))
        .add(PatchMerging::new(&(&layers / 1 / "downsample"), width))
        .add(Block::new(&(&layers / 1 / "blocks" / 0), 2 * width, 4, 0))
        .add(Block::new(&(&layers / 1 / "blocks" / 1), 2 * width, 4, WINDOW / 2));
    let norm = layer_norm(vs / "norm", 2 * width);
    let head = linear(vs / "head", 2 * width, 10);
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&patch_embed).permute([0, 2, 3, 1]).apply(&patch_norm);
        let xs = stages.forward_t(&xs, false).apply(&norm).permute([0, 3, 1, 2]);
        xs.adaptive_avg_pool2d([1, 1]).flatten(1, -1).apply(&head)
    })
}

/// Four neighbours become one token of twice the features.
#[derive(Debug)]
struct PatchMerging {
    norm: nn::LayerNorm,
    reduction: nn::Linear,
}

impl PatchMerging {
    fn new(vs: &nn::Path<'_>, width: i64) -> Self {
        Self {
            norm: layer_norm(vs / "norm", 4 * width),
            reduction: linear_no_bias(vs / "reduction", 4 * width, 2 * width),
        }
    }
}

impl Module for PatchMerging {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let quarter = |row, column| xs.slice(1, row, None, 2).slice(2, column, None, 2);
        let xs = Tensor::cat(&[quarter(0, 0), quarter(1, 0), quarter(0, 1), quarter(1, 1)], -1);
        xs.apply(&self.norm).apply(&self.reduction)
    }
}

#[derive(Debug)]
struct Block {
    heads: i64,
    shift: i64,
    norm1: nn::LayerNorm,
    qkv: nn::Linear,
    proj: nn::Linear,
    bias_table: Tensor,
    bias_index: Tensor,
    norm2: nn::LayerNorm,
    fc1: nn::Linear,
    fc2: nn::Linear,
}

impl Block {
    fn new(vs: &nn::Path<'_>, width: i64, heads: i64, shift: i64) -> Self {
        let (attn, mlp) = (vs / "attn", vs / "mlp");
        let span = 2 * WINDOW - 1;
        Self {
            heads,
            shift,
            norm1: layer_norm(vs / "norm1", width),
            qkv: linear(&attn / "qkv", width, 3 * width),
            proj: linear(&attn / "proj", width, width),
            bias_table: attn.zeros("relative_position_bias_table", &[span * span, heads]),
            bias_index: relative_positions().to_device(vs.device()),
            norm2: layer_norm(vs / "norm2", width),
            fc1: linear(&mlp / 0, width, 4 * width),
            fc2: linear(&mlp / 3, 4 * width, width),
        }
    }

    fn attention(&self, xs: &Tensor) -> Tensor {
        let (batch, height, width, channels) = xs.size4().expect("an image of tokens has four dimensions");
        let (rows, columns) = (height / WINDOW, width / WINDOW);
        let xs = if self.shift > 0 { xs.roll([-self.shift, -self.shift], [1, 2]) } else { xs.shallow_clone() };
        let windows = xs.view([batch, rows, WINDOW, columns, WINDOW, channels]).permute([0, 1, 3, 2, 4, 5]).reshape([
            batch * rows * columns,
            WINDOW * WINDOW,
            channels,
        ]);

        let tokens = WINDOW * WINDOW;
        let qkv = windows.apply(&self.qkv).reshape([-1, tokens, 3, self.heads, channels / self.heads]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]);
        let query = qkv.select(0, 0) * (channels as f64 / self.heads as f64).powf(-0.5);
        let scores = query.matmul(&qkv.select(0, 1).transpose(-2, -1));
        let bias = self.bias_table.index(&[Some(&self.bias_index)]).view([tokens, tokens, -1]);
        let mut scores = scores + bias.permute([2, 0, 1]).contiguous().unsqueeze(0);
        if self.shift > 0 {
            let mask = self.mask(height, width).to_device(xs.device());
            let windows = rows * columns;
            scores = scores.view([-1, windows, self.heads, tokens, tokens]) + mask.unsqueeze(1).unsqueeze(0);
            scores = scores.view([-1, self.heads, tokens, tokens]);
        }
        let ys = scores.softmax(-1, None).matmul(&qkv.select(0, 2));
        let ys = ys.transpose(1, 2).reshape([-1, tokens, channels]).apply(&self.proj);

        let ys = ys
            .view([batch, rows, columns, WINDOW, WINDOW, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([batch, height, width, channels]);
        if self.shift > 0 { ys.roll([self.shift, self.shift], [1, 2]) } else { ys }
    }

    /// −100 between tokens of one window that the shift brought together from opposite ends of the image.
    fn mask(&self, height: i64, width: i64) -> Tensor {
        let regions = Tensor::zeros([height, width], (Kind::Float, tch::Device::Cpu));
        let bands = |side| [(0, side - WINDOW), (side - WINDOW, WINDOW - self.shift), (side - self.shift, self.shift)];
        let mut region = 0;
        for (top, tall) in bands(height) {
            for (left, wide) in bands(width) {
                let _ = regions.narrow(0, top, tall).narrow(1, left, wide).fill_(region);
                region += 1;
            }
        }
        let regions = regions
            .view([height / WINDOW, WINDOW, width / WINDOW, WINDOW])
            .permute([0, 2, 1, 3])
            .reshape([-1, WINDOW * WINDOW]);
        let differ = regions.unsqueeze(1).ne_tensor(&regions.unsqueeze(2));
        differ.to_kind(Kind::Float) * -100.0
    }
}

impl Module for Block {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let xs = xs + self.attention(&xs.apply(&self.norm1));
        let mlp = xs.apply(&self.norm2).apply(&self.fc1).gelu("none").apply(&self.fc2);
        xs + mlp
    }
}

/// For every pair of tokens of a window the row of the bias table that belongs to their offset.
fn relative_positions() -> Tensor {
    let mut rows = Vec::new();
    for from in 0..WINDOW * WINDOW {
        for to in 0..WINDOW * WINDOW {
            let down = from / WINDOW - to / WINDOW + WINDOW - 1;
            let right = from % WINDOW - to % WINDOW + WINDOW - 1;
            rows.push(down * (2 * WINDOW - 1) + right);
        }
    }
    Tensor::from_slice(&rows)
}
