//! Checkpoints of a run, and how it goes on from one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Tensor};

use super::position::{Before, Position};
use super::{IterativeError, IterativePruning, IterativeSettings, Network, Training};
use crate::aten;
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::events::{Event, History};
use crate::files::temporary;
use crate::graph::Graph;
use crate::pruner::{Pruner, difference};
use crate::snapshot::Snapshot;

/// What a checkpoint holds beside tensors.
#[derive(Serialize, Deserialize)]
struct Run {
    settings: IterativeSettings,
    at: Position,
    pruner: Value,
    training: Value,
    network: StoredSnapshot,
    before: Option<StoredBefore>,
    history: History,
}

/// A snapshot but for its tensors.
#[derive(Serialize, Deserialize)]
struct StoredSnapshot {
    /// In its text form.
    graph: String,
    lr: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredBefore {
    network: StoredSnapshot,
    pruner: Value,
    training: Value,
    step: usize,
}

/// What stands before the names of the tensors of the network as it is, and as it was before the step.
const NOW: &str = "now";
const BEFORE: &str = "before";
/// The states of the generators of random numbers.
const RANDOM: &str = "random";

impl<P: Pruner> IterativePruning<'_, P> {
    /// Goes on from the checkpoint that the run keeps, if it is there; says whether it was.
    ///
    /// The network must be what it was before the first step: it gets the sizes, weights and random numbers of the checkpoint, its
    /// optimiser its state; gradients are no part of it. On the CPU, with as many threads and in single precision, the run then comes to the same end
    /// as if it had never been stopped, bit for bit. Nothing has changed where an error is returned, unless it is of the training or of an observer.
    pub fn resume(&mut self, network: &mut Network<'_>, training: &mut dyn Training) -> Result<bool, IterativeError> {
        let Some(file) = self.checkpoint.clone() else { return Ok(false) };
        self.check_checkpoint()?;
        let is_there = file.try_exists().map_err(|source| CheckpointError::Read { file: file.clone(), source })?;
        if !is_there {
            return Ok(false);
        }
        let _span = tracing::info_span!("resume").entered();
        let device = network.module.device();
        let Checkpoint { state, tensors } = Checkpoint::<Run>::read(&file, device)?;
        let value = |settings: &IterativeSettings| serde_json::to_value(settings).map_err(CheckpointError::State);
        if let Some(what) = difference(&value(&self.settings)?, &value(&state.settings)?, "settings") {
            return Err(IterativeError::OtherRun { what });
        }
        let damaged = |what: &str| CheckpointError::Damaged { file: file.clone(), what: what.to_owned() };
        let now = snapshot(&state.network, &tensors, NOW).ok_or_else(|| damaged("its graph cannot be read"))?;
        let before = match state.before {
            Some(StoredBefore { network, pruner, training, step }) => {
                let network = snapshot(&network, &tensors, BEFORE);
                let network = network.ok_or_else(|| damaged("its graph cannot be read"))?;
                Some(Before { network, pruner, training, step })
            }
            None => None,
        };
        let was = self.pruner.state()?;
        self.pruner.restore(&now.graph, &state.pruner)?;
        if let Err(error) = now.restore(network.module, network.optimizer) {
            self.pruner.restore(network.module.graph(), &was)?;
            return Err(error.into());
        }
        for device in generators(device) {
            if let Some(state) = tensors.get(&random(device)) {
                aten::set_random_state(device, &state.to_device(Device::Cpu))?;
            }
        }
        training.restore(&state.training).map_err(|source| IterativeError::Training { source })?;
        self.at = state.at;
        self.before = before;
        self.history = state.history;
        self.gather = true;
        self.history.push(Event::Resumed { step: self.pruner.steps_made() });
        for observer in &mut self.observers {
            observer.resumed(&self.history)?;
        }
        Ok(true)
    }

    /// That the checkpoint can be written, before any work is done for it.
    pub(super) fn check_checkpoint(&self) -> Result<(), IterativeError> {
        let Some(file) = &self.checkpoint else { return Ok(()) };
        temporary(file).map_err(|source| CheckpointError::Write { file: file.clone(), source })?;
        Ok(())
    }

    /// Writes the checkpoint, if one is kept.
    pub(super) fn save(&self, network: &Network<'_>, training: &dyn Training) -> Result<(), IterativeError> {
        let Some(file) = &self.checkpoint else { return Ok(()) };
        self.write(file, network, training)
    }

    fn write(&self, file: &Path, network: &Network<'_>, training: &dyn Training) -> Result<(), IterativeError> {
        let _span = tracing::info_span!("checkpoint").entered();
        let now = Snapshot::view(network.module, network.optimizer);
        let mut tensors = BTreeMap::new();
        store(&now, NOW, &mut tensors);
        for device in generators(network.module.device()) {
            tensors.insert(random(device), aten::random_state(device)?);
        }
        let before = self.before.as_ref().map(|before| {
            store(&before.network, BEFORE, &mut tensors);
            StoredBefore {
                network: stored(&before.network),
                pruner: before.pruner.clone(),
                training: before.training.clone(),
                step: before.step,
            }
        });
        let state = Run {
            settings: self.settings.clone(),
            at: self.at,
            pruner: self.pruner.state()?,
            training: training.state(),
            network: stored(&now),
            before,
            history: self.history.clone(),
        };
        Ok(Checkpoint { state, tensors }.write(file)?)
    }
}

/// The devices whose generators a run draws from.
fn generators(device: Device) -> Vec<Device> {
    if device == Device::Cpu { vec![Device::Cpu] } else { vec![Device::Cpu, device] }
}

fn random(device: Device) -> String {
    format!("{RANDOM}/{}", if device == Device::Cpu { "cpu" } else { "gpu" })
}

fn stored(snapshot: &Snapshot) -> StoredSnapshot {
    StoredSnapshot { graph: snapshot.graph.to_string(), lr: snapshot.lr }
}

/// Adds the tensors of a snapshot to those of a checkpoint.
fn store(snapshot: &Snapshot, place: &str, tensors: &mut BTreeMap<String, Tensor>) {
    for (id, tensor) in &snapshot.tensors {
        let name = &snapshot.graph.value(*id).name;
        tensors.insert(format!("{place}/network/{id}/{name}"), tensor.shallow_clone());
    }
    for (name, tensor) in &snapshot.optimizer {
        tensors.insert(format!("{place}/optimizer/{name}"), tensor.shallow_clone());
    }
}

/// The snapshot whose tensors a checkpoint holds; `None` where its graph is none.
fn snapshot(kept: &StoredSnapshot, tensors: &BTreeMap<String, Tensor>, place: &str) -> Option<Snapshot> {
    let graph: Graph = kept.graph.parse().ok()?;
    let stored = graph.stored().filter_map(|(id, value)| {
        let tensor = tensors.get(&format!("{place}/network/{id}/{}", value.name))?;
        Some((id, tensor.shallow_clone()))
    });
    let stored = stored.collect();
    let prefix = format!("{place}/optimizer/");
    let of_optimizer = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.shallow_clone())));
    Some(Snapshot { optimizer: of_optimizer.collect(), tensors: stored, graph, lr: kept.lr })
}
