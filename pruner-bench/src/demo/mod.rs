//! The demonstration: a network is trained, pruned in steps and fine-tuned, once only after the steps that pruned
//! something and once after every step.

pub mod net;
mod options;
mod prune;
mod result;
mod show;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use pruner_core::deps::{Analysis, Kept};
use pruner_core::equivalence::{CompareError, masked_equals_sliced};
use pruner_core::events::{Cost, LogError, TrainPolicy, read_log};
use pruner_core::exec::GraphModule;
use pruner_core::iterative::{IterativeError, JsonLines};
use pruner_core::optim::{Sgd, SgdSettings};
use pruner_core::page;
use pruner_core::pruner::PruneError;
use pruner_core::trace::{TraceError, trace};
use tch::nn::ModuleT as _;
use tch::{Device, TchError, Tensor, nn};

pub use options::{DeviceError, Options, Scale, parse_device};
pub(crate) use options::{device_name, use_threads};
pub use prune::Step;
pub use result::{DemoReport, Dense, Run, Savings};

use crate::data::{DataError, FashionMnist};
use crate::files::{self, FileError};
use crate::train::{Evaluation, Schedule, TrainError, Training, evaluate, train};
use prune::{Pruned, prune};
use show::Show;
use watch::Bar;

/// Images to a step of the optimiser.
const TRAINING_BATCH: usize = 64;
/// Images that are judged at once.
const EVALUATION_BATCH: usize = 1000;

/// How all training steps; the learning rate is set batch by batch.
fn sgd() -> SgdSettings {
    SgdSettings::default().with_momentum(0.9).with_weight_decay(5e-4).with_nesterov()
}

/// Why the demonstration stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// No folder with the images was found.
    #[error(
        "the images are not in any of {}; name their folder with `--data DIR`",
        looked_in.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NoData {
        /// Where they were looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The images are not of the size that the network takes.
    #[error("the images in {} are of {found:?} pixels where the network takes [28, 28]", dir.display())]
    ImageSize {
        /// The folder.
        dir: PathBuf,
        /// Height and width.
        found: Vec<i64>,
    },
    /// The network cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Pruning failed.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A run of pruning stopped before its end.
    #[error(transparent)]
    Iterative(#[from] IterativeError),
    /// The log of a run cannot be read back.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A run came to its end and was not judged.
    #[error("the run came to its end, and the network was never judged")]
    NotJudged,
    /// The cut could not be compared with the masked network.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A result cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Runs the demonstration: tells of it in `text`, shows how far it is on a terminal, and writes `pruned.safetensors`, `report.json`,
/// `events.jsonl` and `report.html` to the folder that the options name.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<DemoReport, DemoError> {
    let start = Instant::now();
    let device = options.available_device()?;
    let scale = options.scale();
    let data = load(options, scale)?.to_device(device);
    let out = &options.out;
    files::create_dir(out)?;
    let threads = use_threads();
    tch::manual_seed(options.seed as i64);
    let mut show = Show::new(text);

    show.title(&data, device, threads, options.seed);
    show.training(scale.epochs);
    let dense = Network::new(device)?;
    let trained = dense.train(&data, scale.epochs, options.seed)?;
    show.trained(&trained);

    let settings = prune::settings(options.steps, options.seed);
    show.pruning(&settings);
    let (mut network, mut other) = (dense.copy()?, dense.copy()?);
    let mut watch = Bar::new("pruning").with_rows(&mut show);
    let runs = [&mut network.module, &mut other.module];
    let log = out.join("events.jsonl");
    let [skipping, always] = prune(runs, &data, &settings, &mut watch, JsonLines::new(&log))?;
    drop(watch);
    let page = out.join("report.html");
    files::write(&page, page::page("Demonstration", &read_log(&log)?))?;
    show.legend(&skipping.steps, settings.limits.round_to);

    let difference = dense.compare(&skipping, &data)?;
    let (weights, json) = (out.join("pruned.safetensors"), out.join("report.json"));
    network.vs.save(&weights)?;
    let report = DemoReport {
        device: device_name(device),
        threads,
        train_images: data.train.len(),
        test_images: data.test.len(),
        settings,
        dense: trained,
        savings: Savings::new(&skipping, &always, data.train.len()),
        skipping: Run::new(TrainPolicy::WhenPruned, skipping, data.train.len()),
        always: Run::new(TrainPolicy::Always, always, data.train.len()),
        masked_equals_sliced: difference,
        tensors: network.vs.variables().into_iter().map(|(name, tensor)| (name, tensor.size())).collect(),
        seconds: start.elapsed().as_secs_f64(),
    };
    files::write_json(&json, &report)?;
    show.savings(&report);
    show.end(&report, &weights, &json, &page);
    Ok(report)
}

fn load(options: &Options, scale: Scale) -> Result<FashionMnist, DemoError> {
    let dir = options.data_dir()?;
    let data = FashionMnist::load(&dir)?;
    for split in [&data.train, &data.test] {
        let found = split.images.size()[2..].to_vec();
        if found != [28, 28] {
            return Err(DemoError::ImageSize { dir, found });
        }
    }
    Ok(FashionMnist { train: data.train.first(scale.train_images), test: data.test.first(scale.test_images) })
}

/// The network: the variables as their owner holds them, and the graph that trains and is cut.
struct Network {
    vs: nn::VarStore,
    module: GraphModule,
}

impl Network {
    /// A new network, traced on one image so that its multiply-accumulates are those of one.
    fn new(device: Device) -> Result<Self, DemoError> {
        let vs = nn::VarStore::new(device);
        let net = net::net(&vs.root());
        let example = Tensor::zeros([1, 1, 28, 28], (tch::Kind::Float, device));
        let module = trace(&vs, &[example], |inputs| vec![net.forward_t(&inputs[0], false)])?;
        Ok(Self { vs, module })
    }

    /// Another network with the same weights.
    fn copy(&self) -> Result<Self, DemoError> {
        let mut copy = Self::new(self.vs.device())?;
        copy.vs.copy(&self.vs)?;
        Ok(copy)
    }

    fn train(&self, data: &FashionMnist, epochs: usize, seed: u64) -> Result<Dense, DemoError> {
        let counts = self.analysis()?.counts(&Kept::all());
        let mut optimizer = Sgd::new(self.module.parameters(), sgd());
        let schedule = Schedule::OneCycle(0.1);
        let images = epochs * data.train.len();
        let training = Training { images, batch_size: TRAINING_BATCH, schedule, seed, macs_per_image: counts.macs };
        let bar = Bar::new("training");
        let cost: Cost = train(&self.module, &mut optimizer, &data.train, &training, &mut |done| bar.set(done))?;
        drop(bar);
        let Evaluation { accuracy, .. } = evaluate(&self.module, &data.test, EVALUATION_BATCH)?;
        Ok(Dense::new(epochs, accuracy, counts, cost))
    }

    /// How far what a run left of this network, sliced out at once, is from the network with zeros in what went.
    fn compare(&self, run: &Pruned, data: &FashionMnist) -> Result<f64, DemoError> {
        let images = data.test.images.narrow(0, 0, 1);
        Ok(masked_equals_sliced(&self.module, &self.analysis()?, &run.kept, &[images])?.relative)
    }

    fn analysis(&self) -> Result<Analysis, PruneError> {
        Ok(Analysis::new(self.module.graph())?)
    }
}
