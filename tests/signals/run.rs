//! Signals in a run: one pass for all criteria, what is refused and with what words, and what they take.

use std::cell::Cell;

use pruner::calibration::{Batch, Loader, Loss};
use pruner::criteria::{Flap, Grasp, Hessian, Magnitude, Mix, Taylor, TaylorGate, Wanda};
use pruner::deps::Group as _;
use pruner::importance::{Importance, Signal, importance_from};
use pruner::plan::Limits;
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::registry;
use pruner::schedulers::Linear;
use pruner_bench::rng::Rng;
use serde_json::Value;
use tch::{Kind, Tensor, nn};

use crate::common::{Net, Snapshot};
use crate::support::{Wide, close, loss, one, union};

/// Batches, and how many were taken.
struct Counted {
    batches: Vec<Batch>,
    taken: Cell<usize>,
}

impl Loader for Counted {
    fn batches(&self) -> Box<dyn Iterator<Item = Batch> + '_> {
        Box::new(self.batches.as_slice().batches().inspect(|_| self.taken.set(self.taken.get() + 1)))
    }
}

fn pruner(net: &Wide, importance: impl Importance + 'static) -> GroupPruner {
    let settings = Settings::new(Box::new(importance), Box::new(Linear {})).with_limits(Limits::new(0.5));
    GroupPruner::new(&net.module, settings).expect("it can be pruned")
}

#[test]
fn batches_are_gone_through_once_for_all_criteria_and_once_more_for_curvature() {
    let net = Wide::smooth();
    let mix = || Mix::new().with(Taylor::default(), 1.0).with(Wanda::default(), 1.0).with(Hessian::default(), 1.0);
    let mut one = pruner(&net, mix());
    assert_eq!(one.settings().needs(), Signal::Gradients | Signal::MeanSquare | Signal::SquaredGradients);
    let loader = Counted { batches: net.batches(), taken: Cell::new(0) };
    let signals = one.gather(&net.module, &loader, Some(&loss)).expect("they are gathered");
    assert_eq!(signals.gathered(), Signal::Gradients | Signal::MeanSquare | Signal::SquaredGradients);
    assert_eq!(loader.taken.replace(0), 3);
    let mut two = pruner(&net, mix().with(Grasp::default(), 1.0));
    two.gather(&net.module, &loader, Some(&loss)).expect("they are gathered");
    assert_eq!(loader.taken.replace(0), 6);
    let mut none = pruner(&net, Magnitude::default());
    none.gather(&net.module, &loader, None).expect("there is nothing to gather");
    assert_eq!(loader.taken.get(), 0);
}

#[test]
fn numbers_do_not_depend_on_how_samples_are_batched() {
    let net = Wide::smooth();
    let wanted = Signal::of_data();
    let (apart, together) = (net.gather(wanted, &net.batches()), net.gather(wanted, &vec![union(&net.batches())]));
    for (name, id) in net.parameters() {
        for signal in [Signal::Gradients, Signal::SquaredGradients, Signal::HessianGradients] {
            let (a, b) = (apart.weight(signal, id).expect("one"), together.weight(signal, id).expect("one"));
            crate::support::close(a, b, &format!("{signal:?} of {name}"));
        }
    }
    for group in net.groups() {
        for (a, b) in apart.activations(group.id()).iter().zip(together.activations(group.id())) {
            for (signal, numbers) in &a.statistics {
                crate::support::near(numbers, &b.statistics[signal], 1e-6, group.name());
            }
        }
    }
}

#[track_caller]
fn refused(batches: &dyn Loader, loss: Option<Loss<'_>>, importance: impl Importance + 'static, says: &str) {
    let net = Wide::smooth();
    let before = Snapshot::of(&net.vs);
    let error = pruner(&net, importance).gather(&net.module, batches, loss).expect_err("it is refused").to_string();
    assert!(error.contains(says), "{error}");
    before.assert_unchanged(&net.vs, "what was refused");
}

#[test]
fn data_and_losses_that_make_no_sense_are_refused_with_what_is_wrong() {
    let net = Wide::smooth();
    let good = net.batches();
    refused(&Vec::new(), Some(&loss), Taylor::default(), "there are no calibration batches");
    refused(&good, None, Taylor::default(), "Gradients is computed from a loss; give one");
    let ragged =
        vec![Batch::new(net.samples(2, 1)).with_targets(vec![Tensor::zeros([3, 2], (Kind::Double, tch::Device::Cpu))])];
    refused(&ragged, Some(&loss), Taylor::default(), "a batch has tensors of shapes [[2, 3, 4, 4], [3, 2]]");
    refused(&vec![Batch::new(Vec::new())], None, Wanda::default(), "a batch has tensors of shapes []");
    let empty = vec![Batch::new(vec![Tensor::zeros([0, 3, 4, 4], (Kind::Double, tch::Device::Cpu))])];
    refused(&empty, None, Wanda::default(), "one at least");
    let vector = |outputs: &[Tensor], _: &[Tensor]| Ok(outputs[0].shallow_clone());
    refused(&good, Some(&vector), Taylor::default(), "the loss has shape [2, 2]; it is one number");
    let constant = |_: &[Tensor], _: &[Tensor]| Ok(Tensor::from(1.0_f64));
    for importance in [&Taylor::default() as &dyn Importance, &TaylorGate::default(), &Grasp::default()] {
        let importance = dyn_clone(importance);
        let net = Wide::smooth();
        let settings = Settings::new(importance, Box::new(Linear {}));
        let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        let error = pruner.gather(&net.module, &good, Some(&constant)).expect_err("it depends on nothing").to_string();
        assert!(error.contains("the loss of batch 0 cannot be differentiated"), "{error}");
    }
    let wrong = vec![Batch::new(vec![Tensor::zeros([2, 5, 4, 4], (Kind::Double, tch::Device::Cpu))])];
    refused(&wrong, None, Wanda::default(), "batch 0: ");
    let failing = |outputs: &[Tensor], _: &[Tensor]| outputs[0].f_view([7_i64].as_slice());
    refused(&good, Some(&failing), Taylor::default(), "libtorch");
}

fn dyn_clone(importance: &dyn Importance) -> Box<dyn Importance> {
    let config = serde_json::to_value(importance).expect("it is written");
    pruner::importance::importance_from_config(config).expect("it is read")
}

#[test]
fn what_was_gathered_before_a_cut_is_gathered_anew_after_it() {
    for name in ["wanda", "flap", "hessian", "grasp", "activation", "taylor-gate", "group-fisher"] {
        let mut net = Wide::smooth();
        let importance = importance_from(name, Value::Null).expect("it is one");
        let settings = Settings::new(importance, Box::new(Linear {})).with_steps(2).with_limits(Limits::new(0.5));
        let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        let error = pruner.plan(&net.module).expect_err("nothing was gathered").to_string();
        assert!(error.contains("was not gathered; give calibration batches to `GroupPruner::gather`"), "{error}");
        let batches = net.batches();
        pruner.gather(&net.module, &batches, Some(&loss)).expect("they are gathered");
        assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned(), "{name}");
        let before = Snapshot::of(&net.vs);
        let error = pruner.step(&mut net.module, &mut ()).expect_err("it was of another network").to_string();
        assert!(error.contains("was not gathered"), "{name}: {error}");
        before.assert_unchanged(&net.vs, name);
        pruner.gather(&net.module, &batches, Some(&loss)).expect("they are gathered");
        assert!(pruner.step(&mut net.module, &mut ()).expect("a step").pruned(), "{name}");
    }
}

#[test]
fn nan_in_the_data_is_told_in_the_report() {
    for plugin in registry::importances() {
        let importance = importance_from(plugin.name, Value::Null).expect("every option has a default");
        if importance.needs().is_disjoint(Signal::of_data()) {
            continue;
        }
        let net = Wide::smooth();
        let settings = Settings::new(importance, Box::new(Linear {}));
        let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
        let mut batches = net.batches();
        batches[1].inputs[0] = batches[1].inputs[0].full_like(f64::NAN);
        pruner.gather(&net.module, &batches, Some(&loss)).expect("they are gathered");
        let selection = pruner.plan(&net.module).expect("a plan");
        let report = serde_json::to_string(&pruner.preview(&selection)).expect("it is written");
        assert!(selection.plan().is_empty(), "{}: {report}", plugin.name);
        assert!(report.contains("non-finite-score"), "{}: {report}", plugin.name);
    }
}

#[test]
fn signals_take_the_bytes_that_they_say() {
    let net = Net::mlp(&[6, 12, 10, 4]);
    let analysis = pruner::deps::Analysis::new(net.module.graph()).expect("the graph is sound");
    let params: u64 = net.module.parameters().iter().map(|(_, tensor)| 4 * tensor.numel() as u64).sum();
    let batches = vec![Batch::new(vec![Tensor::randn([5, 6], (Kind::Float, tch::Device::Cpu))])];
    let mean = |outputs: &[Tensor], _: &[Tensor]| outputs[0].f_square()?.f_mean(None);
    let bytes = |signal: Signal| {
        let kept = pruner::deps::Kept::all();
        let signals = pruner::calibration::gather(&net.module, &analysis, &kept, signal.into(), &batches, Some(&mean));
        signals.expect("they are gathered").bytes()
    };
    for signal in [Signal::Gradients, Signal::SquaredGradients, Signal::HessianGradients] {
        // No loss is curved along the bias alone, so that some of the last need not be there.
        assert_eq!(bytes(signal), params, "{signal:?}");
    }
    for signal in [Signal::Mean, Signal::Variance, Signal::NonZero, Signal::Gate, Signal::SquaredGate] {
        assert_eq!(bytes(signal), 8 * (12 + 10), "{signal:?}");
    }
    assert_eq!(bytes(Signal::Costs), 0);
}

#[test]
fn flap_is_gathered_without_a_loss_and_compensates() {
    let net = Wide::smooth();
    let mut run = pruner(&net, Flap::default());
    assert_eq!(run.settings().needs(), Signal::Variance | Signal::Mean);
    run.gather(&net.module, &net.batches(), None).expect("no loss is needed");
    assert!(pruner(&net, Flap::default().uncompensated()).settings().needs() == Signal::Variance);
}

#[test]
fn a_network_made_with_one_sample_that_runs_no_more_gets_them_one_by_one() {
    let net = || {
        Wide::new(vec![Rng::new(9).tensor(&[1, 6], -1.0, 1.0)], |vs| {
            let (fc1, fc2) = (
                nn::linear(vs / "fc1", 6, 5, nn::LinearConfig::default()),
                nn::linear(vs / "fc2", 6, 2, nn::LinearConfig::default()),
            );
            let bias = vs.var("start", &[1, 1], nn::Init::Const(0.3));
            // One sample of it, whatever the batch is.
            one(move |xs| Tensor::cat(&[bias.shallow_clone(), xs.apply(&fc1).tanh()], 1).apply(&fc2))
        })
    };
    let wanted = Signal::Gradients | Signal::Mean | Signal::HessianGradients;
    let net = net();
    let batches = vec![net.batch(1, 1), net.batch(1, 2), net.batch(1, 3)];
    let together = vec![union(&batches)];
    assert!(net.module.forward(&together[0].inputs, pruner::exec::Mode::Eval).is_err(), "it runs one alone");
    let (alone, found) = (net.gather(wanted, &batches), net.gather(wanted, &together));
    for (name, value) in net.parameters() {
        for signal in [Signal::Gradients, Signal::HessianGradients] {
            match (found.weight(signal, value), alone.weight(signal, value)) {
                (Some(found), Some(expected)) => close(found, expected, &name),
                (found, expected) => assert_eq!(found.is_some(), expected.is_some(), "{name}"),
            }
        }
    }
}
