//! A run of iterative pruning that is killed again and again, whenever it happens to be, comes to the same end bit for bit.
//!
//! The program starts itself: with `run FOLDER` it prunes a network and goes on from the checkpoint in the folder; without, it starts such
//! runs, kills them, and compares what is left in the end with a run that nobody killed.
#![allow(clippy::print_stdout, reason = "a test without a harness says itself how it went")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pruner::calibration::{Batch, NamedLoss};
use pruner::criteria::Taylor;
use pruner::events::{Event, History, Stage, read_log};
use pruner::iterative::{AnyError, Epoch, IterativePruning, IterativeSettings, JsonLines, Network, Stride, Training};
use pruner::optim::{AdamW, AdamWSettings};
use pruner::plan::{Limits, Scope};
use pruner::pruner::{GroupPruner, Settings};
use pruner::schedulers::Linear;
use pruner::trace::trace;
use pruner_bench::data::FashionMnist;
use pruner_bench::rng::Rng;
use pruner_bench::train::{Schedule, evaluate, train};
use serde_json::{Value, json};
use tch::nn::{self, ModuleT as _};
use tch::{Device, Kind, Tensor};

/// How often runs are killed, at least.
const KILLS: usize = 12;
const CHECKPOINT: &str = "run.checkpoint";
const LOG: &str = "events.jsonl";
const WEIGHTS: &str = "final.safetensors";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", folder] => run(folder.as_ref()),
        _ if arguments.iter().any(|argument| argument == "--list") => {}
        _ => a_killed_run_comes_to_the_same_end(),
    }
}

/// Trains, and remembers how many images were seen, on which the learning rate depends.
///
/// The quality weighs the accuracy against what is left, so that a step that goes too far is taken back.
struct Trained<'a> {
    data: &'a FashionMnist,
    seen: u64,
    /// The parameters of the network before the first step.
    whole: Option<usize>,
}

impl Training for Trained<'_> {
    fn epoch(
        &mut self,
        network: &mut Network<'_>,
        epoch: Epoch,
        told: &mut dyn FnMut(f64),
    ) -> Result<pruner::events::Cost, AnyError> {
        let training = pruner_bench::train::Training {
            images: 640,
            batch_size: 32,
            schedule: Schedule::Constant(2e-3 / (1.0 + self.seen as f64 / 5000.0)),
            seed: epoch.number as u64,
            macs_per_image: 1,
        };
        let cost = train(network.module, network.optimizer, &self.data.train, &training, told)?;
        self.seen += cost.samples;
        Ok(cost)
    }

    fn evaluate(&mut self, network: &mut Network<'_>) -> Result<f64, AnyError> {
        let left: usize = network.module.parameters().iter().map(|(_, tensor)| tensor.numel()).sum();
        let share = left as f64 / *self.whole.get_or_insert(left) as f64;
        Ok(evaluate(network.module, &self.data.test, 500)?.accuracy + 2.0 * share)
    }

    fn state(&self) -> Value {
        json!([self.seen, self.whole])
    }

    fn restore(&mut self, state: &Value) -> Result<(), AnyError> {
        (self.seen, self.whole) = serde_json::from_value(state.clone())?;
        Ok(())
    }
}

/// Prunes a network, on from the checkpoint in the folder if there is one, and writes its weights.
///
/// It draws random numbers (dropout), gathers gradients, may take steps back, and changes its stride.
fn run(folder: &Path) {
    tch::set_num_threads(1);
    tch::manual_seed(3);
    let data = FashionMnist::load(concat!(env!("CARGO_MANIFEST_DIR"), "/data/fashion-mnist")).expect("the images");
    let data = FashionMnist { train: data.train.first(2000), test: data.test.first(500) };
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let stride = nn::ConvConfig { stride: 2, padding: 1, ..nn::ConvConfig::default() };
    let (first, second) =
        (nn::conv2d(&root / "first", 1, 16, 3, stride), nn::conv2d(&root / "second", 16, 32, 3, stride));
    let norm = nn::batch_norm2d(&root / "norm", 16, nn::BatchNormConfig::default());
    let (hidden, head) = (
        nn::linear(&root / "hidden", 32, 32, nn::LinearConfig::default()),
        nn::linear(&root / "head", 32, 10, nn::LinearConfig::default()),
    );
    let net = nn::func_t(move |xs, train| {
        let xs = xs.apply(&first).apply_t(&norm, train).relu().apply(&second).relu();
        let xs = xs.mean_dim([2, 3].as_slice(), false, None).apply(&hidden).relu();
        xs.dropout(0.2, train).apply(&head)
    });
    let example = Tensor::zeros([1, 1, 28, 28], (Kind::Float, Device::Cpu));
    let mut module = trace(&vs, &[example], |inputs| vec![net.forward_t(&inputs[0], false)]).expect("it is traced");
    let mut optimizer = AdamW::new(module.parameters(), AdamWSettings::default());

    let settings = Settings::new(Box::new(Taylor::default()), Box::new(Linear {}))
        .with_steps(12)
        .with_limits(Limits::new(0.6).with_round_to(4).with_scope(Scope::Global));
    let pruner = GroupPruner::new(&module, settings).expect("it can be pruned");
    let iterative = IterativeSettings::default()
        .with_epochs_per_step(2)
        .with_final_epochs(1)
        .with_max_drop(0.9)
        .with_stride(Stride::new(0.05).with_first(2));
    let images = |(images, labels)| Batch::new(vec![images]).with_targets(vec![labels]);
    let calibration: Vec<Batch> = data.train.first(64).in_order(32).map(images).collect();
    let loss = |outputs: &[Tensor], targets: &[Tensor]| NamedLoss::CrossEntropy.of(outputs, targets);
    let mut iterative = IterativePruning::new(pruner, iterative)
        .expect("the settings are sound")
        .with_calibration(&calibration, Some(&loss))
        .with_observer(JsonLines::new(folder.join(LOG)))
        .with_checkpoint(folder.join(CHECKPOINT));
    let mut network = Network { module: &mut module, optimizer: &mut optimizer };
    let mut training = Trained { data: &data, seen: 0, whole: None };
    iterative.resume(&mut network, &mut training).expect("the checkpoint is sound");
    iterative.run(&mut network, &mut training).expect("the run comes to its end");
    vs.save(folder.join(WEIGHTS)).expect("the weights are written");
}

fn start(folder: &Path) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg("run").arg(folder).stdin(Stdio::null()).spawn().expect("it starts again")
}

/// What happened but for the time that it took and for interruptions.
fn essence(history: &History) -> Vec<String> {
    let of = |event: &Event| match event {
        Event::Resumed { .. } => None,
        Event::Planned { step, coordinates, .. } => Some(format!("planned {step}: {coordinates}")),
        Event::Applied { report } => {
            let kept: Vec<_> = report.groups.iter().map(|group| &group.kept).collect();
            Some(format!("applied {}: {:?} {:?} {kept:?}", report.step, report.outcome, report.after))
        }
        Event::Trained { step, epoch, cost, .. } => Some(format!("trained {step}.{epoch}: {}", cost.samples)),
        Event::Evaluated { step, stage, quality, .. } => {
            Some(format!("evaluated {step} {stage:?}: {:x}", quality.to_bits()))
        }
        other => Some(format!("{other:?}")),
    };
    history.events().iter().filter_map(of).collect()
}

fn a_killed_run_comes_to_the_same_end() {
    let whole = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    assert!(start(whole.path()).wait().expect("it ends").success());
    let millis = begun.elapsed().as_millis() as u64;
    let expected = std::fs::read(whole.path().join(WEIGHTS)).expect("the weights");
    let history = read_log(&whole.path().join(LOG)).expect("the log");
    let reverted = history.events().iter().filter(|event| matches!(event, Event::Reverted { .. })).count();
    let judged =
        history.events().iter().filter(|event| matches!(event, Event::Evaluated { stage: Stage::AfterCut, .. }));
    assert!(judged.count() >= 3 && reverted >= 1, "{:#?}", essence(&history));

    let mut rng = Rng::new(u64::from(std::process::id()));
    let (mut kills, mut rounds) = (0, 0);
    while kills < KILLS {
        let folder = tempfile::tempdir().expect("a folder");
        let mut of_round = 0;
        loop {
            let mut child = start(folder.path());
            std::thread::sleep(Duration::from_millis(millis / 8 + rng.below(millis / 2)));
            if let Some(status) = child.try_wait().expect("it can be asked") {
                assert!(status.success(), "after {of_round} kills");
                break;
            }
            child.kill().expect("it is killed");
            child.wait().expect("it is gone");
            of_round += 1;
            assert!(of_round < 300, "it never comes to its end");
        }
        let found = read_log(&folder.path().join(LOG)).expect("the log");
        assert_eq!(essence(&found), essence(&history), "after {of_round} kills");
        let weights = std::fs::read(folder.path().join(WEIGHTS)).expect("the weights");
        assert!(weights == expected, "other weights after {of_round} kills");
        kills += of_round;
        rounds += 1;
    }
    println!(
        "test a_killed_run_comes_to_the_same_end ... ok: {kills} kills in {rounds} runs of {} events, {reverted} steps taken back",
        history.events().len()
    );
}
