//! A criterion and a scheduler of our own, which a config file names as it would those that pruner ships.
//!
//! `cargo run -- config.json`

mod spread;
mod staircase;

use std::fs;

use anyhow::{Context, Result};
use pruner::deps::{Group, Layout, Member, Pin, Side};
use pruner::ids::{GroupId, NodeId, ValueId};
use pruner::importance::{self, Importance, Weights};
use pruner::registry;
use pruner::scheduler::{self, Scheduler};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(deserialize_with = "pruner::importance::deserialize_importance")]
    importance: Box<dyn Importance>,
    #[serde(deserialize_with = "pruner::registry::deserialize_scheduler")]
    scheduler: Box<dyn Scheduler>,
    steps: usize,
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("which config? own_importance config.json")?;
    registry::check()?;
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let config: Config = serde_json::from_str(&text).with_context(|| format!("in {path}"))?;

    let names: Vec<_> = registry::plugins().iter().map(|plugin| plugin.name).collect();
    println!("plugins: {}", names.join(", "));

    let ratios = (0..=config.steps)
        .map(|step| scheduler::ratio(config.scheduler.as_ref(), step, config.steps))
        .collect::<Result<Vec<_>, _>>()?;
    println!("{}: {ratios:?}", config.scheduler.typetag_name());

    let layer = Layer::new();
    let mut weights = Weights::new(0);
    weights.insert(layer.members[0].value, &Tensor::from_slice(&[1_f32, 1.0, 5.0, 9.0, 0.0, 2.0]).reshape([3, 2]))?;
    if let Some(score) = importance::score(config.importance.as_ref(), &layer, &weights)? {
        println!("{}: {:?}", config.importance.typetag_name(), Vec::<f32>::try_from(score)?);
    }
    Ok(())
}

/// The three outputs of a linear layer.
#[derive(Debug)]
struct Layer {
    members: Vec<Member>,
}

impl Layer {
    fn new() -> Self {
        let weight = Member {
            value: ValueId::new(0),
            name: "fc.weight".to_owned(),
            trained: true,
            dim: 0,
            side: Side::Output,
            reader: (NodeId::new(0), "aten::linear".to_owned(), "weight".to_owned()),
            layout: Layout::Identity(3),
        };
        Self { members: vec![weight] }
    }
}

impl Group for Layer {
    fn id(&self) -> GroupId {
        GroupId::new(0)
    }

    fn name(&self) -> &str {
        "fc.weight:0"
    }

    fn initial_size(&self) -> usize {
        3
    }

    fn coordinates(&self) -> &[u32] {
        &[0, 1, 2]
    }

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn pin(&self) -> Option<&Pin> {
        None
    }

    fn inexact(&self) -> Option<NodeId> {
        None
    }
}
