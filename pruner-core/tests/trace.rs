//! A closure and the graph that it is traced to.
#![cfg(feature = "torch")]

use pruner_core::exec::{GraphModule, Mode};
use pruner_core::graph::{Argument, Origin};
use pruner_core::trace::{TraceError, trace};
use tch::nn::{self, Module, ModuleT, RNN};
use tch::{Device, Kind, Tensor};

fn store() -> nn::VarStore {
    tch::manual_seed(7);
    nn::VarStore::new(Device::Cpu)
}

fn images() -> Tensor {
    Tensor::randn([2, 3, 8, 8], (Kind::Float, Device::Cpu))
}

fn ops(module: &GraphModule) -> Vec<String> {
    module.graph().nodes().map(|(_, node)| node.op.trim_start_matches("aten::").to_owned()).collect()
}

fn names(module: &GraphModule, origin: Origin) -> Vec<String> {
    module.graph().values().filter(|(_, value)| value.origin == origin).map(|(_, value)| value.name.clone()).collect()
}

/// The module's output is that of the closure, bit by bit, on the example and on another input.
#[track_caller]
fn check(vs: &nn::VarStore, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Vec<Tensor>) -> GraphModule {
    let module = trace(vs, inputs, &f).expect("the closure can be traced");
    let _no_grad = tch::no_grad_guard();
    let others = inputs.iter().map(|input| if input.is_floating_point() { input * 0.5 + 1.0 } else { input.copy() });
    for inputs in [inputs.iter().map(Tensor::copy).collect::<Vec<_>>(), others.collect()] {
        tch::manual_seed(3);
        let expected = f(&inputs.iter().map(Tensor::copy).collect::<Vec<_>>());
        tch::manual_seed(3);
        let outputs = module.forward(&inputs, Mode::Eval).expect("the graph runs");
        assert_eq!(outputs.len(), expected.len());
        for (output, expected) in outputs.iter().zip(&expected) {
            assert!(output.equal(expected), "differs by {:?}", (output - expected).abs().max());
        }
    }
    module
}

#[test]
fn a_cnn_with_batch_norm_a_residual_and_in_place_activations_is_traced() {
    let vs = store();
    let p = vs.root();
    let conv1 = nn::conv2d(&p / "conv1", 3, 8, 3, nn::ConvConfig { padding: 1, ..Default::default() });
    let bn1 = nn::batch_norm2d(&p / "bn1", 8, nn::BatchNormConfig::default());
    let conv2 = nn::conv2d(&p / "conv2", 8, 8, 3, nn::ConvConfig { padding: 1, ..Default::default() });
    let fc = nn::linear(&p / "fc", 8, 5, nn::LinearConfig::default());
    let module = check(&vs, &[images()], |xs| {
        let x = xs[0].apply(&conv1).apply_t(&bn1, false).relu_();
        let mut y = x.apply(&conv2) + &x;
        let y = y.relu_().mean_dim([2_i64, 3].as_slice(), false, Kind::Float);
        vec![fc.forward(&y)]
    });
    assert_eq!(ops(&module), ["conv2d", "batch_norm", "relu_", "conv2d", "add", "relu_", "mean", "linear"]);
    assert_eq!(
        names(&module, Origin::Parameter),
        ["conv1.weight", "conv1.bias", "bn1.weight", "bn1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"]
    );
    assert_eq!(names(&module, Origin::Buffer), ["bn1.running_mean", "bn1.running_var"]);
    assert!(module.warnings().is_empty(), "{:?}", module.warnings());
}

#[test]
fn a_tensor_filled_through_views_is_traced_in_order() {
    let vs = store();
    let w = vs.root().randn_standard("w", &[4, 3]);
    let module = check(&vs, &[Tensor::randn([2, 3], (Kind::Float, Device::Cpu))], |xs| {
        let y = xs[0].linear(&w, None::<Tensor>);
        let canvas = Tensor::zeros([2, 6], (Kind::Float, Device::Cpu));
        canvas.narrow(1, 0, 4).copy_(&y);
        canvas.narrow(1, 4, 2).copy_(&y.narrow(1, 1, 2));
        let parts = canvas.chunk(3, 1);
        vec![Tensor::cat(&[&parts[2], &parts[0]], 1), canvas]
    });
    assert_eq!(ops(&module), ["linear", "zeros", "narrow", "copy_", "narrow", "narrow", "copy_", "chunk", "cat"]);
}
