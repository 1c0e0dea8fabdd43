//! Plans are the same whatever number of threads computes them. In a program of its own, since the number is one for all of them.

mod common;

use pruner::calibration::Batch;
use pruner::importance::{Signal, importance_from};
use pruner::plan::Selection;
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::registry;
use pruner::schedulers::Linear;
use pruner_bench::rng::Rng;
use serde_json::Value;
use tch::{Kind, Tensor};

use common::{Net, global};

#[test]
fn neither_plans_nor_scores_depend_on_the_number_of_threads() {
    let mut wrong = Vec::new();
    for name in ["plain_cnn", "vit", "resnet18"] {
        let net = Net::named(name);
        let batches: Vec<Batch> =
            (0..2).map(|at| Batch::new(vec![Rng::new(at).tensor(&[8, 3, 32, 32], -1.0, 1.0)])).collect();
        let loss = |outputs: &[Tensor], _: &[Tensor]| outputs[0].f_square()?.f_mean(None::<Kind>);
        for plugin in registry::importances() {
            let mut found = Vec::new();
            for threads in 1..=4 {
                tch::set_num_threads(threads);
                let importance = importance_from(plugin.name, Value::Null).expect("every option has a default");
                let settings = Settings::new(importance, Box::new(Linear {})).with_limits(global(0.4));
                let mut pruner = GroupPruner::new(&net.module, settings).expect("it can be pruned");
                if !pruner.settings().needs().is_disjoint(Signal::of_data()) {
                    pruner.gather(&net.module, &batches, Some(&loss)).expect("they are gathered");
                    assert_eq!(tch::get_num_threads(), threads, "they are as many as before");
                }
                let selection = pruner.plan(&net.module).expect("a plan");
                found.push((selection.plan().clone(), scores(&pruner, &selection)));
            }
            if found.iter().any(|of_threads| *of_threads != found[0]) {
                wrong.push(format!("{name} by {}", plugin.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The least, middle and greatest score of every group, to the last digit.
fn scores(pruner: &GroupPruner, selection: &Selection) -> String {
    serde_json::to_string(&pruner.preview(selection).groups).expect("it is written")
}
