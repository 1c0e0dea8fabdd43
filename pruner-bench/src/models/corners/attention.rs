//! Attention as it is written by hand.

use tch::{Tensor, nn};

use crate::models::layers::{layer_norm, linear, linear_no_bias};

/// Attention as PyTorch's `nn.MultiheadAttention` computes it: one packed projection, batch and heads in one dimension,
/// tokens first. Input of shape `[length, batch, width]` with 4 heads.
pub fn multihead_attention(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let in_proj_weight = vs.kaiming_uniform("in_proj_weight", &[3 * width, width]);
    let in_proj_bias = vs.zeros("in_proj_bias", &[3 * width]);
    let embed = linear(vs / "embed", 16, width);
    let out_proj = linear(vs / "out_proj", width, width);
    let head = linear(vs / "head", width, 10);
    let (heads, head_dim) = (4, width / 4);
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&embed);
        let (length, batch) = (xs.size()[0], xs.size()[1]);
        let packed = xs.linear(&in_proj_weight, Some(&in_proj_bias)).unflatten(-1, [3, width]);
        let packed = packed.unsqueeze(0).transpose(0, -2).squeeze_dim(-2).contiguous();
        let [query, key, value] = [0, 1, 2].map(|index| {
            let flat = packed.select(0, index).view([length, batch * heads, head_dim]).transpose(0, 1);
            flat.view([batch, heads, length, head_dim])
        });
        let ys = Tensor::scaled_dot_product_attention(&query, &key, &value, None::<&Tensor>, 0.0, false, None, false);
        let ys = ys.permute([2, 0, 1, 3]).contiguous().view([batch * length, width]).apply(&out_proj);
        let xs = &xs + ys.view([length, batch, width]);
        xs.mean_dim(0, false, None).apply(&head)
    })
}

/// Attention of one sequence to another of other width, its softmax written out. Inputs of shapes `[batch, length, 12]` and
/// `[batch, other length, 20]`, with 4 heads.
pub fn cross_attention(vs: &nn::Path<'_>, width: i64) -> impl Fn(&Tensor, &Tensor) -> Tensor + Send + use<> {
    let q_proj = linear(vs / "q_proj", 12, width);
    // A bias would shift all the scores of a query alike, which the softmax takes out again.
    let k_proj = linear_no_bias(vs / "k_proj", 20, width);
    let v_proj = linear(vs / "v_proj", 20, width);
    let out_proj = linear(vs / "out_proj", width, width);
    let norm = layer_norm(vs / "norm", width);
    let head = linear(vs / "head", width, 10);
    let head_dim = width / 4;
    move |xs, context| {
        let (batch, length) = (xs.size()[0], xs.size()[1]);
        let heads = |xs: Tensor| xs.view([batch, -1, 4, head_dim]).transpose(1, 2);
        let (query, key) = (heads(xs.apply(&q_proj)), heads(context.apply(&k_proj)));
        let value = heads(context.apply(&v_proj));
        let scores = query.matmul(&key.transpose(-2, -1)) / (head_dim as f64).sqrt();
        let ys = scores.softmax(-1, None).matmul(&value);
        let ys = ys.transpose(1, 2).reshape([batch, length, 4 * head_dim]);
        ys.apply(&out_proj).apply(&norm).apply(&head)
    }
}
