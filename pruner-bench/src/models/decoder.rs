//! A language model's decoder in the manner of LLaMA: grouped-query attention, rotary positions, RMS normalisation, SwiGLU.

use tch::nn::{Module, ModuleT as _};
use tch::{Kind, Tensor, nn};

use super::layers::linear_no_bias;

/// How the heads of the keys and values are repeated for the heads of the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvRepeat {
    /// `expand` into a new dimension and `reshape`, as in Hugging Face's models.
    Expand,
    /// `repeat_interleave`, as in LLaMA's first code.
    Interleave,
}

/// The sizes of a [`decoder`].
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// Features of a token; twice `heads` divides it.
    pub width: i64,
    /// Heads of the queries.
    pub heads: i64,
    /// Heads of the keys and of the values; divides `heads`.
    pub kv_heads: i64,
    /// Blocks.
    pub depth: i64,
    /// Words.
    pub vocabulary: i64,
    /// The longest sequence, whose rotary tables are stored.
    pub length: i64,
    /// How keys and values are repeated.
    pub repeat: KvRepeat,
}

/// Decoder from words to the logits of the next word, its last layer tied to the embedding.
pub fn decoder(vs: &nn::Path<'_>, sizes: Decoder) -> nn::FuncT<'static> {
    let embed_tokens =
        nn::embedding(vs / "embed_tokens", sizes.vocabulary, sizes.width, nn::EmbeddingConfig::default());
    let mut layers = nn::seq();
    for index in 0..sizes.depth {
        layers = layers.add(Block::new(&(vs / "layers" / index), sizes));
    }
    let norm = RmsNorm::new(&(vs / "norm"), sizes.width);
    nn::func_t(move |tokens, _train| {
        let xs = layers.forward_t(&tokens.apply(&embed_tokens), false);
        xs.apply(&norm).linear(&embed_tokens.ws, None::<&Tensor>)
    })
}

#[derive(Debug)]
struct RmsNorm {
    weight: Tensor,
}

impl RmsNorm {
    fn new(vs: &nn::Path<'_>, width: i64) -> Self {
        Self { weight: vs.ones("weight", &[width]) }
    }
}

impl Module for RmsNorm {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let variance = xs.pow_tensor_scalar(2).mean_dim(-1, true, Kind::Float);
        &self.weight * (xs * (variance + 1e-6).rsqrt())
    }
}

/// The cosines and sines that positions are turned by, of shape `[length, head_dim]`.
#[derive(Debug)]
struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    fn new(vs: &nn::Path<'_>, head_dim: i64, length: i64) -> Self {
        let options = (Kind::Float, vs.device());
        let exponents = Tensor::arange_start_step(0, head_dim, 2, options) / head_dim as f64;
        let frequencies = (exponents * -10_000_f64.ln()).exp();
        let angles = Tensor::arange(length, options).outer(&frequencies);
        let angles = Tensor::cat(&[&angles, &angles], -1);
        Self { cos: angles.cos(), sin: angles.sin() }
    }

    /// Turns queries or keys of shape `[batch, heads, length, head_dim]`.
    fn turn(&self, xs: &Tensor) -> Tensor {
        let length = xs.size()[2];
        let (cos, sin) = (self.cos.narrow(0, 0, length), self.sin.narrow(0, 0, length));
        xs * cos + rotate_half(xs) * sin
    }
}

fn rotate_half(xs: &Tensor) -> Tensor {
    let head_dim = xs.size()[3];
    let half = head_dim / 2;
    Tensor::cat(&[xs.narrow(-1, half, head_dim - half).neg(), xs.narrow(-1, 0, half)], -1)
}

#[derive(Debug)]
struct Block {
    sizes: Decoder,
    rotary: Rotary,
    input_norm: RmsNorm,
    q_proj: nn::Linear,
    k_proj: nn::Linear,
    v_proj: nn::Linear,
    o_proj: nn::Linear,
    post_norm: RmsNorm,
    gate_proj: nn::Linear,
    up_proj: nn::Linear,
    down_proj: nn::Linear,
}

impl Block {
    fn new(vs: &nn::Path<'_>, sizes: Decoder) -> Self {
        let (attn, mlp) = (vs / "self_attn", vs / "mlp");
        let width = sizes.width;
        let head_dim = width / sizes.heads;
        Self {
            sizes,
            rotary: Rotary::new(vs, head_dim, sizes.length),
            input_norm: RmsNorm::new(&(vs / "input_layernorm"), width),
            q_proj: linear_no_bias(&attn / "q_proj", width, sizes.heads * head_dim),
            k_proj: linear_no_bias(&attn / "k_proj", width, sizes.kv_heads * head_dim),
            v_proj: linear_no_bias(&attn / "v_proj", width, sizes.kv_heads * head_dim),
            o_proj: linear_no_bias(&attn / "o_proj", sizes.heads * head_dim, width),
            post_norm: RmsNorm::new(&(vs / "post_attention_layernorm"), width),
            gate_proj: linear_no_bias(&mlp / "gate_proj", width, 3 * width),
            up_proj: linear_no_bias(&mlp / "up_proj", width, 3 * width),
            down_proj: linear_no_bias(&mlp / "down_proj", 3 * width, width),
        }
    }

    fn repeat_kv(&self, xs: &Tensor) -> Tensor {
        let repeats = self.sizes.heads / self.sizes.kv_heads;
        match self.sizes.repeat {
            KvRepeat::Interleave => xs.repeat_interleave_self_int(repeats, 1, None),
            KvRepeat::Expand => {
                let (batch, heads, length, head_dim) = xs.size4().expect("heads have four dimensions");
                xs.unsqueeze(2).expand([batch, heads, repeats, length, head_dim], false).reshape([
                    batch,
                    heads * repeats,
                    length,
                    head_dim,
                ])
            }
        }
    }

    fn attention(&self, xs: &Tensor) -> Tensor {
        let (batch, length, width) = xs.size3().expect("tokens have three dimensions");
        let head_dim = width / self.sizes.heads;
        let heads = |proj: &nn::Linear| xs.apply(proj).view([batch, length, -1, head_dim]).transpose(1, 2);
        let query = self.rotary.turn(&heads(&self.q_proj));
        let key = self.repeat_kv(&self.rotary.turn(&heads(&self.k_proj)));
        let value = self.repeat_kv(&heads(&self.v_proj));
        let ys = Tensor::scaled_dot_product_attention(&query, &key, &value, None::<&Tensor>, 0.0, true, None, false);
        ys.transpose(1, 2).contiguous().view([batch, length, -1]).apply(&self.o_proj)
    }
}

impl Module for Block {
    fn forward(&self, xs: &Tensor) -> Tensor {
        let xs = xs + self.attention(&xs.apply(&self.input_norm));
        let ys = xs.apply(&self.post_norm);
        let ys = ys.apply(&self.gate_proj).silu() * ys.apply(&self.up_proj);
        xs + ys.apply(&self.down_proj)
    }
}
