//! Every network under a name, with inputs for it.

use std::fmt;

use tch::nn::ModuleT;
use tch::{Tensor, nn};

use super::corners;
use super::decoder::{Decoder, KvRepeat, decoder};
use super::densenet::densenet;
use super::maxvit::maxvit;
use super::mobilenet::mobilenet_v2;
use super::plain::plain_cnn;
use super::recurrent::{bilstm_classifier, gru_classifier, lstm_classifier};
use super::resnet::{resnet18, resnet50, resnext50};
use super::shufflenet::shufflenet_v2;
use super::swin::swin;
use super::unet::{Norm, unet};
use super::vit::{Vit, vit};
use crate::rng::Rng;

/// A network as a function of its inputs and of whether it is trained.
pub type Forward = Box<dyn Fn(&[Tensor], bool) -> Vec<Tensor> + Send>;

/// A network to be built.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// A width that keeps tests fast.
    pub width: i64,
    /// The original's width.
    pub full_width: i64,
    /// Makes its variables, of this width, under a path.
    pub build: fn(&nn::Path<'_>, i64) -> Forward,
    /// A batch of inputs, the same at every call.
    pub inputs: fn() -> Vec<Tensor>,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("name", &self.name).field("width", &self.width).finish_non_exhaustive()
    }
}

/// Every network, the families first.
pub fn all() -> Vec<Spec> {
    let mut specs = convolutional();
    specs.extend(sequential());
    specs.extend(corner_cases());
    specs
}

fn convolutional() -> Vec<Spec> {
    let spec = |name, width, full_width, build| Spec { name, width, full_width, build, inputs: || images(3, 64) };
    vec![
        Spec { inputs: || images(3, 32), ..spec("plain_cnn", 8, 32, |vs, width| one(plain_cnn(vs, width))) },
        spec("resnet18", 8, 64, |vs, width| one(resnet18(vs, width))),
        spec("resnet50", 8, 64, |vs, width| one(resnet50(vs, width))),
        spec("resnext50", 16, 64, |vs, width| one(resnext50(vs, width))),
        spec("densenet", 8, 32, |vs, width| one(densenet(vs, width, &[3, 4, 3]))),
        spec("mobilenet_v2", 8, 32, |vs, width| one(mobilenet_v2(vs, width))),
        spec("shufflenet_v2", 116, 116, |vs, width| one(shufflenet_v2(vs, width))),
        spec("unet", 8, 64, |vs, width| one(unet(vs, width, Norm::Batch))),
        spec("unet_group_norm", 8, 64, |vs, width| one(unet(vs, width, Norm::Group(4)))),
    ]
}

fn sequential() -> Vec<Spec> {
    let words = |name, build| Spec { name, width: 12, full_width: 128, build, inputs: words };
    vec![
        Spec {
            name: "vit",
            width: 48,
            full_width: 768,
            build: |vs, width| {
                one(vit(vs, Vit { channels: 3, width, heads: 4, depth: 2, patch: 8, image: 32, classes: 10 }))
            },
            inputs: || images(3, 32),
        },
        Spec {
            name: "swin",
            width: 16,
            full_width: 96,
            build: |vs, width| one(swin(vs, width)),
            inputs: || images(3, 64),
        },
        Spec {
            name: "maxvit",
            width: 16,
            full_width: 64,
            build: |vs, width| one(maxvit(vs, width)),
            inputs: || images(3, 32),
        },
        Spec { width: 32, ..words("decoder", |vs, width| one(decoder(vs, gqa(width, KvRepeat::Expand)))) },
        Spec {
            width: 32,
            ..words("decoder_interleave", |vs, width| one(decoder(vs, gqa(width, KvRepeat::Interleave))))
        },
        words("lstm_classifier", |vs, width| one(lstm_classifier(vs, width))),
        words("bilstm_classifier", |vs, width| one(bilstm_classifier(vs, width))),
        words("gru_classifier", |vs, width| one(gru_classifier(vs, width))),
    ]
}

fn corner_cases() -> Vec<Spec> {
    let spec = |name, build| Spec { name, width: 16, full_width: 64, build, inputs: || images(3, 8) };
    vec![
        spec("squeeze_excite", |vs, width| one(corners::squeeze_excite(vs, width))),
        spec("one_channel_gate", |vs, width| one(corners::one_channel_gate(vs, width))),
        spec("pixel_shuffle", |vs, width| one(corners::pixel_shuffle(vs, width))),
        spec("glu", |vs, width| one(corners::glu(vs, width))),
        spec("concatenated_input", |vs, width| one(corners::concatenated_input(vs, width))),
        spec("flip", |vs, width| one(corners::flip(vs, width))),
        spec("strided_slices", |vs, width| one(corners::strided_slices(vs, width))),
        spec("nhwc_flatten", |vs, width| one(corners::nhwc_flatten(vs, width))),
        spec("swapped_halves", |vs, width| one(corners::swapped_halves(vs, width))),
        spec("grouped_conv_transpose", |vs, width| one(corners::grouped_conv_transpose(vs, width))),
        spec("depth_multiplier", |vs, width| one(corners::depth_multiplier(vs, width))),
        spec("instance_norm", |vs, width| one(corners::instance_norm(vs, width))),
        Spec {
            inputs: || vec![Rng::new(1).tensor(&[5, 2, 16], -1.0, 1.0)],
            ..spec("multihead_attention", |vs, width| one(corners::multihead_attention(vs, width)))
        },
        Spec {
            inputs: || vec![Rng::new(1).tensor(&[2, 5, 12], -1.0, 1.0), Rng::new(2).tensor(&[2, 7, 20], -1.0, 1.0)],
            ..spec("cross_attention", |vs, width| {
                let net = corners::cross_attention(vs, width);
                Box::new(move |inputs, _train| vec![net(&inputs[0], &inputs[1])])
            })
        },
        Spec {
            inputs: || vec![Rng::new(1).tensor(&[3, 24], -1.0, 1.0)],
            ..spec("tied_autoencoder", |vs, width| one(corners::tied_autoencoder(vs, width)))
        },
        Spec {
            inputs: || vec![Rng::new(1).tensor(&[3, 24], -1.0, 1.0)],
            ..spec("tied_layers", |vs, width| one(corners::tied_layers(vs, width)))
        },
    ]
}

/// A network of one input and one result.
fn one(net: impl ModuleT + 'static) -> Forward {
    Box::new(move |inputs, train| vec![net.forward_t(&inputs[0], train)])
}

fn images(channels: i64, side: i64) -> Vec<Tensor> {
    vec![Rng::new(0).tensor(&[2, channels, side, side], -1.0, 1.0)]
}

/// Two sequences of 12 out of 100 words.
fn words() -> Vec<Tensor> {
    vec![Rng::new(0).indices(&[2, 12], 100)]
}

fn gqa(width: i64, repeat: KvRepeat) -> Decoder {
    Decoder { width, heads: 4, kv_heads: 2, depth: 2, vocabulary: 100, length: 16, repeat }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tch::Device;

    use super::*;
    use crate::models::randomize;

    fn largest(tensor: &Tensor) -> f64 {
        tensor.abs().max().double_value(&[])
    }

    #[test]
    fn every_network_runs_at_its_shapes_and_uses_every_variable() {
        for spec in all() {
            let vs = nn::VarStore::new(Device::Cpu);
            let net = (spec.build)(&vs.root(), spec.width);
            randomize(&vs, 3);
            let inputs = (spec.inputs)();
            let output = &net(&inputs, false)[0];
            let scale = largest(output);
            assert!(scale.is_finite() && (0.01..1e4).contains(&scale), "{}: largest result {scale}", spec.name);
            assert_eq!(output.size(), expected_shape(spec.name), "{}", spec.name);
            let spread = output.std(false).double_value(&[]);
            assert!(spread > 1e-3 * scale, "{}: results hardly differ: {spread} of {scale}", spec.name);

            (output * Rng::new(5).tensor(&output.size(), 0.1, 1.0)).sum(None).backward();
            let before: BTreeMap<_, _> = vs.variables().into_iter().map(|(name, var)| (name, var.copy())).collect();
            let trained = &net(&inputs, true)[0];
            assert!(largest(trained).is_finite(), "{}: not finite in training", spec.name);
            for (name, variable) in vs.variables() {
                if variable.requires_grad() {
                    let slope = largest(&variable.grad()) / scale;
                    assert!(slope > 1e-5, "{}: the results do not depend on {name}: {slope}", spec.name);
                } else {
                    let change = largest(&(&variable - &before[&name]));
                    assert!(change > 1e-5, "{}: training does not change {name}", spec.name);
                }
            }
        }
    }

    fn expected_shape(name: &str) -> &'static [i64] {
        match name {
            "unet" | "unet_group_norm" => &[2, 1, 64, 64],
            "decoder" | "decoder_interleave" => &[2, 12, 100],
            "lstm_classifier" | "bilstm_classifier" | "gru_classifier" => &[2, 4],
            "pixel_shuffle" => &[2, 3, 32, 32],
            "squeeze_excite" | "one_channel_gate" | "concatenated_input" | "flip" | "strided_slices"
            | "swapped_halves" | "depth_multiplier" | "instance_norm" => &[2, 2, 8, 8],
            "grouped_conv_transpose" => &[2, 2, 16, 16],
            "cross_attention" => &[2, 5, 10],
            "tied_autoencoder" => &[3, 24],
            "tied_layers" => &[3, 10],
            _ => &[2, 10],
        }
    }

    #[test]
    fn residual_networks_have_torchvisions_parameters() {
        let parameters = |name: &str| {
            let spec = all().into_iter().find(|spec| spec.name == name).expect("the name is registered");
            let vs = nn::VarStore::new(Device::Cpu);
            let _net = (spec.build)(&vs.root(), spec.full_width);
            vs.trainable_variables().iter().map(Tensor::numel).sum::<usize>()
        };
        // torchvision's counts for 1000 classes, less 990 rows of weights and bias of the last layer.
        assert_eq!(parameters("resnet18"), 11_689_512 - 990 * 513);
        assert_eq!(parameters("resnet50"), 25_557_032 - 990 * 2049);
        assert_eq!(parameters("resnext50"), 25_028_904 - 990 * 2049);
        assert_eq!(parameters("shufflenet_v2"), 2_278_604 - 990 * 1025);
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|spec| spec.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
    }
}
