//! A run of iterative pruning that can be killed and goes on: a step, and an epoch only where there is something to recover from.
#![allow(clippy::print_stdout, reason = "an example talks")]

use pruner::criteria::Magnitude;
use pruner::events::Cost;
use pruner::exec::Mode;
use pruner::iterative::{Bars, Closures, IterativePruning, IterativeSettings, JsonLines, Network};
use pruner::optim::{Sgd, SgdSettings};
use pruner::page::page;
use pruner::plan::Limits;
use pruner::pruner::{GroupPruner, Settings};
use pruner::schedulers::Cubic;
use pruner::trace::trace;
use tch::nn::ModuleT as _;
use tch::{Device, Kind, Tensor, nn};

/// An epoch: all points once.
fn train(network: &mut Network<'_>, points: &Tensor, classes: &Tensor) -> anyhow::Result<Cost> {
    for batch in 0..16 {
        let (xs, ys) = (points.narrow(0, 32 * batch, 32), classes.narrow(0, 32 * batch, 32));
        let logits = &network.module.forward(&[xs], Mode::Train)?[0];
        network.optimizer.backward_step(&logits.cross_entropy_for_logits(&ys))?;
    }
    Ok(Cost { samples: 512, ..Cost::default() })
}

fn main() -> anyhow::Result<()> {
    tch::manual_seed(0);
    let vs = nn::VarStore::new(Device::Cpu);
    let layer = |path: &str, from, to| nn::linear(&vs.root() / path, from, to, nn::LinearConfig::default());
    let net = nn::seq().add(layer("first", 20, 64)).add_fn(Tensor::relu).add(layer("second", 64, 48));
    let net = net.add_fn(Tensor::relu).add(layer("head", 48, 2));
    let points = Tensor::randn([512, 20], (Kind::Float, Device::Cpu));
    let classes = points.square().sum_dim_intlist([1].as_slice(), false, Kind::Float).gt(20.0).to_kind(Kind::Int64);

    let mut module = trace(&vs, &[points.narrow(0, 0, 1)], |inputs| vec![net.forward_t(&inputs[0], true)])?;
    let mut optimizer = Sgd::new(module.parameters(), SgdSettings::default().with_lr(0.05).with_momentum(0.9));
    let mut training = Closures::new(
        |network: &mut Network<'_>, _epoch| Ok(train(network, &points, &classes)?),
        |network: &mut Network<'_>| {
            let logits = &network.module.forward(&[points.shallow_clone()], Mode::Eval)?[0];
            Ok(logits.accuracy_for_logits(&classes).double_value(&[]))
        },
    );

    // Pruned is what was trained.
    let mut network = Network { module: &mut module, optimizer: &mut optimizer };
    for _ in 0..30 {
        train(&mut network, &points, &classes)?;
    }
    let settings = Settings::new(Box::new(Magnitude::default()), Box::new(Cubic {}))
        .with_steps(12)
        .with_limits(Limits::new(0.5).with_round_to(8));
    let settings_of_run =
        IterativeSettings::default().with_measure("accuracy").with_max_drop(0.05).with_final_epochs(3);
    let folder = std::env::temp_dir().join("pruner-iterative");
    std::fs::create_dir_all(&folder)?;
    let mut run = IterativePruning::new(GroupPruner::new(&module, settings)?, settings_of_run)?
        .with_observer(Bars::default())
        .with_observer(JsonLines::new(folder.join("events.jsonl")))
        .with_checkpoint(folder.join("run.checkpoint"));
    let mut network = Network { module: &mut module, optimizer: &mut optimizer };
    if run.resume(&mut network, &mut training)? {
        println!("going on after step {}", run.history().rows().len());
    }
    let stop = run.run(&mut network, &mut training)?;

    let summary = run.history().summary();
    println!("{stop}: {} of {} epochs skipped", summary.epochs_skipped, summary.epochs + summary.epochs_skipped);
    std::fs::write(folder.join("report.html"), page("An example", run.history()))?;
    println!("{}", folder.join("report.html").display());
    Ok(())
}
