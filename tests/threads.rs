//! Plans are the same whatever number of threads computes them. In a program of its own, since the number is one for all of them.

mod common;

use std::collections::BTreeMap;

use pruner::calibration::Batch;
use pruner::importance::{Signal, importance_from};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::registry;
use pruner::schedulers::Linear;
use serde_json::Value;
use tch::{Kind, Tensor};

use common::{Net, global};

#[test]
fn plans_do_not_depend_on_the_number_of_threads() {
    let mut wrong = Vec::new();
    for name in ["plain_cnn", "vit"] {
        let net = Net::named(name);
        let batches: Vec<Batch> = (0..2)
            .map(|at| Batch::new(vec![pruner_bench::rng::Rng::new(at).tensor(&[6, 3, 32, 32], -1.0, 1.0)]))
            .collect();
        let loss = |outputs: &[Tensor], _: &[Tensor]| outputs[0].f_square()?.f_mean(None::<Kind>);
        for plugin in registry::importances() {
            let mut plans = BTreeMap::new();
            for threads in 1..=4 {
                tch::set_num_threads(threads);
                let importance = importance_from(plugin.name, Value::Null).expect("every option has a default");
                let settings = Settings::new(importance, Box::new(Linear {})).with_limits(global(0.4));
                let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
                if !pruner.settings().needs().is_disjoint(Signal::of_data()) {
                    pruner.gather(&net.module, &batches, Some(&loss)).expect("they are gathered");
                }
                plans.insert(threads, pruner.plan(&net.module).expect("a plan").plan().clone());
            }
            tch::set_num_threads(1);
            let differ: Vec<_> = plans.iter().filter(|(_, plan)| **plan != plans[&1]).map(|(at, _)| *at).collect();
            if !differ.is_empty() {
                wrong.push(format!("{name} by {}: with {differ:?} threads", plugin.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
