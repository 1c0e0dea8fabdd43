//! The loop that trains only where there is something to recover from: what it does, in which order, and why it stops.

mod common;

use std::cell::{Cell, RefCell};

use common::{Net, settings};
use pruner::events::{Cost, Event, Stage, Stop, TrainPolicy, read_log};
use pruner::exec::{GraphModule, Mode};
use pruner::iterative::{
    AnyError, Closures, Epoch, IterativeError, IterativePruning, IterativeSettings, JsonLines, Network, Observer,
    Progress, Stride,
};
use pruner::optim::{AdamW, AdamWSettings, Optimizer, Sgd, SgdSettings};
use pruner::plan::{Limits, StopReason};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::report::Outcome;
use tch::{Device, Kind, Tensor};

/// Ten steps to half of the channels in eights: several of them prune nothing.
fn in_eights() -> Settings {
    settings(0.5).with_steps(10).with_limits(Limits::new(0.5).with_round_to(8))
}

fn net() -> Net {
    Net::mlp(&[6, 32, 16, 4])
}

/// One step of the optimiser towards fixed outputs.
fn train(network: &mut Network<'_>, inputs: &[Tensor]) -> Result<Cost, AnyError> {
    let outputs = network.module.forward(inputs, Mode::Train)?;
    let target = Tensor::linspace(-1, 1, outputs[0].numel() as i64, (Kind::Float, Device::Cpu)).view_as(&outputs[0]);
    network.optimizer.backward_step(&outputs[0].mse_loss(&target, tch::Reduction::Mean))?;
    Ok(Cost { samples: inputs[0].size()[0] as u64, macs: 1000, seconds: 0.5, joules: None })
}

fn pruner(net: &Net, settings: Settings) -> GroupPruner {
    GroupPruner::new(&net.module, settings).expect("the network can be pruned")
}

/// Runs to the end, with a quality for every network that is judged.
fn run<'a>(
    net: &mut Net,
    optimizer: &mut dyn Optimizer,
    run: &mut IterativePruning<'a, GroupPruner>,
    quality: &dyn Fn(&GraphModule) -> f64,
) -> Stop {
    let inputs: Vec<Tensor> = net.inputs.iter().map(Tensor::shallow_clone).collect();
    let mut training =
        Closures::new(|network: &mut Network<'_>, _| train(network, &inputs), |network| Ok(quality(network.module)));
    run.run(&mut Network { module: &mut net.module, optimizer }, &mut training).expect("the run comes to its end")
}

fn sgd(net: &Net) -> Sgd {
    Sgd::new(net.module.parameters(), SgdSettings::default().with_lr(0.01).with_momentum(0.9))
}

/// Events in short: `p` a step that pruned, `-` one that did not, `s` skipped, `t` an epoch, `e` a judgement, `r` taken back, `|` the end.
fn short(events: &[Event]) -> String {
    let letter = |event: &Event| match event {
        Event::Applied { report } if report.pruned() => Some('p'),
        Event::Applied { .. } => Some('-'),
        Event::Skipped { .. } => Some('s'),
        Event::Trained { .. } => Some('t'),
        Event::Evaluated { .. } => Some('e'),
        Event::Reverted { .. } => Some('r'),
        Event::Stopped { .. } => Some('|'),
        _ => None,
    };
    events.iter().filter_map(letter).collect()
}

#[test]
fn it_trains_after_the_steps_that_pruned_and_skips_the_others_until_the_target_is_reached() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let settings = IterativeSettings::default().with_epochs_per_step(2).with_final_epochs(1);
    let mut iterative = IterativePruning::new(pruner(&net, in_eights()), settings).expect("the settings are sound");
    let stop = run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
    assert!(stop.is_target_reached(), "{stop}");
    let events = iterative.history().events();
    let pruned = iterative.history().reports().filter(|report| report.pruned()).count();
    let idle = iterative.history().reports().count() - pruned;
    assert!(pruned >= 2 && idle >= 3, "{}", short(events));
    // Judged before, after each cut and after its training, and at the end.
    let expected = short(events).replace("pette", "").replace("-s", "");
    assert_eq!(expected, "ete|", "{}", short(events));
    let summary = iterative.history().summary();
    assert_eq!((summary.epochs, summary.epochs_skipped), (2 * pruned + 1, 2 * idle));
    assert_eq!((summary.cost.seconds, summary.saved.seconds), (0.5 * summary.epochs as f64, 0.5 * 2.0 * idle as f64));
    assert_eq!(summary.after, iterative.pruner().counts());
    assert!(summary.after.macs < summary.before.macs);
    for event in events {
        if let Event::Skipped { reason, .. } = event {
            assert!(matches!(reason, Outcome::NothingToPrune { .. }), "{reason:?}");
        }
    }
    let widths: Vec<_> = iterative.history().widths().iter().map(|width| (width.before, width.after)).collect();
    assert!(widths.contains(&(32, 16)) && widths.contains(&(16, 8)) && widths.contains(&(4, 4)), "{widths:?}");
}

#[test]
fn trained_always_it_skips_nothing_and_makes_the_same_cuts() {
    let cuts = |train: TrainPolicy| {
        let mut net = net();
        // Frozen weights: what is cut depends on nothing but the steps.
        let mut optimizer = Sgd::new(net.module.parameters(), SgdSettings::default().with_lr(0.0));
        let settings = IterativeSettings::default().with_train(train);
        let mut iterative = IterativePruning::new(pruner(&net, in_eights()), settings).expect("the settings are sound");
        run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
        let rows = iterative.history().rows();
        let skipped: usize = rows.iter().map(|row| row.epochs_skipped).sum();
        let trained: usize = rows.iter().map(|row| row.epochs).sum();
        (rows.iter().map(|row| row.counts).collect::<Vec<_>>(), rows.len(), trained, skipped)
    };
    let (always, steps, trained, skipped) = cuts(TrainPolicy::Always);
    assert_eq!((trained, skipped), (steps, 0));
    let (when_pruned, _, trained, skipped) = cuts(TrainPolicy::WhenPruned);
    assert_eq!(always, when_pruned);
    assert!(skipped > 0 && trained + skipped == steps);
}

#[test]
fn it_says_when_the_limits_keep_it_from_its_target() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let limits = Limits { min_channels: 14, ..Limits::new(0.9) };
    let settings = settings(0.9).with_steps(3).with_limits(limits);
    let mut iterative =
        IterativePruning::new(pruner(&net, settings), IterativeSettings::default()).expect("the settings are sound");
    let stop = run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
    assert_eq!(stop, Stop::Pruner { reason: StopReason::Limits });
    assert!(!stop.is_target_reached());
    // A network that is as small as it may be is not trained at all.
    let mut again = IterativePruning::new(pruner(&net, in_eights_of_nothing()), IterativeSettings::default())
        .expect("the settings are sound");
    let stop = run(&mut net, &mut sgd_of(&[]), &mut again, &|_| 0.5);
    assert_eq!(stop, Stop::Pruner { reason: StopReason::NothingPrunable });
    assert_eq!(short(again.history().events()), "e|");
}

fn in_eights_of_nothing() -> Settings {
    settings(0.5).with_limits(Limits { ignore: vec!["*".to_owned()], ..Limits::new(0.5) })
}

fn sgd_of(parameters: &[(String, Tensor)]) -> Sgd {
    let share = |(name, tensor): &(String, Tensor)| (name.clone(), tensor.shallow_clone());
    Sgd::new(parameters.iter().map(share).collect(), SgdSettings::default())
}

/// All of a network and its optimiser, to be compared.
fn state(net: &Net, optimizer: &dyn Optimizer) -> Vec<(String, Tensor)> {
    let copy = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy());
    net.module.named_tensors().into_iter().chain(optimizer.state()).map(copy).collect()
}

#[track_caller]
fn assert_same(one: &[(String, Tensor)], other: &[(String, Tensor)]) {
    assert_eq!(one.len(), other.len());
    for ((name, a), (other_name, b)) in one.iter().zip(other) {
        assert!(name == other_name && a.size() == b.size() && a.equal(b), "{name}");
    }
}

#[test]
fn a_step_that_costs_too_much_is_taken_back_with_the_state_of_the_optimiser() {
    let mut net = net();
    let mut optimizer = AdamW::new(net.module.parameters(), AdamWSettings::default());
    let dense = pruner(&net, in_eights()).counts().macs;
    // Each network that is judged, with what it was then.
    let seen = RefCell::new(Vec::new());
    let settings = IterativeSettings::default().with_max_drop(0.1);
    let mut iterative = IterativePruning::new(pruner(&net, in_eights()), settings).expect("the settings are sound");
    let inputs: Vec<Tensor> = net.inputs.iter().map(Tensor::shallow_clone).collect();
    let weight = net.vs.variables()["fc1.weight"].shallow_clone();
    let mut training = Closures::new(
        |network: &mut Network<'_>, _: Epoch| train(network, &inputs),
        |network: &mut Network<'_>| {
            let macs: u64 = network.module.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum();
            let copy = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy());
            let all = network.module.named_tensors().into_iter().chain(network.optimizer.state());
            seen.borrow_mut().push((macs, all.map(copy).collect::<Vec<_>>()));
            // The first cut leaves enough, a later one does not.
            Ok(if macs > dense / 8 { 0.9 } else { 0.7 })
        },
    );
    let stop = {
        let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
        iterative.run(&mut network, &mut training).expect("the run comes to its end")
    };
    let events = iterative.history().events();
    assert!(
        matches!(stop, Stop::QualityFloor { quality, floor } if (quality - 0.7).abs() < 1e-12 && (floor - 0.8).abs() < 1e-12)
    );
    assert!(short(events).ends_with("petepeter|") || short(events).ends_with("peter|"), "{}", short(events));
    let seen = seen.into_inner();
    let standing = seen.iter().rev().find(|(macs, _)| *macs > dense / 8).expect("one was good enough");
    assert_same(&state(&net, &optimizer), &standing.1);
    assert_eq!(weight.size(), net.vs.variables()["fc1.weight"].size());
    assert_eq!(iterative.history().summary().after, iterative.pruner().counts());
    // What was taken back can be trained and pruned again.
    let mut pruner = pruner(&net, in_eights());
    train(&mut Network { module: &mut net.module, optimizer: &mut optimizer }, &net.inputs).expect("it trains");
    pruner.step(&mut net.module, &mut optimizer).expect("it is pruned");
}

#[test]
fn the_stride_doubles_while_steps_prune_nothing_and_is_halved_when_quality_falls() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let settings = IterativeSettings::default().with_stride(Stride::new(0.05).with_max(4));
    let mut iterative =
        IterativePruning::new(pruner(&net, in_eights().with_steps(40)), settings).expect("the settings are sound");
    let judged = Cell::new(0);
    let stop = run(&mut net, &mut optimizer, &mut iterative, &|_| {
        judged.set(judged.get() + 1);
        1.0 - 0.1 * f64::from(judged.get())
    });
    assert!(stop.is_target_reached());
    let strides: Vec<_> = iterative
        .history()
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::StrideChanged { from, to, .. } => Some((*from, *to)),
            _ => None,
        })
        .collect();
    assert!(strides.starts_with(&[(1, 2), (2, 4)]) && strides.contains(&(4, 2)), "{strides:?}");
    assert!(strides.iter().all(|&(from, to)| (1..=4).contains(&to) && (to == 2 * from || to == from / 2)));
    let steps: Vec<_> = iterative.history().rows().iter().map(|row| row.step).collect();
    assert!(steps.len() < 25 && steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
}

#[test]
fn a_wide_step_that_costs_too_much_is_tried_again_with_half_the_stride() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let all: u64 = net.module.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum();
    let stride = Stride::new(1.0).with_first(8).with_max(8);
    let settings = IterativeSettings::default().with_max_drop(0.1).with_stride(stride);
    let mut iterative =
        IterativePruning::new(pruner(&net, in_eights().with_steps(16)), settings).expect("the settings are sound");
    let stop = run(&mut net, &mut optimizer, &mut iterative, &|module| {
        let left: u64 = module.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum();
        if left * 3 > all * 2 { 0.9 } else { 0.5 }
    });
    assert!(matches!(stop, Stop::QualityFloor { .. }), "{stop}");
    let rows = iterative.history().rows();
    let reverted: Vec<_> = rows.iter().filter(|row| row.reverted).map(|row| row.step).collect();
    let standing = rows.iter().rfind(|row| !row.reverted && row.epochs > 0).expect("a step stands");
    assert!(reverted.len() >= 2 && reverted.last().is_some_and(|&last| last > standing.step), "{rows:?}");
    let left: u64 = net.module.parameters().iter().map(|(_, tensor)| tensor.numel() as u64).sum();
    assert!(left < all && left * 3 > all * 2);
}

#[test]
fn events_come_back_from_their_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("events.jsonl");
    let mut net = net();
    let mut optimizer = sgd(&net);
    let told = RefCell::new(Vec::new());
    let mut iterative = IterativePruning::new(pruner(&net, in_eights()), IterativeSettings::default())
        .expect("the settings are sound")
        .with_observer(JsonLines::new(&log))
        .with_observer(|event: &Event| told.borrow_mut().push(event.clone()));
    run(&mut net, &mut optimizer, &mut iterative, &|_| 1.0 / 3.0);
    let read = read_log(&log).expect("the log is read");
    assert_eq!(read, *iterative.history());
    assert_eq!(read.events(), *told.borrow());
    // A log of a run that was killed while it wrote.
    let text = std::fs::read_to_string(&log).expect("it is there");
    std::fs::write(&log, &text[..text.len() - 20]).expect("it is written");
    let events = read_log(&log).expect("the log is read").events().len();
    assert_eq!(events + 1, read.events().len());
    std::fs::write(&log, text.replacen("\"event\"", "\"what\"", 1)).expect("it is written");
    let error = read_log(&log).expect_err("the first line is no event").to_string();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn a_quality_that_is_no_number_and_settings_that_make_no_sense_are_errors() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let mut iterative =
        IterativePruning::new(pruner(&net, in_eights()), IterativeSettings::default()).expect("the settings are sound");
    let mut training = Closures::new(|_: &mut Network<'_>, _| Ok(Cost::default()), |_: &mut Network<'_>| Ok(f64::NAN));
    let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
    let error = iterative.run(&mut network, &mut training).expect_err("the quality is no number");
    assert!(matches!(error, IterativeError::Quality { step: 0, stage: Stage::Dense, .. }), "{error}");
    for (settings, name) in [
        (IterativeSettings::default().with_max_drop(-0.1), "max_drop"),
        (IterativeSettings::default().with_stride(Stride::new(f64::INFINITY)), "stride.allowed_drop"),
        (IterativeSettings::default().with_stride(Stride::new(0.1).with_first(0)), "stride.first"),
        (IterativeSettings::default().with_stride(Stride::new(0.1).with_first(9)), "stride.max"),
    ] {
        let error = IterativePruning::new(pruner(&net, in_eights()), settings).err().expect("they make no sense");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn what_failed_once_can_be_tried_again_and_nothing_is_made_twice() {
    let undisturbed = {
        let mut net = net();
        let mut optimizer = sgd(&net);
        let mut iterative = IterativePruning::new(pruner(&net, in_eights()), IterativeSettings::default())
            .expect("the settings are sound");
        run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
        (short(iterative.history().events()), state(&net, &optimizer))
    };
    let mut net = net();
    let mut optimizer = sgd(&net);
    let mut iterative =
        IterativePruning::new(pruner(&net, in_eights()), IterativeSettings::default()).expect("the settings are sound");
    let inputs: Vec<Tensor> = net.inputs.iter().map(Tensor::shallow_clone).collect();
    // Every other call fails.
    let calls = Cell::new(0);
    let fails = || {
        calls.set(calls.get() + 1);
        calls.get() % 2 == 1
    };
    let mut training = Closures::new(
        |network: &mut Network<'_>, _| if fails() { Err("no power".into()) } else { train(network, &inputs) },
        |_: &mut Network<'_>| if fails() { Err("no power".into()) } else { Ok(0.5) },
    );
    let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
    let mut failed = 0;
    while let Err(error) = iterative.run(&mut network, &mut training) {
        assert!(error.to_string().ends_with("no power"), "{error}");
        failed += 1;
    }
    assert!(failed > 6, "{failed}");
    assert_eq!(short(iterative.history().events()), undisturbed.0);
    assert_same(&state(&net, &optimizer), &undisturbed.1);
}

/// Keeps what a run is told to be doing.
struct Doings<'a>(&'a RefCell<Vec<Progress>>);

impl Observer for Doings<'_> {
    fn event(&mut self, _event: &Event) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, progress: Progress) {
        self.0.borrow_mut().push(progress);
    }
}

#[test]
fn a_call_makes_a_step_and_progress_never_goes_past_the_last() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let told = RefCell::new(Vec::new());
    let settings = IterativeSettings::default().with_stride(Stride::new(0.5).with_first(3));
    let mut iterative = IterativePruning::new(pruner(&net, in_eights()), settings)
        .expect("the settings are sound")
        .with_observer(Doings(&told));
    let inputs: Vec<Tensor> = net.inputs.iter().map(Tensor::shallow_clone).collect();
    let mut training =
        Closures::new(|network: &mut Network<'_>, _| train(network, &inputs), |_: &mut Network<'_>| Ok(0.5));
    let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
    let mut calls = 0;
    while iterative.next_step(&mut network, &mut training).expect("a step").is_none() {
        calls += 1;
        assert_eq!(iterative.history().rows().len(), calls);
    }
    let told = told.borrow();
    assert!(told.iter().all(|progress| progress.step <= progress.steps && progress.steps == 10), "{told:?}");
    assert!(told.windows(2).all(|pair| pair[0].step <= pair[1].step), "{told:?}");
    let mut begun = pruner(&net, in_eights());
    begun.pass(2);
    let error = IterativePruning::new(begun, IterativeSettings::default()).err();
    assert!(matches!(error, Some(IterativeError::Begun(2))), "{error:?}");
}

#[test]
fn without_epochs_every_network_is_judged_once_and_always_trained_the_stride_widens_too() {
    let events = |settings: IterativeSettings| {
        let mut net = net();
        let mut optimizer = sgd(&net);
        let mut iterative = IterativePruning::new(pruner(&net, in_eights()), settings).expect("the settings are sound");
        run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
        short(iterative.history().events())
    };
    let events_of_none = events(IterativeSettings::default().with_epochs_per_step(0));
    assert_eq!(events_of_none.replace("-s", "").replace("pe", ""), "e|", "{events_of_none}");
    let stride = IterativeSettings::default().with_stride(Stride::new(0.5).with_max(8));
    let steps = |events: &str| events.chars().filter(|letter| "p-".contains(*letter)).count();
    let (always, when_pruned) = (events(stride.clone().with_train(TrainPolicy::Always)), events(stride));
    assert!(steps(&always) == steps(&when_pruned) && steps(&always) < 10, "{always} {when_pruned}");
}

#[test]
fn a_cost_that_is_no_number_and_a_checkpoint_that_cannot_be_written_are_told_before_more_is_done() {
    let mut net = net();
    let mut optimizer = sgd(&net);
    let cost = Cost { seconds: f64::NAN, ..Cost::default() };
    let judged = Cell::new(0);
    let mut training = Closures::new(
        |_: &mut Network<'_>, _| Ok(cost),
        |_: &mut Network<'_>| {
            judged.set(judged.get() + 1);
            Ok(0.5)
        },
    );
    let mut network = Network { module: &mut net.module, optimizer: &mut optimizer };
    let new = |net: &GraphModule| {
        let pruner = GroupPruner::new(net, in_eights()).expect("it can be pruned");
        IterativePruning::new(pruner, IterativeSettings::default()).expect("the settings are sound")
    };
    let mut iterative = new(network.module).with_checkpoint("/nowhere/run.checkpoint");
    let error = iterative.run(&mut network, &mut training).expect_err("there is no folder");
    assert!(error.to_string().contains("/nowhere/run.checkpoint") && judged.get() == 0, "{error}");
    let error = new(network.module).run(&mut network, &mut training).expect_err("the cost is no number");
    assert!(matches!(error, IterativeError::Cost { epoch: 1, .. }), "{error}");
}

#[test]
fn an_optimiser_takes_the_state_of_one_with_its_settings_and_no_other() {
    let mut net = net();
    let parameters = || net.module.parameters();
    let adam = |amsgrad: bool| AdamW::new(parameters(), AdamWSettings { amsgrad, ..AdamWSettings::default() });
    let (mut plain, mut amsgrad) = (adam(false), adam(true));
    let mut still = Sgd::new(parameters(), SgdSettings::default());
    let mut moving = Sgd::new(parameters(), SgdSettings::default().with_momentum(0.9));
    for optimizer in [&mut plain as &mut dyn Optimizer, &mut amsgrad, &mut moving] {
        train(&mut Network { module: &mut net.module, optimizer }, &net.inputs).expect("it trains");
    }
    assert!(plain.state().len() == 3 * 6 && amsgrad.state().len() == 4 * 6 && moving.state().len() == 6);
    let error = amsgrad.set_state(plain.state()).expect_err("the largest squares are missing").to_string();
    assert!(error.contains("largest-square"), "{error}");
    assert!(plain.set_state(amsgrad.state()).is_err() && still.set_state(moving.state()).is_err());
    assert!(moving.set_state(plain.state()).is_err());
    let same = plain.state();
    plain.set_state(same).expect("its own state");
    assert_eq!(plain.state().len(), 3 * 6);
}

#[test]
fn logs_with_absurd_numbers_or_cut_within_a_character_have_a_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("events.jsonl");
    let mut net = net();
    let mut optimizer = sgd(&net);
    let mut iterative = IterativePruning::new(
        pruner(&net, in_eights()),
        IterativeSettings::default().with_measure("précision").with_final_epochs(1),
    )
    .expect("the settings are sound")
    .with_observer(JsonLines::new(&log));
    run(&mut net, &mut optimizer, &mut iterative, &|_| 0.5);
    let text = std::fs::read_to_string(&log).expect("it is there");
    let page = |text: &[u8]| {
        std::fs::write(&log, text).expect("it is written");
        pruner::page::page("A run", &read_log(&log).expect("the log is read"))
    };
    let first = text.lines().next().expect("a line").to_owned();
    let cut = first.find('é').expect("it is there") + 1;
    assert!(page(&[text.as_bytes(), &first.as_bytes()[..cut]].concat()).contains("précision"));
    let twice = page(format!("{text}{text}").as_bytes());
    assert_eq!(twice, page(text.as_bytes()), "the last of two runs");
    let absurd = text.replace("\"quality\":0.5", "\"quality\":1.7e308").replacen("1.7e308", "-1.7e308", 1);
    assert!(page(absurd.as_bytes()).contains("cannot be drawn"));
    let absurd = text.replace("\"epochs\":1}", "\"epochs\":9223372036854775808}");
    assert!(page(absurd.as_bytes()).contains("of 18446744073709551615"));
}
