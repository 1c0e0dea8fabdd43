//! The networks before pruning: trained once, then kept as archives that this library and Torch-Pruning start from.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pruner_core::deps::Counts;
use pruner_core::exec::{GraphModule, Mode};
use pruner_core::optim::{AdamW, AdamWSettings, Optimizer, Sgd, SgdSettings};
use pruner_core::pt2::Pt2;
use pruner_core::trace::trace;
use tch::nn::ModuleT as _;
use tch::{Device, Kind, Tensor, nn};

use super::QualityError;
use super::models::Model;
use super::options::Scale;
use super::row::Dense;
use crate::data::FashionMnist;
use crate::files::create_dir;
use crate::fine_tuning::counts;
use crate::train::{Schedule, Training, evaluate, train};

/// Images that a network is traced with: the sizes of a batch of one are taken for the network's own.
const TRACED: i64 = 2;
/// Images to a step of the optimiser before pruning.
const BATCH: usize = 128;
/// Images that are judged at once; more no longer fit the caches.
pub(super) const EVALUATION_BATCH: usize = 200;

/// The files of a trained network.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// The archive of `torch.export`.
    pub(super) archive: PathBuf,
    /// The weights alone.
    pub(super) weights: PathBuf,
}

impl Files {
    /// Where they are or will be.
    pub(super) fn new(dir: &Path, model: Model, seed: u64) -> Self {
        let file = |ending: &str| dir.join(format!("{}-{seed}.{ending}", model.name()));
        Self { archive: file("pt2"), weights: file("safetensors") }
    }

    /// Whether both are there; the archive is written last.
    pub(super) fn exist(&self) -> bool {
        self.archive.is_file() && self.weights.is_file()
    }
}

/// Trains a network and writes its files. `after_batch` is told the part that is over.
pub(super) fn make(
    (model, seed): (Model, u64),
    data: &FashionMnist,
    scale: &Scale,
    files: &Files,
    after_batch: &mut dyn FnMut(f64),
) -> Result<Dense, QualityError> {
    let start = Instant::now();
    tch::manual_seed(seed as i64);
    let mut vs = nn::VarStore::new(Device::Cpu);
    let net = model.build(&vs.root());
    let example = [Tensor::zeros([TRACED, 1, 28, 28], (Kind::Float, Device::Cpu))];
    let module = trace(&vs, &example, |inputs| vec![net.forward_t(&inputs[0], false)])?;
    let counts = counts(&module)?;
    let (mut optimizer, rate) = optimizer(model, &module);
    let training = Training {
        images: scale.epochs * data.train.len(),
        batch_size: BATCH,
        schedule: Schedule::OneCycle(rate),
        seed,
        macs_per_image: counts.macs,
    };
    train(&module, optimizer.as_mut(), &data.train, &training, after_batch)?;
    let accuracy = evaluate(&module, &data.test, EVALUATION_BATCH)?.accuracy;
    if let Some(dir) = files.archive.parent() {
        create_dir(dir)?;
    }
    vs.freeze();
    vs.save(&files.weights)?;
    vs.unfreeze();
    module.save(&example, Mode::Eval, &files.archive)?;
    let Counts { params, macs, .. } = counts;
    Ok(Dense { model, seed, accuracy, params, macs, seconds: start.elapsed().as_secs_f64() })
}

/// The optimiser of a network, and the highest learning rate that it is trained with.
pub(super) fn optimizer(model: Model, module: &GraphModule) -> (Box<dyn Optimizer>, f64) {
    if model.is_transformer() {
        let settings = AdamWSettings::default().with_weight_decay(0.05);
        (Box::new(AdamW::new(module.parameters(), settings)), 2e-3)
    } else {
        let settings = SgdSettings::default().with_momentum(0.9).with_weight_decay(5e-4).with_nesterov();
        (Box::new(Sgd::new(module.parameters(), settings)), 0.1)
    }
}

/// The network of an archive.
pub(super) fn load(archive: &Path) -> Result<GraphModule, QualityError> {
    Ok(GraphModule::load(&Pt2::open(archive)?, Device::Cpu)?)
}
