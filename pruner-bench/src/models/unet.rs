//! U-Net (Ronneberger et al. 2015): a decoder of transposed convolutions that concatenates what the encoder made.

use tch::{Tensor, nn};

use super::layers::{batch_norm, same};

/// What normalises the convolutions of a [`unet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Over the batch.
    Batch,
    /// Over groups of channels, so many to a layer.
    Group(i64),
}

/// U-Net of three levels for RGB images of sides divisible by 8, with one result per pixel. The original's width is 64.
pub fn unet(vs: &nn::Path<'_>, width: i64, norm: Norm) -> nn::FuncT<'static> {
    let widths = [width, 2 * width, 4 * width, 8 * width];
    let mut inputs = 3;
    let downs = widths.map(|outputs| {
        let conv = double_conv(&(vs / format!("down{outputs}")), inputs, outputs, norm);
        inputs = outputs;
        conv
    });
    let ups = [2, 1, 0].map(|level: usize| {
        let (inputs, outputs) = (widths[level + 1], widths[level]);
        let vs = vs / format!("up{outputs}");
        let config = nn::ConvTransposeConfig { stride: 2, ..Default::default() };
        let up = nn::conv_transpose2d(&vs / "up", inputs, outputs, 2, config);
        (up, double_conv(&(&vs / "conv"), 2 * outputs, outputs, norm))
    });
    let head = nn::conv2d(vs / "head", width, 1, 1, nn::ConvConfig::default());
    nn::func_t(move |xs, train| {
        let mut skips = Vec::new();
        let mut xs = xs.apply_t(&downs[0], train);
        for down in &downs[1..] {
            let pooled = xs.max_pool2d_default(2);
            skips.push(xs);
            xs = pooled.apply_t(down, train);
        }
        for ((up, conv), skip) in ups.iter().zip(skips.iter().rev()) {
            xs = Tensor::cat(&[skip, &xs.apply(up)], 1).apply_t(conv, train);
        }
        xs.apply(&head)
    })
}

fn double_conv(vs: &nn::Path<'_>, inputs: i64, outputs: i64, norm: Norm) -> nn::SequentialT {
    let normalise = |net: nn::SequentialT, vs: nn::Path<'_>| match norm {
        Norm::Batch => net.add(batch_norm(vs, outputs)),
        Norm::Group(groups) => net.add(nn::group_norm(vs, groups, outputs, nn::GroupNormConfig::default())),
    };
    let net = nn::seq_t().add(nn::conv2d(vs / "conv1", inputs, outputs, 3, same(3, 1)));
    let net = normalise(net, vs / "norm1").add_fn(Tensor::relu);
    let net = net.add(nn::conv2d(vs / "conv2", outputs, outputs, 3, same(3, 1)));
    normalise(net, vs / "norm2").add_fn(Tensor::relu)
}
