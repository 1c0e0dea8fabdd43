//! Small networks, each built around one wiring that pruners have gone wrong at or refused.

mod attention;
mod channels;
mod convolutions;
mod tied;

pub use attention::{cross_attention, multihead_attention};
pub use channels::{
    concatenated_input, flip, glu, nhwc_flatten, one_channel_gate, pixel_shuffle, squeeze_excite, strided_slices,
    swapped_halves,
};
pub use convolutions::{depth_multiplier, grouped_conv_transpose, instance_norm};
pub use tied::{tied_autoencoder, tied_layers};
