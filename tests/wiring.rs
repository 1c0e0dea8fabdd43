//! Cuts through operations that move channels about: the cut network computes what the network does whose filters of the
//! cut channels are zero. Unlike `masked_equals_sliced` this does not ask the analysis where the channels are read.

mod common;

use common::{Net, Snapshot, relative, same, select, settings, with_limits};
use pruner::deps::{Analysis, Group, Kept, Member, Role, Side};
use pruner::equivalence::masked_equals_sliced;
use pruner::exec::Mode;
use pruner::optim::{AdamW, AdamWSettings, Optimizer as _};
use pruner::plan::Limits;
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner_bench::models::{Forward, randomize};
use pruner_bench::rng::Rng;
use tch::{Tensor, nn};

/// Prunes `ratio` of every group and compares with the network whose cut filters, biases and scales are zero.
fn check(name: &str, mut net: Net, ratio: f64, seed: u64) {
    randomize(&net.vs, seed);
    let mut pruner = GroupPruner::new(&net.module, settings(ratio)).expect("it can be pruned");
    let selection = pruner.plan(&net.module).expect("a plan");
    assert!(!selection.plan().is_empty(), "{name}");
    let before = Snapshot::of(&net.vs);
    for (&id, cut) in selection.plan().cuts() {
        let group = &pruner.analysis().groups()[id.index()];
        for member in group.members().iter().filter(|member| member.trained && member.side != Side::Input) {
            let positions: Vec<i64> = (0_i64..)
                .zip(member.layout.coordinates())
                .filter(|(_, coordinate)| coordinate.is_some_and(|coordinate| cut.contains(&coordinate)))
                .map(|(position, _)| position)
                .collect();
            let mut variable = net.variable(&member.name);
            let _ = tch::no_grad(|| variable.index_fill_(member.dim as i64, &Tensor::from_slice(&positions), 0.0));
        }
    }
    let zeroed = (net.forward)(&net.inputs, false);
    for (name, mut variable) in net.vs.variables() {
        tch::no_grad(|| variable.copy_(before.value(&name)));
    }
    let dense = (net.forward)(&net.inputs, false);
    pruner.apply(&mut net.module, &mut (), &selection).expect("it is applied");
    let cut = net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
    for ((cut, zeroed), dense) in cut.iter().zip(&zeroed).zip(&dense) {
        let (difference, effect) = (relative(cut, zeroed), relative(dense, zeroed));
        assert!(difference <= 1e-5, "{name} with {ratio} gone, seed {seed}: {difference}");
        assert!(effect > 1e-2, "{name}: the cut changed nothing, so the comparison says nothing");
    }
}

#[test]
fn channels_that_are_moved_about_are_cut_where_they_end_up() {
    let names = [
        "flip",
        "strided_slices",
        "swapped_halves",
        "nhwc_flatten",
        "concatenated_input",
        "pixel_shuffle",
        "glu",
        "grouped_conv_transpose",
        "squeeze_excite",
        "tied_layers",
        "plain_cnn",
        "densenet",
        "mobilenet_v2",
    ];
    for name in names {
        for (ratio, seed) in [(0.5, 3), (0.8, 4), (0.9, 5)] {
            check(name, Net::named(name), ratio, seed);
        }
    }
}

/// Convolutions around a change of the order of channels.
fn around(width: i64, moved: impl Fn(&Tensor) -> Tensor + Send + 'static) -> Net {
    Net::new(vec![Rng::new(1).tensor(&[2, 3, 6, 6], -1.0, 1.0)], |vs| {
        let conv1 = nn::conv2d(vs / "conv1", 3, width, 3, nn::ConvConfig::default());
        let conv2 = nn::conv2d(vs / "conv2", width, 6, 3, nn::ConvConfig::default());
        let head = nn::conv2d(vs / "head", 6, 2, 1, nn::ConvConfig::default());
        let forward: Forward = Box::new(move |inputs, _train| {
            let xs = moved(&inputs[0].apply(&conv1).relu());
            vec![xs.apply(&conv2).relu().apply(&head)]
        });
        forward
    })
}

/// The coordinate at each position of the dimension where `conv2` reads the channels of `conv1`, whole numbers below the
/// group's size; `None` where they belong to another group.
fn read_by_conv2(net: &Net) -> Vec<Option<u32>> {
    member(&Analysis::new(net.module.graph()).expect("it is analysed"), "conv1.weight:0", "conv2.weight", 1)
        .layout
        .coordinates()
        .collect()
}

fn group<'a>(analysis: &'a Analysis, name: &str) -> &'a dyn Group {
    analysis.groups().iter().find(|group| group.name() == name).unwrap_or_else(|| panic!("no group {name}"))
}

fn member(analysis: &Analysis, name: &str, value: &str, dim: usize) -> Member {
    let found = group(analysis, name).members().iter().find(|member| *member.name == *value && member.dim == dim);
    found.unwrap_or_else(|| panic!("{value}:{dim} is not in {name}")).clone()
}

#[test]
fn a_flip_turns_channels_round() {
    let net = around(8, |xs| xs.flip([1]));
    assert_eq!(read_by_conv2(&net), (0..8).rev().map(Some).collect::<Vec<_>>());
    check("flip", net, 0.7, 3);
}

#[test]
fn channels_that_are_rolled_are_left_alone() {
    let net = around(8, |xs| xs.roll(3, 1));
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    assert!(group(&analysis, "conv1.weight:0").pin().is_some() && group(&analysis, "conv2.weight:0").pin().is_none());
    check("roll", net, 0.7, 3);
}

#[test]
fn where_channels_are_taken_by_number_those_taken_are_cut_with_their_numbers() {
    let mut net = around(8, |xs| xs.index_select(1, &Tensor::from_slice(&[7_i64, 0, 3, 1, 6, 2, 5, 4])));
    let mut pruner = GroupPruner::new(&net.module, settings(0.7)).expect("it can be pruned");
    assert!(group(pruner.analysis(), "conv1.weight:0").pin().is_some());
    let mut kept = Kept::all();
    for (&id, cut) in pruner.plan(&net.module).expect("a plan").plan().cuts() {
        kept.remove(pruner.analysis(), id, cut);
    }
    let difference = masked_equals_sliced(&net.module, pruner.analysis(), &kept, &net.inputs).expect("it is compared");
    assert!(difference.relative < 1e-6 && difference.effect > 1e-2, "{difference:?}");
    pruner.step(&mut net.module, &mut ()).expect("a step");
    assert_eq!((net.variable("conv1.weight").size()[0], net.variable("conv2.weight").size()[1]), (8, 3));
}

#[test]
fn halves_that_are_swapped_are_told_apart() {
    let net = around(8, |xs| {
        let halves = xs.split(4, 1);
        Tensor::cat(&[&halves[1], &halves[0]], 1)
    });
    // Two groups: the first half of conv1 is what conv2 reads last.
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let halves: Vec<_> = analysis.groups().iter().filter(|group| group.name().starts_with("conv1.weight:0/")).collect();
    assert_eq!(halves.len(), 2);
    for half in halves {
        let at = |value: &str| {
            let member = half.members().iter().find(|member| *member.name == *value).expect("it is in the group");
            member.layout.coordinates().position(|coordinate| coordinate == Some(0)).expect("it is there")
        };
        assert_eq!((at("conv1.weight") + 4) % 8, at("conv2.weight"));
    }
    check("swapped halves", net, 0.7, 3);
}

#[test]
fn a_channel_shuffle_interleaves_what_is_cut() {
    let net = around(12, |xs| {
        let [n, _, h, w] = xs.size()[..] else { panic!("an image batch has four dimensions") };
        xs.view([n, 3, 4, h, w]).transpose(1, 2).contiguous().view([n, 12, h, w])
    });
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let sizes: Vec<_> =
        analysis.groups().iter().filter(|group| group.name().starts_with("conv1.weight:0/")).map(Group::size).collect();
    assert_eq!(sizes.iter().product::<usize>(), 12, "groups and channels within one: {sizes:?}");
    check("channel shuffle", net, 0.5, 3);
}

#[test]
fn a_concatenation_with_the_input_moves_channels_behind_it() {
    let net = Net::named("concatenated_input");
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let read: Vec<_> = member(&analysis, "conv1.weight:0", "conv2.weight", 1).layout.coordinates().collect();
    assert_eq!(read, [None; 3].into_iter().chain((0..16).map(Some)).collect::<Vec<_>>());
}

#[test]
fn a_linear_layer_over_pixels_and_channels_loses_a_channel_in_every_pixel() {
    let net = Net::named("nhwc_flatten");
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let read: Vec<_> = member(&analysis, "conv.weight:0", "fc.weight", 1).layout.coordinates().collect();
    assert_eq!(read, (0..256).map(|position| Some(position % 16)).collect::<Vec<_>>());
}

#[test]
fn heads_and_their_features_are_groups_of_their_own_in_the_order_of_the_projection() {
    let net = Net::named("multihead_attention");
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let layouts: Vec<(usize, Vec<_>)> = analysis
        .groups()
        .iter()
        .filter(|group| group.name().starts_with("in_proj_weight:0/") && group.pin().is_none())
        .map(|group| (group.size(), group.members()[0].layout.coordinates().flatten().collect()))
        .collect();
    // Queries, keys and values, each of 4 heads of 4 features.
    let features: Vec<u32> = (0..48).map(|position| position % 4).collect();
    let heads: Vec<u32> = (0..48).map(|position| position / 4 % 4).collect();
    assert_eq!(layouts, [(4, features), (4, heads)]);

    let net = Net::named("cross_attention");
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let members = |at: usize| {
        let names = analysis.groups()[at].members().iter().map(|member| member.name.as_ref());
        names.filter(|name| name.ends_with("weight")).collect::<Vec<_>>()
    };
    // The features of queries and keys meet in the scores, those of values in the output; all share their heads.
    assert_eq!(members(0), ["q_proj.weight", "k_proj.weight"]);
    assert_eq!(members(1), ["q_proj.weight", "k_proj.weight", "v_proj.weight", "out_proj.weight"]);
    assert_eq!(members(4), ["v_proj.weight", "out_proj.weight"]);
}

#[test]
fn a_whole_head_goes_from_queries_keys_values_and_output() {
    let mut net = Net::named("multihead_attention");
    let before = Snapshot::of(&net.vs);
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    let heads = pruner
        .groups()
        .into_iter()
        .filter(|group| group.name().starts_with("in_proj_weight:0/") && group.pin().is_none());
    let heads = heads.last().expect("it has heads").id();
    let plan = [(heads, [1, 2])].into_iter().collect();
    let selection = pruner.plan(&net.module).expect("a plan");
    let selection = selection.with_plan(plan, &pruner.groups(), &pruner.settings().limits).expect("it fits");
    pruner.apply(&mut net.module, &mut (), &selection).expect("it is applied");
    let kept: Vec<u32> = (0..48).filter(|position| [0, 3].contains(&(position / 4 % 4))).collect();
    assert!(same(&net.variable("in_proj_weight").detach(), &select(before.value("in_proj_weight"), 0, &kept)));
    assert!(same(&net.variable("out_proj.weight").detach(), &select(before.value("out_proj.weight"), 1, &kept[..8])));
}

#[test]
fn a_layer_norm_keeps_its_weights_in_order_whatever_goes() {
    for ratio in [0.25, 0.5, 0.7, 0.9] {
        let inputs = vec![Rng::new(2).tensor(&[5, 8], -1.0, 1.0)];
        let mut net = Net::new(inputs, |vs| {
            let fc1 = nn::linear(vs / "fc1", 8, 20, nn::LinearConfig::default());
            let norm = nn::layer_norm(vs / "norm", vec![20], nn::LayerNormConfig::default());
            let fc2 = nn::linear(vs / "fc2", 20, 3, nn::LinearConfig::default());
            Box::new(move |inputs, _train| vec![inputs[0].apply(&fc1).apply(&norm).apply(&fc2)])
        });
        let before = Snapshot::of(&net.vs);
        let mut pruner = GroupPruner::new(&net.module, settings(ratio)).expect("it can be pruned");
        let report = pruner.step(&mut net.module, &mut ()).expect("a step");
        let group = report.groups.iter().find(|group| group.cut() > 0).expect("it is pruned");
        assert!(group.inexact.is_some(), "a mean over the channels changes with them");
        let kept = &group.kept;
        let part = |name: &str, dim| select(before.value(name), dim, kept);
        let hidden = net.inputs[0].linear(&part("fc1.weight", 0), Some(part("fc1.bias", 0)));
        let (weight, bias) = (part("norm.weight", 0), part("norm.bias", 0));
        let hidden = hidden.layer_norm([kept.len() as i64], Some(weight), Some(bias), 1e-5, true);
        let by_hand = hidden.linear(&part("fc2.weight", 1), Some(before.value("fc2.bias")));
        let cut = &net.module.forward(&net.inputs, Mode::Eval).expect("it runs")[0];
        assert!(relative(cut, &by_hand) < 1e-6, "{ratio}: {}", relative(cut, &by_hand));
    }
}

#[test]
fn tied_weights_stay_one_tensor() {
    let mut net = Net::named("tied_autoencoder");
    let mut optimizer = AdamW::new(net.module.parameters(), AdamWSettings::default());
    let variable = net.variable("encoder2.weight");
    let mut pruner = GroupPruner::new(&net.module, settings(0.75)).expect("it can be pruned");
    pruner.step(&mut net.module, &mut optimizer).expect("a step");
    assert_eq!(variable.size(), [4, 8], "the handle from before the cut is that of the variable");
    let readers: Vec<_> = net
        .module
        .graph()
        .nodes()
        .filter(|(_, node)| node.inputs().any(|input| net.module.graph().value(input).name == "encoder2.weight"))
        .collect();
    assert_eq!(readers.len(), 2, "the encoder and the decoder read it");
    assert!(pruner.burnt_in().is_empty());
    for _ in 0..2 {
        let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
        optimizer.backward_step(&Net::loss(&outputs)).expect("a step");
        let own = (net.forward)(&net.inputs, false);
        assert!(relative(&net.module.forward(&net.inputs, Mode::Eval).expect("it runs")[0], &own[0]) < 1e-6);
    }
    assert_eq!(variable.grad().size(), [4, 8]);
}

#[test]
fn a_shape_of_every_value_after_a_cut_is_the_one_that_running_gives() {
    for name in ["flip", "swapped_halves", "multihead_attention", "decoder", "swin", "unet", "bilstm_classifier"] {
        let mut net = Net::named(name);
        let mut pruner = GroupPruner::new(&net.module, settings(0.6)).expect("it can be pruned");
        pruner.step(&mut net.module, &mut ()).expect("a step");
        let mut shapes = Vec::new();
        let mut observe = |value, tensor: &Tensor| shapes.push((value, tensor.size()));
        net.module.forward_observed(&net.inputs, Mode::Eval, &mut observe).expect("it runs");
        assert!(!shapes.is_empty());
        for (value, shape) in shapes {
            assert_eq!(net.module.graph().shape(value), shape, "{name}: {value}");
        }
        for (value, stored) in net.module.graph().stored() {
            assert_eq!(net.module.tensor(value).expect("it is stored").size(), stored.meta.shape, "{name}: {value}");
        }
        assert_eq!(pruner.analysis().rewrite(pruner.kept()), *net.module.graph());
        assert_ne!(pruner.analysis().rewrite(&Kept::all()), *net.module.graph());
    }
}

/// The groups of a network that are no channels, with their roles.
#[track_caller]
fn check_roles(network: &str, expected: &[(&str, Role)]) {
    let net = Net::named(network);
    let analysis = Analysis::new(net.module.graph()).expect("it is analysed");
    let groups = analysis.groups().iter().filter(|group| group.role() != Role::Channels);
    let found: Vec<(&str, Role)> = groups.map(|group| (group.name(), group.role())).collect();
    assert_eq!(found, expected, "{network}");
}

#[test]
fn heads_and_their_dimensions_are_told_from_channels() {
    use Role::{HeadDims, Heads};
    check_roles("multihead_attention", &[("in_proj_weight:0/2", HeadDims), ("in_proj_weight:0/1", Heads)]);
    check_roles(
        "cross_attention",
        &[("q_proj.weight:0/1", HeadDims), ("q_proj.weight:0/0", Heads), ("v_proj.weight:0", HeadDims)],
    );
    check_roles(
        "vit",
        &[
            ("blocks.0.attn.qkv.weight:0/2", HeadDims),
            ("blocks.0.attn.qkv.weight:0/1", Heads),
            ("blocks.1.attn.qkv.weight:0/2", HeadDims),
            ("blocks.1.attn.qkv.weight:0/1", Heads),
        ],
    );
    check_roles("unet_group_norm", &[]);
    check_roles("gru_classifier", &[]);
}

#[test]
fn whole_heads_go_where_their_dimensions_are_ignored() {
    let mut net = Net::named("multihead_attention");
    let limits = Limits::new(0.5).with_ignored("@head-dims");
    let mut pruner = GroupPruner::new(&net.module, with_limits(limits)).expect("it can be pruned");
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    // Two of the four heads, and all four dimensions of each.
    let of = |name: &str| report.groups.iter().find(|group| group.name == name).expect("it is reported").kept.len();
    assert_eq!((of("in_proj_weight:0/1"), of("in_proj_weight:0/2")), (2, 4));
    assert_eq!(net.variable("out_proj.weight").size()[1], 8);
}
