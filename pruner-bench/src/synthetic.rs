//! Graphs and networks made by rule, as deep as a benchmark wants them.

use pruner_core::graph::{Argument, Graph, Origin, TensorMeta};
use pruner_core::ids::ValueId;
use tch::nn;
use tch::nn::ModuleT as _;

use crate::models::Forward;
use crate::models::layers::{batch_norm, same};

/// A chain of `depth` convolutions of `channels` channels, each followed by batch normalisation and a rectifier, with a
/// residual connection around every second one.
pub fn chain(depth: usize, channels: i64) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.add_input("x", features(channels));
    let mut skip = x;
    for layer in 0..depth {
        x = layer_of(&mut graph, layer, x, channels, channels);
        if layer % 2 == 1 {
            let arguments = vec![("self", x.into()), ("other", skip.into()), ("alpha", 1.into())];
            x = graph.call("aten::add.Tensor", arguments, features(channels));
            skip = x;
        }
    }
    graph.set_outputs(vec![x]);
    graph
}

/// The network whose graph [`chain`] is, with a residual connection around every second layer.
pub fn chain_net(vs: &nn::Path<'_>, depth: usize, channels: i64) -> Forward {
    // Small, so that what thousands of residual connections add up stays finite.
    let config = nn::ConvConfig { ws_init: nn::Init::Randn { mean: 0.0, stdev: 1e-3 }, ..same(3, 1) };
    let layers: Vec<_> = (0..depth)
        .map(|layer| {
            let vs = vs / layer;
            (nn::conv2d(&vs / "conv", channels, channels, 3, config), batch_norm(&vs / "norm", channels))
        })
        .collect();
    Box::new(move |inputs, train| {
        let mut x = inputs[0].shallow_clone();
        let mut skip = x.shallow_clone();
        for (index, (conv, norm)) in layers.iter().enumerate() {
            x = norm.forward_t(&x.apply(conv), train).relu();
            if index % 2 == 1 {
                x += &skip;
                skip = x.shallow_clone();
            }
        }
        vec![x]
    })
}

/// A dense block: `depth` convolutions, each of which reads all that was made before it and adds `growth` channels.
pub fn dense(depth: usize, growth: i64) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.add_input("x", features(growth));
    let mut made = vec![x];
    for layer in 0..depth {
        let width = growth * (made.len() as i64);
        let arguments =
            vec![("tensors", Argument::Values(made.iter().copied().map(Some).collect())), ("dim", 1.into())];
        let all = graph.call("aten::cat", arguments, features(width));
        x = layer_of(&mut graph, layer, all, width, growth);
        made.push(x);
    }
    graph.set_outputs(vec![x]);
    graph
}

fn features(channels: i64) -> TensorMeta {
    TensorMeta::f32([1, channels, 8, 8])
}

/// A convolution of 3 × 3, batch normalisation and a rectifier.
fn layer_of(graph: &mut Graph, layer: usize, x: ValueId, from: i64, to: i64) -> ValueId {
    let weight = graph.add_parameter(format!("{layer}.conv.weight"), TensorMeta::f32([to, from, 3, 3]));
    let affine = ["weight", "bias"].map(|name| stored(graph, Origin::Parameter, layer, name, to));
    let running = ["running_mean", "running_var"].map(|name| stored(graph, Origin::Buffer, layer, name, to));
    let arguments = vec![
        ("input", x.into()),
        ("weight", weight.into()),
        ("bias", Argument::None),
        ("stride", [1, 1].into()),
        ("padding", [1, 1].into()),
        ("dilation", [1, 1].into()),
        ("groups", 1.into()),
    ];
    let x = graph.call("aten::conv2d", arguments, features(to));
    let arguments = vec![
        ("input", x.into()),
        ("weight", affine[0].into()),
        ("bias", affine[1].into()),
        ("running_mean", running[0].into()),
        ("running_var", running[1].into()),
        ("training", false.into()),
        ("momentum", 0.1.into()),
        ("eps", 1e-5.into()),
        ("cudnn_enabled", true.into()),
    ];
    let x = graph.call("aten::batch_norm", arguments, features(to));
    graph.call("aten::relu", vec![("self", x.into())], features(to))
}

fn stored(graph: &mut Graph, origin: Origin, layer: usize, name: &str, size: i64) -> ValueId {
    graph.add_value(format!("{layer}.norm.{name}"), origin, TensorMeta::f32([size]))
}
