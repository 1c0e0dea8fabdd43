//! A criterion and a scheduler of our own, which a config file names as it would those that pruner ships.
//!
//! `cargo run -- config.json`

mod spread;
mod staircase;

use std::fs;

use anyhow::{Context, Result};
use pruner::deps::Group;
use pruner::pruner::{GroupPruner, Pruner, Settings};
use pruner::registry;
use pruner::trace::trace;
use tch::nn::Module;
use tch::{Device, Tensor, nn};

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("which config? own_importance config.json")?;
    registry::check()?;
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let settings: Settings = serde_json::from_str(&text).with_context(|| format!("in {path}"))?;

    let names: Vec<_> = registry::plugins().iter().map(|plugin| plugin.name).collect();
    println!("plugins: {}", names.join(", "));

    let vs = nn::VarStore::new(Device::Cpu);
    let net = net(&vs.root());
    let mut module =
        trace(&vs, &[Tensor::ones([1, 2], (tch::Kind::Float, Device::Cpu))], |xs| vec![net.forward(&xs[0])])?;
    let mut pruner = GroupPruner::new(&module, settings)?;
    for _ in 0..pruner.settings().steps {
        let report = pruner.step(&mut module, &mut ())?;
        let left: Vec<_> =
            pruner.groups().iter().filter(|g| g.pin().is_none()).map(|g| g.coordinates().to_vec()).collect();
        println!("step {}: pruned {}, hidden units left {left:?}", report.step, report.pruned());
    }
    Ok(())
}

/// Two layers with four hidden units, of which the first has the least spread and the last the second least.
fn net(vs: &nn::Path) -> impl Module + use<> {
    let config = nn::LinearConfig::default();
    let first = nn::linear(vs / "first", 2, 4, config);
    let second = nn::linear(vs / "second", 4, 1, config);
    let weights = Tensor::from_slice(&[1_f32, 1.0, 5.0, 9.0, 0.0, 2.0, 3.0, 3.5]).reshape([4, 2]);
    tch::no_grad(|| first.ws.shallow_clone().copy_(&weights));
    nn::seq().add(first).add_fn(Tensor::relu).add(second)
}
