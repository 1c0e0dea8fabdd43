//! What several families have in common.

use tch::nn;

/// A convolution without bias, padded so that a stride of 1 keeps the resolution.
pub(crate) fn same(kernel: i64, stride: i64) -> nn::ConvConfig {
    nn::ConvConfig { stride, padding: kernel / 2, bias: false, ..Default::default() }
}

/// The same with a bias.
pub(crate) fn same_bias(kernel: i64, stride: i64) -> nn::ConvConfig {
    nn::ConvConfig { bias: true, ..same(kernel, stride) }
}

/// The same with every channel by itself.
pub(crate) fn depthwise(channels: i64, kernel: i64, stride: i64) -> nn::ConvConfig {
    nn::ConvConfig { groups: channels, ..same(kernel, stride) }
}

/// A batch normalisation that starts as the identity, as everywhere but in `tch`.
pub(crate) fn batch_norm(vs: nn::Path<'_>, channels: i64) -> nn::BatchNorm {
    let config = nn::BatchNormConfig { ws_init: nn::Init::Const(1.0), ..Default::default() };
    nn::batch_norm2d(vs, channels, config)
}

/// A linear layer with a bias.
pub(crate) fn linear(vs: nn::Path<'_>, inputs: i64, outputs: i64) -> nn::Linear {
    nn::linear(vs, inputs, outputs, nn::LinearConfig::default())
}

/// A linear layer without a bias.
pub(crate) fn linear_no_bias(vs: nn::Path<'_>, inputs: i64, outputs: i64) -> nn::Linear {
    nn::linear(vs, inputs, outputs, nn::LinearConfig { bias: false, ..Default::default() })
}

/// A layer normalisation over the last dimension.
pub(crate) fn layer_norm(vs: nn::Path<'_>, width: i64) -> nn::LayerNorm {
    nn::layer_norm(vs, vec![width], nn::LayerNormConfig::default())
}
