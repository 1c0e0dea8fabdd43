//! A closure and the graph that it is traced to.
#![cfg(feature = "torch")]

use std::collections::BTreeMap;

use pruner_core::exec::{GraphModule, Mode};
use pruner_core::graph::{Argument, Origin};
use pruner_core::trace::{TraceError, trace};
use tch::nn::{self, Module, OptimizerConfig as _, RNN};
use tch::{Device, IndexOp, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn store() -> nn::VarStore {
    nn::VarStore::new(Device::Cpu)
}

fn randn(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, FLOAT)
}

fn linear(vs: &nn::VarStore, name: &str, from: i64, to: i64) -> nn::Linear {
    nn::linear(vs.root() / name, from, to, nn::LinearConfig::default())
}

fn ops(module: &GraphModule) -> Vec<String> {
    module.graph().nodes().map(|(_, node)| node.op.trim_start_matches("aten::").to_owned()).collect()
}

fn names(module: &GraphModule, origin: Origin) -> Vec<String> {
    module.graph().values().filter(|(_, value)| value.origin == origin).map(|(_, value)| value.name.clone()).collect()
}

/// The module's outputs are those of the closure, bit by bit, on the example and on another input.
#[track_caller]
fn check(vs: &nn::VarStore, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Vec<Tensor>) -> GraphModule {
    let module = trace(vs, inputs, &f).expect("the closure can be traced");
    let _no_grad = tch::no_grad_guard();
    let copies = |inputs: &[Tensor]| inputs.iter().map(Tensor::copy).collect::<Vec<_>>();
    let other = |input: &Tensor| if input.is_floating_point() { input * 0.5 + 1.0 } else { input.flip([0]) };
    for inputs in [copies(inputs), inputs.iter().map(other).collect()] {
        let expected = f(&copies(&inputs));
        // Twice, since a first run must not change what a second one sees.
        for _ in 0..2 {
            let outputs = module.forward(&copies(&inputs), Mode::Eval).expect("the graph runs");
            assert_eq!(outputs.len(), expected.len());
            for (output, expected) in outputs.iter().zip(&expected) {
                assert!(output.equal(expected), "differs by {:?}", (output - expected).abs().max());
            }
        }
    }
    module
}

/// What a closure that is refused is refused with.
#[track_caller]
fn refused(vs: &nn::VarStore, f: impl FnMut(&[Tensor]) -> Vec<Tensor>) -> TraceError {
    trace(vs, &[randn(&[2, 3])], f).expect_err("the closure has no graph")
}

#[test]
fn a_cnn_with_batch_norm_a_residual_and_in_place_activations_is_traced() {
    let vs = store();
    let p = vs.root();
    let conv1 = nn::conv2d(&p / "conv1", 3, 8, 3, nn::ConvConfig { padding: 1, ..Default::default() });
    let bn1 = nn::batch_norm2d(&p / "bn1", 8, nn::BatchNormConfig::default());
    let conv2 = nn::conv2d(&p / "conv2", 8, 8, 3, nn::ConvConfig { padding: 1, ..Default::default() });
    let fc = linear(&vs, "fc", 8, 5);
    let module = check(&vs, &[randn(&[2, 3, 8, 8])], |xs| {
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
    let (_, conv) = module.graph().nodes().next().expect("a node");
    assert_eq!(conv.argument("padding"), Some(&Argument::Ints(vec![1, 1])));
    assert_eq!(module.graph().shape(conv.results[0]), [2, 8, 8, 8]);
}

#[test]
fn a_tensor_filled_through_views_is_traced_in_order() {
    let vs = store();
    let w = vs.root().randn_standard("w", &[4, 3]);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let y = xs[0].linear(&w, None::<Tensor>);
        let canvas = Tensor::zeros([2, 6], FLOAT);
        canvas.narrow(1, 0, 4).copy_(&y);
        canvas.narrow(1, 4, 2).copy_(&y.narrow(1, 1, 2));
        let parts = canvas.chunk(3, 1);
        vec![Tensor::cat(&[&parts[2], &parts[0]], 1), canvas]
    });
    assert_eq!(ops(&module), ["linear", "zeros", "narrow", "copy_", "narrow", "narrow", "copy_", "chunk", "cat"]);
}

#[test]
fn an_lstm_is_one_operation() {
    let vs = store();
    let config = nn::RNNConfig { num_layers: 2, bidirectional: true, ..Default::default() };
    let lstm = nn::lstm(&vs.root() / "lstm", 4, 6, config);
    let module = check(&vs, &[randn(&[2, 5, 4])], |xs| {
        let (out, nn::LSTMState((h, c))) = lstm.seq(&xs[0]);
        vec![out, h, c]
    });
    assert_eq!(ops(&module).iter().filter(|op| *op == "lstm").count(), 1);
    assert!(ops(&module).contains(&"zeros".to_owned()), "the state before the first step is made in each run");
    assert_eq!(names(&module, Origin::Parameter).len(), 16);
}

#[test]
fn attention_is_traced_with_its_views() {
    let vs = store();
    let (qkv, out) = (linear(&vs, "qkv", 8, 24), linear(&vs, "out", 8, 8));
    let module = check(&vs, &[randn(&[2, 5, 8])], |xs| {
        let parts = qkv.forward(&xs[0]).view([2, 5, 3, 2, 4]).permute([2, 0, 3, 1, 4]).unbind(0);
        let y = Tensor::scaled_dot_product_attention(
            &parts[0],
            &parts[1],
            &parts[2],
            None::<Tensor>,
            0.0,
            true,
            None,
            false,
        );
        vec![out.forward(&y.transpose(1, 2).reshape([2, 5, 8]))]
    });
    assert_eq!(
        ops(&module),
        ["linear", "view", "permute", "unbind", "scaled_dot_product_attention", "transpose", "reshape", "linear"]
    );
}

#[test]
fn tied_weights_are_one_value() {
    let vs = store();
    let embed = nn::embedding(&vs.root() / "embed", 11, 4, nn::EmbeddingConfig::default());
    let module = check(&vs, &[Tensor::from_slice(&[3_i64, 1, 4])], |xs| {
        vec![embed.forward(&xs[0]).tanh().matmul(&embed.ws.tr())]
    });
    assert_eq!(names(&module, Origin::Parameter), ["embed.weight"]);
    assert_eq!(module.parameters().len(), 1);
}

#[test]
fn what_is_computed_from_constants_alone_is_a_constant() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let scale = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let positions = (Tensor::arange(4, FLOAT) * 0.5).cos() * scale.sqrt();
        vec![fc.forward(&xs[0]) * positions]
    });
    assert_eq!(ops(&module), ["linear", "mul"]);
    assert_eq!(names(&module, Origin::Constant), ["constant0"]);
}

#[test]
fn uniform_factories_and_sized_copies_of_constants_stay_operations() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let token = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 4.0]);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let ones = Tensor::ones([2, 4], FLOAT) * 2.0;
        vec![fc.forward(&xs[0]) * ones + token.unsqueeze(0).expand([2, 4], false)]
    });
    assert_eq!(ops(&module), ["ones", "mul", "linear", "mul", "expand", "add"]);
}

#[test]
fn data_given_inside_the_closure_is_a_constant() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let bias = Tensor::from_slice(&[0.5_f32, -1.0, 2.0, 0.0]);
        vec![fc.forward(&xs[0]) + bias]
    });
    assert_eq!(ops(&module), ["linear", "add"]);
    assert_eq!(names(&module, Origin::Constant), ["constant0"]);
}

#[test]
fn a_constant_that_is_written_to_is_not_folded() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let mut steps = Tensor::arange(4, FLOAT);
        let doubled = &steps * 2.0;
        let _ = steps.g_add_(&fc.forward(&xs[0]).i(0));
        vec![steps, doubled]
    });
    assert_eq!(ops(&module), ["arange", "mul", "linear", "select", "add_"]);
}

#[test]
fn dropout_is_told_from_what_it_drops_from() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let y = fc.forward(&xs[0]);
        vec![&y + y.dropout(0.5, false) * 2.0]
    });
    assert_eq!(ops(&module), ["linear", "dropout", "mul", "add"]);
    let nodes: Vec<_> = module.graph().nodes().map(|(_, node)| node).collect();
    assert_eq!(nodes[3].inputs().next(), Some(nodes[0].results[0]));
    assert_eq!(nodes[2].inputs().next(), Some(nodes[1].results[0]));
}

#[test]
fn an_output_may_be_an_input_a_parameter_or_a_constant() {
    let vs = store();
    let w = vs.root().randn_standard("w", &[3]);
    let one = Tensor::from_slice(&[1.0_f32]);
    let module =
        check(&vs, &[randn(&[2, 3])], |xs| vec![xs[0].shallow_clone(), w.shallow_clone(), one.shallow_clone()]);
    assert_eq!(ops(&module), Vec::<String>::new());
}

#[test]
fn an_input_given_twice_is_two_inputs() {
    let vs = store();
    let w = vs.root().randn_standard("w", &[3]);
    let x = randn(&[3]);
    let module = trace(&vs, &[x.shallow_clone(), x], |xs| vec![&xs[0] * &w - &xs[1]]).expect("traced");
    let inputs = [Tensor::from_slice(&[1.0_f32, 1.0, 1.0]), Tensor::zeros([3], FLOAT)];
    let outputs = module.forward(&inputs, Mode::Eval).expect("it runs");
    assert!(outputs[0].equal(&w));
}

#[test]
fn an_example_changed_in_place_is_left_as_it_was() {
    let vs = store();
    let w = vs.root().randn_standard("w", &[3]);
    let x = randn(&[2, 3]);
    let before = x.copy();
    check(&vs, &[x.shallow_clone()], |xs| vec![xs[0].shallow_clone().relu_() * &w]);
    assert!(x.equal(&before));
}

#[test]
fn dead_operations_and_unused_variables_are_left_out_and_named() {
    let vs = store();
    let (fc, spare) = (linear(&vs, "fc", 3, 4), linear(&vs, "spare", 3, 4));
    let module = check(&vs, &[randn(&[2, 3])], |xs| {
        let _unused = spare.forward(&xs[0]).exp();
        vec![fc.forward(&xs[0])]
    });
    assert_eq!(ops(&module), ["linear"]);
    assert_eq!(module.warnings(), ["no output depends on spare.bias, spare.weight: not part of the graph"]);
}

#[test]
fn a_frozen_variable_is_a_parameter() {
    let mut vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    vs.freeze();
    let module = check(&vs, &[randn(&[2, 3])], |xs| vec![fc.forward(&xs[0])]);
    assert_eq!(names(&module, Origin::Parameter), ["fc.weight", "fc.bias"]);
    assert!(!fc.ws.requires_grad());
}

#[test]
fn a_number_read_from_a_tensor_is_burnt_in_with_a_warning() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = trace(&vs, &[randn(&[2, 3])], |xs| {
        let y = fc.forward(&xs[0]);
        let peak = y.max().double_value(&[]);
        vec![y / peak]
    })
    .expect("traced");
    assert_eq!(ops(&module), ["linear", "div"]);
    assert!(module.warnings().iter().any(|warning| warning.contains("aten::item")), "{:?}", module.warnings());
}

#[test]
fn what_runs_without_gradients_in_the_closure_does_in_the_graph() {
    let vs = store();
    let (frozen, fc) = (linear(&vs, "frozen", 3, 4), linear(&vs, "fc", 4, 2));
    let mean = vs.root().zeros_no_train("mean", &[4]);
    // In `no_grad` around the trace the closure is traced as it is without.
    let module = tch::no_grad(|| {
        trace(&vs, &[randn(&[5, 3])], |xs| {
            let ys = tch::no_grad(|| {
                let _ = fc.ws.shallow_clone().clamp_(-0.4, 0.4);
                frozen.forward(&xs[0]).relu()
            });
            let zs = &ys + fc.ws.sum(Kind::Float);
            tch::no_grad(|| {
                mean.shallow_clone().copy_(&(&mean * 0.9 + zs.mean_dim([0_i64].as_slice(), false, None) * 0.1));
            });
            vec![fc.forward(&(zs - &mean))]
        })
    })
    .expect("traced");
    assert!(module.warnings().is_empty(), "{:?}", module.warnings());
    assert_eq!(module.graph().to_string().parse(), Ok(module.graph().clone()));
    let mut optimizer = nn::Sgd::default().build(&vs, 0.1).expect("an optimiser");
    for _ in 0..2 {
        let before = mean.copy();
        let ys = &module.forward(&[randn(&[5, 3])], Mode::Train).expect("it runs")[0];
        optimizer.backward_step(&ys.square().sum(Kind::Float));
        assert!(!mean.requires_grad() && !mean.equal(&before));
        assert!(!frozen.ws.grad().defined() && fc.ws.grad().defined());
    }
}

#[test]
fn a_closure_wholly_without_gradients_and_an_input_that_is_not_read_are_told() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = trace(&vs, &[randn(&[2, 3]), randn(&[2, 3])], |xs| tch::no_grad(|| vec![fc.forward(&xs[0])]));
    let warnings = module.expect("traced").warnings().join("; ");
    assert!(warnings.contains("no output depends on input1"), "{warnings}");
    assert!(warnings.contains("every parameter is read without gradients"), "{warnings}");
}

#[test]
fn statistics_updated_by_a_trace_in_training_mode_are_restored() {
    let vs = store();
    let bn = nn::batch_norm1d(&vs.root() / "bn", 3, nn::BatchNormConfig::default());
    let counter = vs.root().zeros_no_train("counter", &[1]);
    let copies = || vs.variables().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect::<BTreeMap<_, _>>();
    let before = copies();
    let module = trace(&vs, &[randn(&[4, 3])], |xs| {
        let _ = counter.shallow_clone().g_add_scalar_(1.0);
        vec![xs[0].apply_t(&bn, true)]
    })
    .expect("traced");
    for (name, after) in copies() {
        assert!(after.equal(&before[&name]), "{name}");
    }
    assert_eq!(ops(&module), ["add_", "batch_norm"]);
    module.forward(&[randn(&[4, 3])], Mode::Train).expect("it runs");
    assert!(counter.equal(&Tensor::from_slice(&[1.0_f32])), "a run has the side effects that the closure has");
    assert!(!bn.running_mean.equal(&Tensor::zeros([3], FLOAT)));
}

#[test]
fn a_thread_sees_only_its_own_operations() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = trace(&vs, &[randn(&[2, 3])], |xs| {
        let other = std::thread::spawn(|| {
            let vs = store();
            let w = vs.root().randn_standard("w", &[3]);
            let module = trace(&vs, &[randn(&[3])], |xs| vec![(&xs[0] * &w).exp()]).expect("traced");
            ops(&module)
        });
        assert_eq!(other.join().expect("it ends"), ["mul", "exp"]);
        vec![fc.forward(&xs[0])]
    })
    .expect("traced");
    assert_eq!(ops(&module), ["linear"]);
}

#[test]
fn a_closure_that_fails_is_told_and_leaves_the_thread_clean() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let error = refused(&vs, |xs| vec![fc.forward(&xs[0]).matmul(&Tensor::ones([9, 9], FLOAT))]);
    assert!(matches!(&error, TraceError::Closure { message } if message.contains("mat1 and mat2 shapes")), "{error}");
    assert!(!error.to_string().contains("Exception raised"), "{error}");
    let error = refused(&vs, |_| panic!("no such branch"));
    assert_eq!(error, TraceError::Closure { message: "no such branch".to_owned() });
    let module = check(&vs, &[randn(&[2, 3])], |xs| vec![fc.forward(&xs[0])]);
    assert_eq!(ops(&module), ["linear"]);
}

#[test]
fn a_trace_within_a_trace_is_refused_and_the_outer_one_goes_on() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    let module = trace(&vs, &[randn(&[2, 3])], |xs| {
        let inner = trace(&vs, xs, |xs| vec![fc.forward(&xs[0])]);
        assert!(inner.is_err_and(|error| error.to_string().contains("tracing already")));
        vec![fc.forward(&xs[0])]
    })
    .expect("traced");
    assert_eq!(ops(&module), ["linear"]);
}

#[test]
fn a_closure_without_a_graph_is_refused_with_a_reason() {
    let vs = store();
    let fc = linear(&vs, "fc", 3, 4);
    assert_eq!(refused(&vs, |_| Vec::new()), TraceError::NoOutput);
    assert_eq!(refused(&vs, |xs| vec![xs[0].exp()]), TraceError::NoParameter);
    let says = |error: TraceError, what: &str| assert!(error.to_string().contains(what), "{error}");
    says(refused(&vs, |_| vec![Tensor::new()]), "output 0: the tensor is undefined");
    says(refused(&vs, |xs| vec![fc.forward(&xs[0]).to_sparse(None, None::<i64>, None)]), "sparse");
    says(
        refused(&vs, |xs| {
            tch::with_grad(|| fc.forward(&xs[0]).sum(Kind::Float).backward());
            vec![fc.forward(&xs[0])]
        }),
        "backward",
    );
    let transposed = tch::no_grad(|| fc.ws.tr());
    says(refused(&vs, |xs| vec![xs[0].matmul(&transposed)]), "make the view inside the closure");
    let error = trace(&vs, &[Tensor::new()], |_| vec![fc.ws.shallow_clone()]).expect_err("no input");
    says(error, "input 0: the tensor is undefined");
}
