//! The data that `prune` computes criteria and statistics from.

use anyhow::{Context as _, bail};
use pruner::calibration::recalibrate;
use pruner::config::{Calibration, Data};
use pruner::exec::GraphModule;
use pruner::importance::{Signal, SignalSet};
use pruner::pruner::GroupPruner;
use tch::{Device, Tensor};

use super::output;

/// The data of a config, if it names some.
pub(crate) struct Samples {
    data: Option<(Calibration, Data)>,
}

impl Samples {
    /// Reads the data; an error where the settings need some and there is none.
    pub(crate) fn new(
        calibration: Option<Calibration>,
        pruner: &GroupPruner,
        module: &GraphModule,
        device: Device,
    ) -> anyhow::Result<Self> {
        let needs = pruner.settings().needs() & Signal::of_data();
        let Some(calibration) = calibration else {
            if let Some(signal) = needs.into_iter().next() {
                let importance = &pruner.settings().importance;
                let what = if importance.needs().contains(signal) {
                    format!("importance `{}` is", importance.typetag_name())
                } else {
                    "the biases that compensate are".to_owned()
                };
                bail!(
                    "{what} computed from data ({signal:?}): give --data, a safetensors file with samples of the model's inputs{}",
                    if Self::takes_loss(needs) { " and the targets of a loss" } else { "" }
                );
            }
            return Ok(Self { data: None });
        };
        let data = calibration.load(module.graph(), needs, device)?;
        Ok(Self { data: Some((calibration, data)) })
    }

    fn takes_loss(needs: SignalSet) -> bool {
        !needs.is_disjoint(Signal::of_loss())
    }

    /// Gathers what the next step needs.
    pub(crate) fn gather(&self, pruner: &mut GroupPruner, module: &GraphModule) -> anyhow::Result<()> {
        if let Some((calibration, data)) = &self.data {
            let loss = |outputs: &[Tensor], targets: &[Tensor]| calibration.loss.of(outputs, targets);
            pruner.gather(module, data, Some(&loss)).with_context(|| calibration.data.display().to_string())?;
        }
        Ok(())
    }

    /// Measures the statistics of batch norms anew if that is asked for, and returns how many they are.
    pub(crate) fn recalibrate(&self, module: &mut GraphModule) -> anyhow::Result<usize> {
        match &self.data {
            Some((calibration, data)) if calibration.recalibrate => {
                let measured = recalibrate(module, data).with_context(|| calibration.data.display().to_string())?;
                if measured == 0 {
                    output::warn("the model has no batch norm that keeps statistics, so that none were measured");
                }
                Ok(measured)
            }
            _ => Ok(0),
        }
    }

    /// Whether tensors may not be slices of those of the model.
    pub(crate) fn change_tensors(&self) -> bool {
        self.data.is_some()
    }
}
