//! The order of work: a network is trained, then pruned in every way under both policies, a step of the one and a step of the other in turns.

use std::io::Write;
use std::time::Instant;

use pruner_core::events::TrainPolicy;
use pruner_core::exec::GraphModule;
use pruner_core::iterative::{IterativePruning, IterativeSettings, Network};
use pruner_core::optim::Optimizer;
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Settings};
use pruner_core::registry;
use pruner_core::trace::trace;
use pruner_importance::Magnitude;
use serde_json::Value;
use tch::nn::{self, ModuleT as _};
use tch::{Device, Kind, Tensor};

use super::SkipError;
use super::networks::Net;
use super::options::{Options, Scale};
use super::row::{Outcome, Row, Setting};
use super::store::{About, Store};
use crate::data::FashionMnist;
use crate::demo::{self, device_name};
use crate::files::say;
use crate::fine_tuning::{FineTuning, FineTuningSettings, counts};
use crate::machine::Machine;
use crate::train::{Schedule, Training, train};

/// Images to a step of the optimiser.
const BATCH: usize = 64;
/// Images that are judged at once.
const EVALUATION_BATCH: usize = 500;
/// The share of every layer's channels that goes.
const RATIO: f64 = 0.5;

/// Measures what is asked for and is not there yet.
pub(super) fn measure(options: &Options, text: &mut dyn Write) -> Result<(), SkipError> {
    let of_demo = demo::Options { device: options.device, data: options.data.clone(), ..demo::Options::default() };
    let device = of_demo.available_device()?;
    let settings = options.settings();
    for setting in &settings {
        registry::scheduler_from(&setting.scheduler, Value::Null)?;
    }
    let scale = options.scale();
    demo::use_threads();
    let machine = options.machine.clone().unwrap_or_else(|| device_name(device).replace(':', "-"));
    let about = About { machine: Machine::here(device), scale };
    let mut store = Store::open(options.results_dir().join(machine), about)?;
    let all = FashionMnist::load(of_demo.data_dir().map_err(Box::new)?)?;
    let data = FashionMnist { train: all.train.first(scale.train_images), test: all.test.first(scale.test_images) };
    let data = data.to_device(device);
    for (network, seed) in
        options.networks().into_iter().flat_map(|net| options.seeds().into_iter().map(move |seed| (net, seed)))
    {
        let is_there = |setting: &&Setting| store.results.rows.iter().any(|row| row.is_of(network, setting, seed));
        let pending: Vec<&Setting> = settings.iter().filter(|setting| !is_there(setting)).collect();
        if pending.is_empty() {
            continue;
        }
        let start = Instant::now();
        let dense = Dense::train(network, seed, &data, &scale, device)?;
        let seconds = start.elapsed().as_secs_f64();
        say(text, &format!("{}, seed {seed}: trained in {seconds:.0} s", network.title()))?;
        for setting in pending {
            let start = Instant::now();
            let row = dense.prune(setting, &data, &scale)?;
            let (skipping, always) = (&row.skipping, &row.always);
            say(
                text,
                &format!(
                    "  {} by {}: {} against {} epochs, {:.1} % against {:.1} %; {:.0} s",
                    setting.scheduler,
                    setting.round_to,
                    skipping.epochs,
                    always.epochs,
                    100.0 * skipping.accuracy,
                    100.0 * always.accuracy,
                    start.elapsed().as_secs_f64()
                ),
            )?;
            store.add(row)?;
        }
    }
    Ok(())
}

/// A trained network, to be pruned more than once.
struct Dense {
    network: Net,
    seed: u64,
    scale: Scale,
    vs: nn::VarStore,
}

impl Dense {
    fn train(network: Net, seed: u64, data: &FashionMnist, scale: &Scale, device: Device) -> Result<Self, SkipError> {
        tch::manual_seed(seed as i64);
        let (vs, module) = new(network, scale, device)?;
        let (mut optimizer, [lr, _]) = network.optimizer(&module);
        let training = Training {
            images: scale.dense_epochs * data.train.len(),
            batch_size: BATCH,
            schedule: Schedule::OneCycle(lr),
            seed,
            macs_per_image: counts(&module)?.macs,
        };
        train(&module, optimizer.as_mut(), &data.train, &training, &mut |_| ())?;
        Ok(Self { network, seed, scale: *scale, vs })
    }

    /// Prunes two copies under both policies in turns.
    fn prune(&self, setting: &Setting, data: &FashionMnist, scale: &Scale) -> Result<Row, SkipError> {
        let mut skipping = self.pruning(setting, data, TrainPolicy::WhenPruned)?;
        let mut always = self.pruning(setting, data, TrainPolicy::Always)?;
        let mut goes_on = [true, true];
        while goes_on.contains(&true) {
            for (run, goes_on) in [&mut skipping, &mut always].into_iter().zip(&mut goes_on) {
                *goes_on = *goes_on && run.step()?;
            }
        }
        let summary = skipping.iterative.history().summary();
        Ok(Row {
            network: self.network,
            setting: setting.clone(),
            seed: self.seed,
            steps: scale.steps,
            dense_accuracy: summary.quality_before.unwrap_or_default(),
            dense_macs: summary.before.macs / self.network.traced() as u64,
            skipping: skipping.outcome(self.network),
            always: always.outcome(self.network),
        })
    }

    fn pruning<'a>(
        &self,
        setting: &Setting,
        data: &'a FashionMnist,
        policy: TrainPolicy,
    ) -> Result<Pruning<'a>, SkipError> {
        let Scale { epoch_images, final_images, steps, .. } = self.scale;
        let (mut vs, module) = new(self.network, &self.scale, self.vs.device())?;
        vs.copy(&self.vs)?;
        let (optimizer, [_, lr]) = self.network.optimizer(&module);
        let scheduler = registry::scheduler_from(&setting.scheduler, Value::Null)?;
        let settings = Settings::new(Box::new(Magnitude::default()), scheduler)
            .with_steps(steps)
            .with_limits(Limits::new(RATIO).with_round_to(setting.round_to))
            .with_seed(self.seed);
        let iterative = IterativeSettings::default().with_final_epochs(1).with_train(policy).with_measure("accuracy");
        let training = FineTuningSettings {
            images: epoch_images,
            final_images,
            batch_size: BATCH,
            evaluation_batch: EVALUATION_BATCH,
            lr,
            seed: self.seed,
        };
        Ok(Pruning {
            iterative: IterativePruning::new(GroupPruner::new(&module, settings)?, iterative)?,
            training: FineTuning::new(data, training),
            module,
            optimizer,
        })
    }
}

/// A new network, traced on as many images as it takes.
fn new(network: Net, scale: &Scale, device: Device) -> Result<(nn::VarStore, GraphModule), SkipError> {
    let vs = nn::VarStore::new(device);
    let net = network.build(&vs.root(), scale);
    let example = Tensor::zeros([network.traced(), 1, 28, 28], (Kind::Float, device));
    let module = trace(&vs, &[example], |inputs| vec![net.forward_t(&inputs[0], false)])?;
    Ok((vs, module))
}

/// A network that is being pruned.
struct Pruning<'a> {
    iterative: IterativePruning<'a, GroupPruner>,
    training: FineTuning<'a>,
    module: GraphModule,
    optimizer: Box<dyn Optimizer>,
}

impl Pruning<'_> {
    /// Makes a step with what follows it; whether there is another.
    fn step(&mut self) -> Result<bool, SkipError> {
        let network = &mut Network { module: &mut self.module, optimizer: self.optimizer.as_mut() };
        Ok(self.iterative.next_step(network, &mut self.training)?.is_none())
    }

    fn outcome(&self, network: Net) -> Outcome {
        let history = self.iterative.history();
        let outcome = Outcome::new(&history.summary(), history.final_cost(), 1);
        Outcome { macs: outcome.macs / network.traced() as u64, ..outcome }
    }
}
