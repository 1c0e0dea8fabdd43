//! One tensor read in several places.

use tch::{Tensor, nn};

use crate::models::layers::linear;

/// Autoencoder of 24 features whose decoder reads the encoder's weights the other way round.
pub fn tied_autoencoder(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let encoder1 = linear(vs / "encoder1", 24, 2 * width);
    let encoder2 = linear(vs / "encoder2", 2 * width, width);
    let bias1 = vs.zeros("decoder1_bias", &[2 * width]);
    let bias2 = vs.zeros("decoder2_bias", &[24]);
    nn::func_t(move |xs, _train| {
        let code = xs.apply(&encoder1).relu().apply(&encoder2).relu();
        let hidden = code.linear(&encoder2.ws.transpose(0, 1), Some(&bias1)).relu();
        hidden.linear(&encoder1.ws.transpose(0, 1), Some(&bias2))
    })
}

/// One layer applied twice, so that its inputs and outputs are the same features, and a head that shares the weight of
/// another. Input of 24 features.
pub fn tied_layers(vs: &nn::Path<'_>, width: i64) -> nn::FuncT<'static> {
    let stem = linear(vs / "stem", 24, width);
    let repeated = linear(vs / "repeated", width, width);
    let head = linear(vs / "head", width, 10);
    let other_bias = vs.zeros("other_bias", &[10]);
    nn::func_t(move |xs, _train| {
        let xs = xs.apply(&stem).relu();
        let ys = xs.apply(&repeated).relu().apply(&repeated).relu();
        xs.linear(&head.ws, None::<&Tensor>).tanh() + ys.linear(&head.ws, Some(&other_bias)) + ys.apply(&head)
    })
}
