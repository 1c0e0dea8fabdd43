//! Traced networks written as archives of `torch.export`, and read again. What PyTorch says of them is in `tests/pytorch`.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{Net, Snapshot, relative, settings};
use pruner::deps::{Analysis, AxisGroup, Group as _};
use pruner::exec::{ExecError, GraphModule, Mode, SaveError};
use pruner::graph::{Graph, TensorMeta};
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner::pt2::Pt2;
use pruner_bench::models::all;
use pruner_bench::rng::Rng;
use tch::{Device, Tensor};

/// The random number generator is shared by the tests of a program, and one of them draws the same numbers twice.
static GENERATOR: Mutex<()> = Mutex::new(());

fn generator() -> MutexGuard<'static, ()> {
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn saved(module: &GraphModule, inputs: &[Tensor], mode: Mode) -> (tempfile::TempDir, GraphModule) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.pt2");
    module.save(inputs, mode, &path).expect("it is saved");
    let loaded = load(&path);
    (folder, loaded)
}

fn load(path: &Path) -> GraphModule {
    GraphModule::load(&Pt2::open(path).expect("it is an archive"), Device::Cpu).expect("it is loaded")
}

#[test]
fn every_network_comes_back_from_its_archive() {
    let _alone = generator();
    let nets = all().into_iter().map(|spec| (spec.name, Net::named(spec.name)));
    for (name, net) in nets.chain([("manifold", Net::manifold())]) {
        let before = Snapshot::of(&net.vs);
        let (_folder, loaded) = saved(&net.module, &net.inputs, Mode::Eval);
        before.assert_unchanged(&net.vs, name);
        assert_eq!(loaded.graph().nodes().len(), net.module.graph().nodes().len(), "{name}");
        let names = |module: &GraphModule| module.named_tensors().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(&loaded), names(&net.module), "{name}");
        // Statistics of small batches enlarge what another order of summation changes.
        for (mode, tolerance) in [(Mode::Eval, 1e-6), (Mode::Train, 1e-4)] {
            tch::manual_seed(1);
            let expected = net.module.forward(&net.inputs, mode).expect("it runs");
            tch::manual_seed(1);
            let outputs = loaded.forward(&net.inputs, mode).expect("it runs");
            for (output, expected) in outputs.iter().zip(&expected) {
                let error = relative(output, expected);
                assert!(error <= tolerance, "{name}, {mode:?}: {error:.1e}");
            }
        }
        let analyses = [&net.module, &loaded].map(|module| Analysis::new(module.graph()).expect("it is sound"));
        let group = |group: &AxisGroup| {
            (group.name().to_owned(), group.size(), group.pin().is_some(), group.inexact().is_some())
        };
        let groups = analyses.map(|analysis| analysis.groups().iter().map(group).collect::<BTreeSet<_>>());
        assert_eq!(groups[0], groups[1], "{name}");
    }
}

#[test]
fn what_is_frozen_comes_back_frozen() {
    let _alone = generator();
    let net = Net::named("resnet18");
    let frozen = |name: &str| name.starts_with("layer1.");
    for (name, tensor) in net.module.named_tensors() {
        let _ = tensor.set_requires_grad(tensor.requires_grad() && !frozen(&name));
    }
    let (_folder, loaded) = saved(&net.module, &net.inputs, Mode::Eval);
    let trained = |module: &GraphModule| {
        let tensors = module.named_tensors().into_iter();
        tensors.filter(|(_, tensor)| tensor.requires_grad()).map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(trained(&loaded), trained(&net.module));
    assert!(!trained(&loaded).is_empty() && trained(&loaded).iter().all(|name| !frozen(name)));
}

#[test]
fn a_cut_network_is_saved_with_the_batch_of_the_sample_inputs() {
    let _alone = generator();
    let mut net = Net::manifold();
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("the settings are sound");
    assert!(pruner.step(&mut net.module, &mut ()).expect("it is cut").pruned());
    let inputs = [Rng::new(5).tensor(&[7, 6, 4], -1.0, 1.0), Rng::new(6).indices(&[7, 6], 9)];
    let (_folder, loaded) = saved(&net.module, &inputs, Mode::Eval);
    assert_eq!(loaded.graph().shape(loaded.graph().inputs()[0]), [7, 6, 4]);
    let run = |module: &GraphModule| module.forward(&inputs, Mode::Eval).expect("it runs");
    for (output, expected) in run(&loaded).iter().zip(&run(&net.module)) {
        assert!(relative(output, expected) < 1e-6);
    }
    let without = |module: &GraphModule| module.graph().nodes().filter(|(_, node)| node.no_grad).count();
    assert!(without(&loaded) > 0 && without(&loaded) == without(&net.module));
}

#[test]
fn what_cannot_be_saved_is_refused_and_nothing_is_written() {
    let _alone = generator();
    let net = Net::manifold();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.pt2");
    let save =
        |module: &GraphModule, inputs: &[Tensor]| module.save(inputs, Mode::Eval, &path).expect_err("it is refused");
    let error = save(&net.module, &net.inputs[..1]);
    assert!(matches!(error, SaveError::Exec(ExecError::InputCount { expected: 2, given: 1 })), "{error}");
    let longer = [net.inputs[0].shallow_clone(), Rng::new(6).indices(&[3, 5], 9)];
    assert!(matches!(save(&net.module, &longer), SaveError::Shapes { .. } | SaveError::Exec(ExecError::Run { .. })));

    let product = |names: [&str; 2]| {
        let mut graph = Graph::new();
        let weights = names.map(|name| graph.add_parameter(name, TensorMeta::f32([2])));
        let arguments = vec![("self", weights[0].into()), ("other", weights[1].into())];
        let sum = graph.call("aten::mul.Tensor", arguments, TensorMeta::f32([2]));
        graph.set_outputs(vec![sum]);
        let tensors = weights.map(|weight| (weight, Tensor::ones([2], tch::kind::FLOAT_CPU)));
        GraphModule::new(graph, tensors.into(), Device::Cpu).expect("it is sound")
    };
    for (names, told) in [
        (["a.b", "a"], "stored tensor `a.b`: its name is inside of that of another stored tensor"),
        (["a..b", "c"], "stored tensor `a..b`: its name is no path of attributes, such as `layer.weight`"),
    ] {
        let error = save(&product(names), &[]);
        assert_eq!(error.to_string(), told);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is a folder").count(), 0);
    net.module.save(&net.inputs, Mode::Eval, &folder.path().join("no/model.pt2")).expect_err("there is no such folder");
}
