//! How fast every criterion scores a network, in bytes of weights and signals each read once, against a plain copy of as many bytes in the
//! same run.
//!
//! It is a table rather than a benchmark of criterion's, since only the ratio of the two in turns is worth anything on a machine that others use.
#![allow(clippy::print_stdout, reason = "a benchmark talks")]

use std::hint::black_box;
use std::time::Instant;

use pruner_bench::models::{all, randomize};
use pruner_core::calibration::{Batch, NamedLoss, gather};
use pruner_core::deps::{Analysis, AxisGroup, Group as _, Kept, Member, Side};
use pruner_core::exec::GraphModule;
use pruner_core::importance::{Importance, Signals, Weights, importance_from, score, slices};
use pruner_core::registry;
use pruner_core::text::{Column, Table};
use pruner_core::trace::trace;
use pruner_importance as _;
use tch::{Device, Kind, Tensor, nn};

/// How often each is measured; the best counts.
const ROUNDS: usize = 7;

fn network(name: &str) -> (GraphModule, Batch) {
    let spec = all().into_iter().find(|spec| spec.name == name).expect("the name is registered");
    let vs = nn::VarStore::new(Device::Cpu);
    let net = (spec.build)(&vs.root(), spec.full_width);
    randomize(&vs, 1);
    let inputs = (spec.inputs)();
    let module = trace(&vs, &inputs, |inputs| net(inputs, false)).expect("the network is traced");
    let classes = module.forward(&inputs, pruner_core::exec::Mode::Eval).expect("it runs")[0].size()[1];
    let targets = Tensor::randint(classes, [inputs[0].size()[0]], (Kind::Int64, Device::Cpu));
    (module, Batch::new(inputs).with_targets(vec![targets]))
}

/// The criteria that are computed from signals or numbers alone, and read no weights; `bn-scale` reads few.
const WITHOUT_WEIGHTS: [&str; 4] = ["activation", "group-fisher", "random", "taylor-gate"];

/// The bytes of the tensors that a criterion is computed from: those of the members that are trained, each once, and the signals.
fn bytes(module: &GraphModule, groups: &[AxisGroup], criterion: &str, signals: u64) -> u64 {
    let reads = |member: &&Member| match criterion {
        _ if WITHOUT_WEIGHTS.contains(&criterion) => false,
        "bn-scale" => member.reader.1.contains("batch_norm") && member.reader.2.as_ref() == "weight",
        _ => member.trained,
    };
    let mut values: Vec<_> = groups.iter().flat_map(AxisGroup::members).filter(reads).collect();
    values.sort_by_key(|member| member.value);
    values.dedup_by_key(|member| member.value);
    let weights: u64 = values
        .iter()
        .filter_map(|member| module.tensor(member.value))
        .map(|tensor| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64)
        .sum();
    weights + signals
}

/// The scores of all groups, read back at once as a step does.
fn scores(importance: &dyn Importance, groups: &[AxisGroup], weights: &Weights) -> Vec<f32> {
    let scores: Vec<Tensor> =
        groups.iter().filter_map(|group| score(importance, group, weights).expect("the group can be scored")).collect();
    Vec::try_from(Tensor::cat(&scores, 0).to_device(Device::Cpu)).expect("scores are numbers")
}

/// The least arithmetic of `fpgm`: every filter by every other of its layer, in double precision and each pair once.
///
/// The pairs are those of the first half with all others, which are as many.
fn products(filters: &[Tensor]) {
    for filters in filters {
        let _ = black_box(filters.narrow(0, 0, filters.size()[0] / 2).matmul(&filters.transpose(0, 1)));
    }
}

/// The filters of the coordinates of every layer that makes some, a row for each, in double precision; and how many products of numbers all pairs take.
fn filters(module: &GraphModule, groups: &[AxisGroup]) -> (Vec<Tensor>, f64) {
    let mut filters = Vec::new();
    for group in groups {
        for member in group.members().iter().filter(|member| member.trained && member.side == Side::Output) {
            let tensor = module.tensor(member.value).expect("it is stored");
            if tensor.dim() >= 2 {
                let rows = slices::rows(member, tensor, group.size()).expect("it is the group's");
                filters.push(rows.to_kind(Kind::Double));
            }
        }
    }
    let pairs = |filters: &Tensor| (filters.size()[0] * filters.size()[0] / 2 * filters.size()[1]) as f64;
    let numbers = filters.iter().map(pairs).sum();
    (filters, numbers)
}

fn seconds<T>(f: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(f());
    start.elapsed().as_secs_f64()
}

fn main() {
    for name in ["resnet50", "vit"] {
        let (module, batch) = network(name);
        let analysis = Analysis::new(module.graph()).expect("it is analysed");
        let groups: Vec<AxisGroup> = analysis.groups().iter().filter(|group| group.pin().is_none()).cloned().collect();
        let loss = |outputs: &[Tensor], targets: &[Tensor]| NamedLoss::CrossEntropy.of(outputs, targets);
        let mut table = Table::new(&[
            ("criterion", Column::Left),
            ("read MB", Column::Right),
            ("ms", Column::Right),
            ("GB/s", Column::Right),
            ("of a copy", Column::Right),
        ]);
        for plugin in registry::importances() {
            let importance = importance_from(plugin.name, serde_json::Value::Null).expect("all has defaults");
            let needs = importance.needs();
            let batches = vec![Batch {
                inputs: batch.inputs.iter().map(Tensor::shallow_clone).collect(),
                targets: batch.targets.iter().map(Tensor::shallow_clone).collect(),
            }];
            let signals =
                gather(&module, &analysis, &Kept::all(), needs, &batches, Some(&loss)).expect("it is gathered");
            let of_signals = signals.bytes();
            let fresh = || {
                let mut own = Signals::default();
                own.extend(&signals);
                let mut weights = Weights::new(0).with_signals(own);
                for (value, _) in module.graph().stored() {
                    weights.insert(value, module.tensor(value).expect("it is stored")).expect("it is a tensor");
                }
                weights
            };
            let bytes = bytes(&module, &groups, plugin.name, of_signals);
            // Less than fits the caches tells nothing of memory.
            let copied = Tensor::zeros([bytes.max(1 << 20) as i64 / 4], (Kind::Float, Device::Cpu));
            let mut copy = copied.empty_like();
            if groups.iter().all(|group| score(importance.as_ref(), group, &fresh()).expect("it is scored").is_none()) {
                continue;
            }
            let expected: usize = groups.iter().map(pruner_core::deps::Group::size).sum();
            let (mut best, mut best_copy) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..ROUNDS {
                // What was folded once is remembered, so that each round begins without.
                let weights = fresh();
                best = best.min(seconds(|| {
                    let scores = scores(importance.as_ref(), &groups, &weights);
                    assert!(!scores.is_empty() && scores.len() <= expected);
                    scores
                }));
                best_copy = best_copy.min(seconds(|| copy.copy_(&copied)));
            }
            table.push([
                plugin.name.to_owned(),
                format!("{:.2}", bytes as f64 / 1e6),
                format!("{:.2}", best * 1e3),
                format!("{:.2}", bytes as f64 / best / 1e9),
                format!("{:.2}", bytes as f64 / bytes.max(1 << 20) as f64 * best_copy / best),
            ]);
        }
        println!("{name}: {} groups\n{table}", groups.len());
        let (filters, numbers) = filters(&module, &groups);
        let best = (0..ROUNDS).map(|_| seconds(|| products(&filters))).fold(f64::INFINITY, f64::min);
        println!(
            "the products of all pairs of filters, the least arithmetic of fpgm: {:.2} ms, {:.1} GFLOP/s\n",
            best * 1e3,
            2.0 * numbers / best / 1e9
        );
    }
}
