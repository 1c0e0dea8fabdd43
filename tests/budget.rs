//! Budgets in parameters and multiply-accumulates are met, never above and as near as the channels allow.

mod common;

use common::{Net, settings};
use pruner::budget::{Budget, BudgetError};
use pruner::deps::{Counts, Kept};
use pruner::plan::Scope;
use pruner::pruner::{GroupPruner, Pruner as _};

/// The share of what `of` counts that one step removes once the budget is met.
fn removed(name: &str, scope: Scope, budget: Budget, of: fn(Counts) -> u64) -> f64 {
    let mut net = Net::named(name);
    let mut wanted = settings(0.0);
    wanted.limits.scope = scope;
    let mut pruner = GroupPruner::new(&net.module, wanted).expect("it can be pruned");
    let ratio = pruner.meet(&net.module, budget).expect("it can be met");
    assert!((0.0..1.0).contains(&ratio) && (pruner.settings().limits.target_ratio - ratio).abs() < f64::EPSILON);
    let dense = of(pruner.counts());
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    assert!(report.pruned() && of(report.after) == of(pruner.counts()));
    1.0 - of(report.after) as f64 / dense as f64
}

#[test]
fn a_budget_is_met_and_hardly_more_is_cut() {
    for scope in Scope::ALL {
        for share in [0.2, 0.5, 0.8] {
            for name in ["resnet18", "mobilenet_v2", "vit"] {
                let params = removed(name, scope, Budget::Params(share), |counts| counts.params);
                let macs = removed(name, scope, Budget::Macs(share), |counts| counts.macs);
                for got in [params, macs] {
                    assert!((share..share + 0.12).contains(&got), "{name}, {scope:?}: asked {share}, got {got}");
                }
            }
        }
    }
}

#[test]
fn a_budget_that_the_network_meets_already_cuts_nothing() {
    let net = Net::mlp(&[6, 12, 10, 4]);
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    assert!(pruner.meet(&net.module, Budget::Params(0.0)).expect("it is met").abs() < f64::EPSILON);
    assert!(pruner.plan(&net.module).expect("a plan").plan().is_empty());
}

#[test]
fn a_budget_that_cannot_be_met_says_what_can() {
    let net = Net::mlp(&[6, 12, 10, 4]);
    let mut wanted = settings(0.5);
    wanted.limits.min_channels = 6;
    let mut pruner = GroupPruner::new(&net.module, wanted).expect("it can be pruned");
    let error = pruner.meet(&net.module, Budget::Params(0.9)).expect_err("six channels stay");
    let dense = pruner.analysis().counts(&Kept::all()).params;
    let left = 6 * 6 + 6 + 6 * 6 + 6 + 6 * 4 + 4;
    let possible = 1.0 - f64::from(left) / dense as f64;
    assert!(
        matches!(error, BudgetError::Infeasible { possible: said, .. } if (said - possible).abs() < 1e-9),
        "{error}"
    );
    assert!(error.to_string().starts_with("the budget removes 90.0 % of the parameters"), "{error}");
    for share in [1.0, -0.1, f64::NAN] {
        let error = pruner.meet(&net.module, Budget::Macs(share)).expect_err("no share");
        assert!(error.to_string().contains("at least 0 and less than 1"), "{error}");
    }
}
