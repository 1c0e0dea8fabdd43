//! Running graphs: as the closure does, in both modes, with gradients and no more memory.
#![cfg(feature = "torch")]

use std::collections::BTreeMap;

use pruner_core::exec::{ExecError, GraphModule, Hooks, Mode, Program};
use pruner_core::graph::{Argument, Dtype, Graph, Origin, TensorMeta};
use pruner_core::ids::{NodeId, ValueId};
use pruner_core::trace::trace;
use tch::nn::{self, Module, ModuleT};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A network with batch norm, built twice with the same numbers.
struct Net {
    vs: nn::VarStore,
    conv: nn::Conv2D,
    bn: nn::BatchNorm,
    fc: nn::Linear,
}

impl Net {
    fn new() -> Self {
        let vs = nn::VarStore::new(Device::Cpu);
        let conv = nn::conv2d(vs.root() / "conv", 2, 4, 3, nn::ConvConfig::default());
        let bn = nn::batch_norm2d(vs.root() / "bn", 4, nn::BatchNormConfig::default());
        let fc = nn::linear(vs.root() / "fc", 16, 3, nn::LinearConfig::default());
        let _no_grad = tch::no_grad_guard();
        for (name, mut tensor) in vs.variables() {
            tensor.copy_(&(waves(&tensor.size(), name.len() as i64) * 0.3).abs());
        }
        Self { vs, conv, bn, fc }
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let y = x.apply(&self.conv).apply_t(&self.bn, train).relu_();
        self.fc.forward(&y.flatten(1, -1))
    }

    fn traced(&self) -> GraphModule {
        trace(&self.vs, &[example(0)], |xs| vec![self.forward(&xs[0], false)]).expect("traced")
    }
}

/// Numbers that look random: the generators are shared by the tests, which run at the same time.
fn waves(shape: &[i64], phase: i64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let positions = Tensor::arange_start(phase, phase + count, (Kind::Double, Device::Cpu));
    (positions * 12.9898).sin().to_kind(Kind::Float).view(shape)
}

fn example(phase: i64) -> Tensor {
    waves(&[5, 2, 4, 4], phase)
}

/// `v0` is an input of shape `[2, 3]`.
fn graph_of(op: &str, overload: &str, arguments: Vec<(&str, Argument)>, results: usize) -> Graph {
    let mut graph = Graph::new();
    graph.add_input("x", TensorMeta::f32([2, 3]));
    let arguments = arguments.into_iter().map(|(name, argument)| (name.to_owned(), argument)).collect();
    let node = graph.add_node(op, overload, arguments, vec![TensorMeta::f32([2, 3]); results]);
    let outputs = graph.node(node).results.clone();
    graph.set_outputs(outputs);
    graph
}

fn x() -> Argument {
    ValueId::new(0).into()
}

#[track_caller]
fn runs(graph: Graph, input: &Tensor) -> Vec<Tensor> {
    let module = GraphModule::new(graph, BTreeMap::new(), Device::Cpu).expect("the graph is well-formed");
    module.forward(&[input.shallow_clone()], Mode::Eval).expect("the graph runs")
}

#[track_caller]
fn refused(graph: Graph) -> String {
    match GraphModule::new(graph, BTreeMap::new(), Device::Cpu) {
        Ok(module) => module.forward(&[waves(&[2, 3], 0)], Mode::Eval).expect_err("it cannot run").to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn both_modes_give_the_numbers_and_gradients_of_the_closure() {
    let (net, peer) = (Net::new(), Net::new());
    let module = net.traced();
    for (step, train) in [false, true, true, false].into_iter().enumerate() {
        let input = example(100 * step as i64);
        let output = module.forward_t(&input, train);
        let expected = peer.forward(&input, train);
        assert!(output.equal(&expected), "step {step}");
        output.square().sum(Kind::Float).backward();
        expected.square().sum(Kind::Float).backward();
        let expected = peer.vs.variables();
        for (name, tensor) in net.vs.variables() {
            assert!(tensor.equal(&expected[&name]), "{name} after step {step}");
            if tensor.requires_grad() {
                assert!(tensor.grad().equal(&expected[&name].grad()), "gradient of {name} after step {step}");
            }
        }
    }
    assert!(!net.bn.running_mean.equal(&Net::new().bn.running_mean), "training updates the statistics");
}

#[test]
fn the_tensors_of_a_module_are_the_variables_themselves() {
    let net = Net::new();
    let module = net.traced();
    let names: Vec<_> = module.parameters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["bn.bias", "bn.weight", "conv.bias", "conv.weight", "fc.bias", "fc.weight"]);
    let buffers: Vec<_> = module.buffers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(buffers, ["bn.running_mean", "bn.running_var"]);
    assert_eq!(module.named_tensors().len(), 8);
    let _ = tch::no_grad(|| net.fc.ws.shallow_clone().fill_(0.0));
    let output = module.forward_t(&example(0), false);
    assert!(output.equal(&net.fc.bs.as_ref().expect("a bias").expand([5, 3], false)));
}

#[test]
fn a_norm_without_statistics_takes_those_of_its_input_in_both_modes() {
    let vs = nn::VarStore::new(Device::Cpu);
    let scale = vs.root().ones("scale", &[2]);
    let module = trace(&vs, &[example(0)], |xs| {
        vec![Tensor::instance_norm(&xs[0], Some(&scale), None, None, None, true, 0.1, 1e-5, false)]
    })
    .expect("traced");
    let train = module.forward_t(&example(1), true);
    assert!(module.forward_t(&example(1), false).equal(&train));
}

#[test]
fn values_are_dropped_after_their_last_use() {
    const BYTES: usize = 16 << 20;
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[1]);
    let module = trace(&vs, &[Tensor::ones([4], FLOAT)], |xs| {
        let mut y = &xs[0] * &w;
        for _ in 0..40 {
            y = &y * &w;
        }
        vec![y]
    })
    .expect("traced");
    let input = [Tensor::ones([BYTES as i64 / 4], FLOAT)];
    let _no_grad = tch::no_grad_guard();
    module.forward(&input, Mode::Eval).expect("it runs");
    let before = resident_bytes();
    let mut peak = before;
    module.forward_observed(&input, Mode::Eval, &mut |_, _| peak = peak.max(resident_bytes())).expect("it runs");
    assert!(peak - before < 4 * BYTES, "{} MiB more", (peak - before) >> 20);
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
fn every_value_that_a_node_makes_is_shown_to_the_observer() {
    let module = Net::new().traced();
    let mut seen = Vec::new();
    module
        .forward_observed(&[example(0)], Mode::Eval, &mut |value, tensor| seen.push((value, tensor.size())))
        .expect("it runs");
    let graph = module.graph();
    let expected: Vec<_> = graph
        .nodes()
        .flat_map(|(_, node)| node.results.iter().map(|&value| (value, graph.shape(value).to_vec())))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn arguments_are_converted_to_the_type_of_the_schema() {
    let input = waves(&[2, 3], 0);
    let ints = |ints: &[i64]| Argument::Ints(ints.to_vec());
    // An integer where the schema has a scalar, and another where it has a number of either kind.
    let outputs =
        runs(graph_of("aten::add", "Scalar", vec![("self", x()), ("other", 2.into()), ("alpha", 3.into())], 1), &input);
    assert!(outputs[0].equal(&(&input + 6.0)));
    // A number where the schema has a tensor, as exported programs have it, keeps the element type.
    let outputs = runs(graph_of("aten::mul", "Tensor", vec![("self", x()), ("other", 2.5.into())], 1), &input);
    assert!(outputs[0].equal(&(&input * 2.5)));
    // An integer where the schema has a floating-point number.
    let outputs = runs(graph_of("aten::leaky_relu", "", vec![("self", x()), ("negative_slope", 2.into())], 1), &input);
    assert!(outputs[0].equal(&input.where_self(&input.gt(0.0), &(&input * 2.0))));
    // One integer for an optional list of one, and a default that is left out.
    let outputs = runs(graph_of("aten::sum", "dim_IntList", vec![("self", x()), ("dim", 1.into())], 1), &input);
    assert!(outputs[0].equal(&input.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)));
    // Symbolic sizes are plain integers, and an element type is one of the graph's.
    let dtype = Argument::Dtype(pruner_core::graph::Dtype::F64);
    let outputs = runs(
        graph_of("aten::sum", "dim_IntList", vec![("self", x()), ("dim", Argument::None), ("dtype", dtype)], 1),
        &input,
    );
    assert_eq!(outputs[0].kind(), Kind::Double);
    let outputs = runs(graph_of("aten::view", "", vec![("self", x()), ("size", ints(&[3, 2]))], 1), &input);
    assert_eq!(outputs[0].size(), [3, 2]);
    // A list that is empty has the type of the schema.
    let outputs = runs(graph_of("aten::constant_pad_nd", "", vec![("self", x()), ("pad", ints(&[]))], 1), &input);
    assert!(outputs[0].equal(&input));
    // A result that is a list counts as so many.
    let outputs = runs(
        graph_of("aten::split", "Tensor", vec![("self", x()), ("split_size", 2.into()), ("dim", 1.into())], 2),
        &input,
    );
    assert_eq!((outputs[0].size(), outputs[1].size()), (vec![2, 2], vec![2, 1]));
}

#[test]
fn a_list_may_hold_absent_tensors() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", TensorMeta::f32([2, 3]));
    let index = graph.add_value(
        "index",
        Origin::Constant,
        TensorMeta { shape: vec![2], dtype: pruner_core::graph::Dtype::I64 },
    );
    let indices = Argument::Values(vec![None, Some(index)]);
    let y = graph.call("aten::index.Tensor", vec![("self", x.into()), ("indices", indices)], TensorMeta::f32([2, 2]));
    graph.set_outputs(vec![y]);
    let tensors = BTreeMap::from([(index, Tensor::from_slice(&[2_i64, 0]))]);
    let mut module = GraphModule::new(graph, tensors, Device::Cpu).expect("the graph is well-formed");
    let input = waves(&[2, 3], 0);
    let outputs = module.forward(&[input.shallow_clone()], Mode::Eval).expect("it runs");
    assert!(outputs[0].equal(&input.index_select(1, &Tensor::from_slice(&[2_i64, 0]))));
    module.set_constant(index, Tensor::from_slice(&[1_i64])).expect("a constant");
    let outputs = module.forward(&[input.shallow_clone()], Mode::Eval).expect("it runs");
    assert!(outputs[0].equal(&input.narrow(1, 1, 1)));
    let error = module.set_constant(x, input).expect_err("an input");
    assert_eq!(error, ExecError::NotConstant { value: x, name: "x".to_owned() });
}

#[test]
fn a_graph_that_cannot_run_names_the_node_and_says_why() {
    let check = |graph, expected: &[&str]| {
        let error = refused(graph);
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    };
    check(graph_of("aten::nothing", "", vec![], 1), &["n0 (aten::nothing): libtorch has no operator"]);
    check(graph_of("aten::relu", "", vec![], 1), &["n0 (aten::relu): argument `self` is missing"]);
    check(graph_of("aten::relu", "", vec![("self", x()), ("pad", 1.into())], 1), &["there is no argument `pad`"]);
    check(graph_of("aten::relu", "", vec![("self", x()), ("self", x())], 1), &["given twice"]);
    check(
        graph_of("aten::relu", "", vec![("self", Argument::Str("x".into()))], 1),
        &["argument `self` is of another type"],
    );
    check(graph_of("aten::relu", "", vec![("self", Argument::Str("a\0b".into()))], 1), &["nul"]);
    check(
        graph_of("aten::view", "", vec![("self", x()), ("size", Argument::Ints(vec![4]))], 1),
        &["n0 (aten::view): ", "shape '[4]' is invalid"],
    );
    check(
        graph_of("aten::relu", "", vec![("self", x())], 2),
        &["n0 (aten::relu) made 1 tensors where the graph has 2 results"],
    );
    check(graph_of("aten::relu", "", vec![("self", ValueId::new(1).into())], 1), &["n0 (aten::relu) reads v1"]);
    check(graph_of("aten::relu", "", vec![("self", ValueId::new(9).into())], 1), &["n0 (aten::relu) reads v9"]);
    let mut graph = Graph::new();
    graph.add_parameter("fc.weight", TensorMeta::f32([3]));
    check(graph, &["no tensor is stored for `fc.weight` (v0)"]);
    check(Graph::new(), &["takes 0 tensors and was given 1"]);
}

#[test]
fn a_graph_that_is_refused_leaves_the_module_as_it_was() {
    let mut module = Net::new().traced();
    let before = module.graph().clone();
    let output = module.forward_t(&example(0), false);
    let mut broken = before.clone();
    broken.node_mut(NodeId::new(0)).op = "aten::nothing".to_owned();
    module.replace_graph(broken).expect_err("there is no such operator");
    assert_eq!(module.graph(), &before);
    assert!(module.forward_t(&example(0), false).equal(&output));
    let mut linear = before.clone();
    let relu = before.nodes().find(|(_, node)| node.op == "aten::relu_").expect("it has one").0;
    linear.node_mut(relu).op = "aten::abs_".to_owned();
    module.replace_graph(linear).expect("it fits");
    assert!(!module.forward_t(&example(0), false).equal(&output));
}

#[test]
fn a_batch_of_another_size_than_the_traced_one_is_run_though_the_code_burns_it_in() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[6]);
    let module = trace(&vs, &[waves(&[2, 2, 3], 0)], |xs| vec![xs[0].view([2, 6]) * &w]).expect("traced");
    for size in [2, 5, 5, 7, 5, 8, 9, 10, 2, 1] {
        let batch = waves(&[size, 2, 3], 0);
        let outputs = module.forward(&[batch.shallow_clone()], Mode::Eval).expect("the view follows the batch");
        assert!(outputs[0].equal(&batch.view([size, 6])));
    }
}

#[test]
fn an_input_that_the_code_cannot_follow_is_an_error_that_names_the_node() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[6]);
    let module = trace(&vs, &[waves(&[2, 2, 3], 0)], |xs| vec![xs[0].view([2, 6]) * &w]).expect("traced");
    let error = module.forward(&[waves(&[2, 5, 3], 0)], Mode::Eval).expect_err("the parameter has 6 elements");
    assert!(error.to_string().starts_with('n'), "{error}");
}

#[test]
fn factories_make_their_tensors_where_the_graph_runs() {
    let mut graph = Graph::new();
    let device = Argument::Device("cuda:7".to_owned());
    let made = graph.call("aten::ones", vec![("size", [2].into()), ("device", device)], TensorMeta::f32([2]));
    graph.set_outputs(vec![made]);
    let program = Program::compile(&graph, Device::Cpu).expect("the graph is well-formed");
    let outputs = program.run(&[], &[], Mode::Eval, Hooks::default()).expect("it runs");
    assert_eq!(outputs[0].device(), Device::Cpu);
}

#[test]
fn a_module_can_be_sent_to_another_thread_and_its_programs_shared() {
    fn is_sync<T: Sync>() {}
    is_sync::<Program>();
    let net = Net::new();
    let module = net.traced();
    let expected = module.forward_t(&example(0), false);
    let output = std::thread::spawn(move || module.forward_t(&example(0), false)).join().expect("it runs");
    assert!(output.equal(&expected));
}

#[test]
fn what_is_asserted_of_element_types_does_not_stop_a_run() {
    let arguments = vec![("a", Argument::Value(ValueId::new(0))), ("dtype", Argument::Dtype(Dtype::BF16))];
    let mut graph = graph_of("aten::_assert_tensor_metadata", "", arguments, 0);
    graph.set_outputs(vec![ValueId::new(0)]);
    let module = GraphModule::new(graph, BTreeMap::new(), Device::Cpu).expect("it is prepared");
    let x = waves(&[2, 3], 1);
    assert_eq!(module.forward(&[x.shallow_clone()], Mode::Eval).expect("it runs"), [x]);
}
