//! Networks that other pruners refuse, or never come back from: each has groups, is pruned in steps, and trains on.

mod common;

use common::{Net, max_of, relative, settings};
use pruner::exec::Mode;
use pruner::optim::{AdamW, AdamWSettings, Optimizer as _};
use pruner::pruner::{GroupPruner, Pruner as _};
use tch::Tensor;

#[track_caller]
fn check(name: &str, pruned: &[&str]) {
    let mut net = Net::named(name);
    let mut optimizer = AdamW::new(net.module.parameters(), AdamWSettings::default());
    let shapes: Vec<_> =
        net.module.forward(&net.inputs, Mode::Eval).expect("it runs").iter().map(Tensor::size).collect();
    let mut pruner = GroupPruner::new(&net.module, settings(0.5).with_steps(2)).expect("it can be pruned");
    assert!(pruner.analysis().unknown_ops().is_empty(), "{name}: {:?}", pruner.analysis().unknown_ops());
    let params = pruner.counts().params;
    for step in 1..=2 {
        let report = pruner.step(&mut net.module, &mut optimizer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.pruned(), "{name}: {report}");
        assert!(report.groups.iter().any(|group| group.cut() > 0));
        let outputs = net.module.forward(&net.inputs, Mode::Train).unwrap_or_else(|error| panic!("{name}: {error}"));
        let loss = Net::loss(&outputs);
        optimizer.backward_step(&loss).unwrap_or_else(|error| panic!("{name}: {error}"));
        let loss = loss.double_value(&[]);
        assert!(loss.is_finite(), "{name}: the loss is {loss} after step {step}");
        for (parameter, tensor) in net.module.parameters() {
            let grad = tensor.grad();
            assert!(grad.defined() && grad.size() == tensor.size(), "{name}: the gradient of {parameter}");
            assert!(max_of(&grad).is_finite() && max_of(&tensor).is_finite(), "{name}: {parameter}");
        }
        let outputs = net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
        assert_eq!(outputs.iter().map(Tensor::size).collect::<Vec<_>>(), shapes, "{name}");
        if pruner.burnt_in().is_empty() {
            let own = (net.forward)(&net.inputs, false);
            assert!(relative(&outputs[0], &own[0]) < 1e-5, "{name}: the code computes something else than its graph");
        }
    }
    assert!(
        pruner.counts().params < params * 3 / 4,
        "{name}: {} of {params} parameters are left",
        pruner.counts().params
    );
    for expected in pruned {
        let group = pruner.groups().into_iter().find(|group| {
            group.pin().is_none()
                && group.members().iter().any(|member| format!("{}:{}", member.name, member.dim) == *expected)
        });
        let group = group.unwrap_or_else(|| panic!("{name}: {expected} is in no group that may be cut"));
        assert!(group.size() < group.initial_size(), "{name}: {expected} is not cut");
    }
}

#[test]
fn recurrent_layers_lose_hidden_units_in_all_their_gates() {
    check("lstm_classifier", &["lstm.weight_ih_l0:0", "lstm.weight_hh_l0:1", "embedding.weight:1"]);
    check("bilstm_classifier", &["lstm.weight_ih_l0:0", "lstm.weight_hh_l1_reverse:0"]);
    check("gru_classifier", &["gru.weight_ih_l0:0", "gru.weight_hh_l0:1"]);
}

#[test]
fn grouped_transposed_and_multiplied_convolutions_are_pruned() {
    check("grouped_conv_transpose", &["conv.weight:0", "up.weight:0", "up.weight:1"]);
    check("depth_multiplier", &["conv.weight:0", "depthwise.weight:0"]);
}

#[test]
fn norms_of_every_kind_are_pruned() {
    check("instance_norm", &["norm1.weight:0", "norm2.running_mean:0"]);
    check("unet_group_norm", &[]);
    check("decoder", &["norm.weight:0", "layers.0.self_attn.k_proj.weight:0", "layers.0.mlp.gate_proj.weight:0"]);
}

#[test]
fn attention_of_every_kind_is_pruned() {
    check("cross_attention", &["q_proj.weight:0", "v_proj.weight:0", "out_proj.weight:0"]);
    check("multihead_attention", &["in_proj_weight:0", "in_proj_weight:1"]);
    check("decoder_interleave", &["layers.0.self_attn.q_proj.weight:0", "layers.1.self_attn.o_proj.weight:1"]);
}

#[test]
fn sub_pixel_convolutions_and_gates_are_pruned() {
    check("pixel_shuffle", &["conv1.weight:0", "up1.weight:0"]);
    check("glu", &["conv.weight:0", "fc1.weight:0"]);
    check("one_channel_gate", &["conv.weight:0"]);
}

#[test]
fn a_gate_of_one_channel_keeps_it() {
    let net = Net::named("one_channel_gate");
    let pruner = GroupPruner::new(&net.module, settings(0.9)).expect("it can be pruned");
    let selection = pruner.plan(&net.module).expect("a plan");
    let gate = pruner.groups().into_iter().find(|group| group.name() == "gate.weight:0");
    assert!(gate.is_none_or(|gate| selection.plan().cut(gate.id()).is_empty()));
}

#[test]
fn shuffled_and_windowed_networks_are_pruned() {
    check("shufflenet_v2", &[]);
    check("swin", &[]);
    check("maxvit", &[]);
}
