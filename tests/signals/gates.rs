//! Gates: what masking a coordinate changes to first order.

use std::collections::BTreeSet;

use pruner::deps::{Group as _, Kept};
use pruner::importance::Signal;
use pruner_bench::rng::Rng;
use tch::{Kind, Tensor};

use crate::common::Snapshot;
use crate::support::{Wide, close, loss, near, singles, union};

fn gates() -> pruner::importance::SignalSet {
    Signal::Gate | Signal::SquaredGate
}

/// To scale an activation where it is read is to scale the weights that read it, whose slope is `Σ g·w`.
#[test]
fn gates_are_the_slope_by_the_weights_that_read_a_coordinate() {
    let names = [
        "plain_cnn",
        "resnet18",
        "resnext50",
        "densenet",
        "squeeze_excite",
        "grouped_conv_transpose",
        "vit",
        "swin",
        "decoder",
        "nhwc_flatten",
    ];
    for name in names {
        let net = Wide::named(name);
        let batches = net.batches();
        let before = Snapshot::of(&net.vs);
        let signals = net.gather(gates(), &batches);
        before.assert_unchanged(&net.vs, name);
        let gradients: Vec<_> = singles(&batches).iter().map(|sample| net.autograd(sample)).collect();
        let sites = net.analysis.sites(&Kept::all());
        let mut checked = 0;
        for group in net.groups() {
            let Some(own) = sites.get(&group.id()) else {
                assert!(signals.gate(Signal::Gate, group.id()).is_none(), "{name}: {}", group.name());
                continue;
            };
            let weights: BTreeSet<_> = own.iter().filter_map(|site| site.weight).collect();
            // Where activations meet, or a weight is read twice, it is another slope.
            let graph = net.module.graph();
            let reads = |value| graph.nodes().flat_map(|(_, node)| node.inputs()).filter(|it| *it == value).count();
            if weights.len() < own.len() || weights.iter().any(|(value, _)| reads(*value) > 1) {
                continue;
            }
            let effect = |gradients: &std::collections::BTreeMap<String, Tensor>| -> Tensor {
                let mut sums = vec![0.0; group.size()];
                let read = |dim, value| weights.contains(&(value, dim));
                for member in group.members().iter().filter(|member| read(member.dim, member.value)) {
                    let change = (&gradients[&*member.name] * net.vs.variables()[&*member.name].detach())
                        .movedim_int(member.dim as i64, 0)
                        .flatten(1, -1)
                        .sum_dim_intlist([1_i64].as_slice(), false, Kind::Double);
                    for (position, coordinate) in member.layout.places() {
                        sums[coordinate as usize] += change.double_value(&[position as i64]);
                    }
                }
                Tensor::from_slice(&sums)
            };
            let effects: Vec<Tensor> = gradients.iter().map(effect).collect();
            let mean = |effects: Vec<Tensor>| Tensor::stack(&effects, 0).mean_dim([0_i64].as_slice(), false, None);
            let found = |signal| signals.gate(signal, group.id()).expect("it is read");
            let what = format!("{name}: {}", group.name());
            // The decoder takes means in single precision.
            let share = if name == "decoder" { 1e-5 } else { 1e-9 };
            near(found(Signal::Gate), &mean(effects.iter().map(Tensor::abs).collect()), share, &what);
            near(found(Signal::SquaredGate), &mean(effects.iter().map(Tensor::square).collect()), share, &what);
            checked += 1;
        }
        assert!(checked >= 1, "{name}: {checked} groups");
    }
}

#[test]
fn where_queries_meet_keys_a_gate_is_the_slope_by_the_queries() {
    let net = Wide::named("cross_attention");
    let batches = net.batches();
    let signals = net.gather(gates(), &batches);
    let group = net
        .groups()
        .into_iter()
        .find(|group| group.name() == "q_proj.weight:0/1")
        .unwrap_or_else(|| panic!("{:?}", net.groups().iter().map(|group| group.name()).collect::<Vec<_>>()));
    let variables = net.vs.variables();
    let mut effects = Vec::new();
    for sample in singles(&batches) {
        let gradients = net.autograd(&sample);
        let of = |name: &str| (&gradients[name] * variables[name].detach()).reshape([4, group.size() as i64, -1]);
        let sum = |tensor: Tensor| tensor.sum_dim_intlist([0_i64, 2].as_slice(), false, None);
        effects.push(sum(of("q_proj.weight")) + sum(of("q_proj.bias")));
    }
    let expected = Tensor::stack(&effects, 0).abs().mean_dim([0_i64].as_slice(), false, None);
    close(signals.gate(Signal::Gate, group.id()).expect("they meet"), &expected, "queries");
}

#[test]
fn gates_are_the_slope_of_the_loss_by_a_mask() {
    // fc1 is read by two layers: a mask on it scales the columns of both.
    let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3], -1.0, 1.0)], |vs| {
        let layer = |name: &str, from, to| tch::nn::linear(vs / name, from, to, tch::nn::LinearConfig::default());
        let (fc1, a, b) = (layer("fc1", 3, 4), layer("a", 4, 2), layer("b", 4, 2));
        crate::support::one(move |xs| {
            let ys = xs.apply(&fc1).tanh();
            ys.apply(&a).tanh() * ys.apply(&b)
        })
    });
    let batch = net.batch(1, 5);
    let signals = net.gather(gates(), &vec![union(&[net.batch(1, 5)])]);
    let at = |coordinate: i64, factor: f64| {
        let variables = net.vs.variables();
        let columns: Vec<Tensor> =
            ["a.weight", "b.weight"].iter().map(|name| variables[*name].detach().narrow(1, coordinate, 1)).collect();
        let before: Vec<Tensor> = columns.iter().map(Tensor::copy).collect();
        for column in &columns {
            drop(column.shallow_clone().g_mul_scalar_(factor));
        }
        let outputs = tch::no_grad(|| (net.forward)(&batch.inputs, false));
        columns.iter().zip(&before).for_each(|(column, before)| column.shallow_clone().copy_(before));
        loss(&outputs, &batch.targets).expect("a number").double_value(&[])
    };
    let (step, group) = (1e-5, net.groups()[0].id());
    let slopes: Vec<f64> = (0..4).map(|at_| (at(at_, 1.0 + step) - at(at_, 1.0 - step)) / (2.0 * step)).collect();
    let slopes = Tensor::from_slice(&slopes);
    crate::support::near(signals.gate(Signal::Gate, group).expect("it is read"), &slopes.abs(), 1e-6, "slopes");
    let squares = signals.gate(Signal::SquaredGate, group).expect("it is read");
    crate::support::near(squares, &slopes.square(), 1e-6, "their squares");
}

#[test]
fn gates_of_a_network_without_sites_leave_the_users_gradients_alone() {
    let net = Wide::new(vec![Rng::new(9).tensor(&[2, 3], -1.0, 1.0)], |vs| {
        let fc = tch::nn::linear(vs / "fc", 3, 4, tch::nn::LinearConfig::default());
        crate::support::one(move |xs| xs.apply(&fc))
    });
    (net.forward)(&net.inputs, false)[0].sum(Kind::Double).backward();
    let before = Snapshot::of(&net.vs);
    let signals = net.gather(gates(), &net.batches());
    before.assert_unchanged(&net.vs, "gates");
    assert_eq!(signals.bytes(), 0);
}
