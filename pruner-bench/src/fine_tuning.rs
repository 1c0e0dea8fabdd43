//! How classifiers of Fashion-MNIST are trained and judged while they are pruned.

use pruner_core::deps::{Analysis, Counts, Kept};
use pruner_core::events::Cost;
use pruner_core::exec::GraphModule;
use pruner_core::iterative::{AnyError, Epoch, Network, Training as Loop};
use pruner_core::pruner::PruneError;

use crate::data::FashionMnist;
use crate::train::{Evaluation, Schedule, Training, evaluate, train};

/// Fine-tunes a classifier between steps of pruning.
#[derive(Debug)]
pub struct FineTuning<'a> {
    data: &'a FashionMnist,
    settings: FineTuningSettings,
    /// What the last evaluation found.
    evaluation: Option<Evaluation>,
}

/// Settings of [`FineTuning`].
#[derive(Clone, Copy, Debug)]
pub struct FineTuningSettings {
    /// Images of an epoch after a step.
    pub images: usize,
    /// Images of an epoch after the last step.
    pub final_images: usize,
    /// Images to a step of the optimiser.
    pub batch_size: usize,
    /// Images that are judged at once.
    pub evaluation_batch: usize,
    /// The highest learning rate; every epoch falls from it along half a cosine.
    pub lr: f64,
    /// The order of the images, with the number of the epoch.
    pub seed: u64,
}

impl<'a> FineTuning<'a> {
    /// On these images.
    pub fn new(data: &'a FashionMnist, settings: FineTuningSettings) -> Self {
        Self { data, settings, evaluation: None }
    }

    /// What the last evaluation found.
    pub fn evaluation(&self) -> Option<&Evaluation> {
        self.evaluation.as_ref()
    }

    /// Takes what the last evaluation found.
    pub fn into_evaluation(self) -> Option<Evaluation> {
        self.evaluation
    }
}

impl Loop for FineTuning<'_> {
    fn epoch(&mut self, network: &mut Network<'_>, epoch: Epoch, told: &mut dyn FnMut(f64)) -> Result<Cost, AnyError> {
        let FineTuningSettings { images, final_images, batch_size, lr, seed, .. } = self.settings;
        let training = Training {
            images: if epoch.is_final { final_images } else { images },
            batch_size,
            schedule: Schedule::Cosine(lr),
            seed: seed.wrapping_add(epoch.number as u64),
            macs_per_image: counts(network.module)?.macs,
        };
        Ok(train(network.module, network.optimizer, &self.data.train, &training, told)?)
    }

    fn evaluate(&mut self, network: &mut Network<'_>) -> Result<f64, AnyError> {
        let found = evaluate(network.module, &self.data.test, self.settings.evaluation_batch)?;
        let accuracy = found.accuracy;
        self.evaluation = Some(found);
        Ok(accuracy)
    }
}

/// What a network costs; its multiply-accumulates are those of one sample.
pub fn counts(module: &GraphModule) -> Result<Counts, PruneError> {
    let mut counts = Analysis::new(module.graph())?.counts(&Kept::all());
    let batch = module.graph().inputs().first().and_then(|&input| module.graph().shape(input).first().copied());
    counts.macs /= batch.unwrap_or(1).max(1) as u64;
    Ok(counts)
}
