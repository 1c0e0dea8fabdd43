//! Vision transformer (Dosovitskiy et al. 2020) with queries, keys and values from one linear layer.

use tch::nn::{Module, ModuleT as _};
use tch::{Tensor, nn};

use super::layers::{layer_norm, linear};

/// The sizes of a [`vit`]. The smallest of the paper's is 768 wide, with 12 heads and 12 blocks on patches of 16×16.
#[derive(Clone, Copy, Debug)]
pub struct Vit {
    /// Channels of an image.
    pub channels: i64,
    /// Features of a token; divisible by `heads`.
    pub width: i64,
    /// Heads of the attention.
    pub heads: i64,
    /// Blocks.
    pub depth: i64,
    /// Side of a patch.
    pub patch: i64,
    /// Side of an image; divisible by `patch`.
    pub image: i64,
    /// Classes that it tells apart.
    pub classes: i64,
}

/// Vision transformer that reads the class off a token of its own.
pub fn vit(vs: &nn::Path<'_>, sizes: Vit) -> nn::FuncT<'static> {
    let Vit { channels, width, heads, depth, patch, image, classes } = sizes;
    let tokens = (image / patch) * (image / patch) + 1;
    let config = nn::ConvConfig { stride: patch, ..Default::default() };
    let patch_embed = nn::conv2d(vs / "patch_embed" / "proj", channels, width, patch, config);
    let init = nn::Init::Randn { mean: 0.0, stdev: 0.02 };
    let cls_token = vs.var("cls_token", &[1, 1, width], init);
    let pos_embed = vs.var("pos_embed", &[1, tokens, width], init);
    let mut blocks = nn::seq();
    for index in 0..depth {
        blocks = blocks.add(Block::new(&(vs / "blocks" / index), width, heads));
    }
    let norm = layer_norm(vs / "norm", width);
    let head = linear(vs / "head", width, classes);
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&patch_embed).flatten(2, -1).transpose(1, 2);
        let cls_token = cls_token.expand([xs.size()[0], -1, -1], false);
        let xs = Tensor::cat(&[cls_token, xs], 1) + &pos_embed;
        blocks.forward_t(&xs, false).apply(&norm).select(1, 0).apply(&head)
    })
}

#[derive(Debug)]
struct Block {
    heads: i64,
    norm1: nn::LayerNorm,
    qkv: nn::Linear,
    proj: nn::Linear,
    norm2: nn::LayerNorm,
    fc1: nn::Linear,
    fc2: nn::Linear,
}

impl Block {
    fn new(vs: &nn::Path<'_>, width: i64, heads: i64) -> Self {
        let (attn, mlp) = (vs / "attn", vs / "mlp");
        Self {
            heads,
            norm1: layer_norm(vs / "norm1", width),
            qkv: linear(&attn / "qkv", width, 3 * width),
            proj: linear(&attn / "proj", width, width),
            norm2: layer_norm(vs / "norm2", width),
            fc1: linear(&mlp / "fc1", width, 4 * width),
            fc2: linear(&mlp / "fc2", 4 * width, width),
        }
    }

    fn attention(&self, xs: &Tensor) -> Tensor {
        let (batch, tokens, width) = xs.size3().expect("tokens have three dimensions");
        let qkv = xs.apply(&self.qkv).reshape([batch, tokens, 3, self.heads, width / self.heads]);
        let qkv = qkv.permute([2, 0, 3, 1, 4]).unbind(0);
        let ys =
            Tensor::scaled_dot_product_attention(&qkv[0], &qkv[1], &qkv[2], None::<&Tensor>, 0.0, false, None, false);
        ys.transpose(1, 2).reshape([batch, tokens, width]).apply(&self.proj)
    }
}

impl Module for Block {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let xs = xs + self.attention(&xs.apply(&self.norm1));
        let mlp = xs.apply(&self.norm2).apply(&self.fc1).gelu("none").apply(&self.fc2);
        xs + mlp
    }
}
