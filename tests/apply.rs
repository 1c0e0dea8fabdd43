//! A cut is made whole or not at all, and the code that was traced goes on being run wherever no size is burnt into it.

mod common;

use std::collections::BTreeMap;

use common::{Net, Snapshot, max_of, relative, same, settings, with_limits};
use pruner::apply::ApplyError;
use pruner::deps::{BurntIn, Kept};
use pruner::exec::Mode;
use pruner::ids::GroupId;
use pruner::optim::{AdamW, AdamWSettings, Follow, FollowError, Optimizer as _};
use pruner::plan::{Limits, Plan, Scope};
use pruner::pruner::{GroupPruner, PruneError, Pruner as _};
use pruner_bench::models::all;
use tch::{Device, Kind, Tensor, nn};

/// An optimiser that refuses a cut, or whose state of one parameter is of another shape.
#[derive(Debug)]
struct Bad {
    inner: AdamW,
    refuses: bool,
    spoiled: Option<(&'static str, Tensor)>,
}

impl Follow for Bad {
    fn state_mut(&mut self, parameter: &str) -> Vec<&mut Tensor> {
        let mut state = self.inner.state_mut(parameter);
        state.extend(self.spoiled.iter_mut().filter(|(name, _)| *name == parameter).map(|(_, tensor)| tensor));
        state
    }

    fn check(&self) -> Result<(), FollowError> {
        if self.refuses { Err(FollowError::new("`fc1.weight` is being written elsewhere")) } else { Ok(()) }
    }
}

/// A network that was trained for a step, with everything that a cut may change.
struct Trained {
    net: Net,
    pruner: GroupPruner,
    follow: Bad,
    before: Snapshot,
    moments: Vec<Tensor>,
    graph: String,
}

impl Trained {
    fn new() -> Self {
        let net = Net::mlp(&[6, 12, 10, 4]);
        let mut inner = AdamW::new(net.module.parameters(), AdamWSettings::default());
        let outputs = net.module.forward(&net.inputs, Mode::Train).expect("it runs");
        inner.backward_step(&Net::loss(&outputs)).expect("a step");
        let follow = Bad { inner, refuses: false, spoiled: None };
        let pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
        let (before, graph) = (Snapshot::of(&net.vs), net.module.graph().to_string());
        let moments = Self::moments(&net, &follow).iter().map(Tensor::copy).collect();
        Self { net, pruner, follow, before, moments, graph }
    }

    fn moments(net: &Net, follow: &Bad) -> Vec<Tensor> {
        let moments = |(name, _): &(String, Tensor)| {
            let (mean, square) = follow.inner.moments(name).expect("it has moved");
            [mean.shallow_clone(), square.shallow_clone()]
        };
        net.module.parameters().iter().flat_map(moments).collect()
    }

    #[track_caller]
    fn assert_unchanged(&self, when: &str) {
        self.before.assert_unchanged(&self.net.vs, when);
        let moments = Self::moments(&self.net, &self.follow);
        assert!(moments.iter().zip(&self.moments).all(|(now, before)| same(now, before)), "{when}: moments");
        assert_eq!(self.net.module.graph().to_string(), self.graph, "{when}");
        assert_eq!(self.pruner.steps_made(), 0, "{when}");
        assert_eq!(self.pruner.counts(), self.pruner.analysis().counts(&Kept::all()), "{when}");
        assert!(self.pruner.burnt_in().is_empty(), "{when}");
    }

    fn step(&mut self) -> Result<(), PruneError> {
        self.pruner.step(&mut self.net.module, &mut self.follow).map(drop)
    }

    /// The error of the step, after which nothing has changed; once its cause is gone the step is made.
    #[track_caller]
    fn refused(mut self, says: &str, repair: impl FnOnce(&mut Self)) {
        let error = self.step().expect_err("the step cannot be made");
        assert!(error.to_string().contains(says), "{error}");
        repair(&mut self);
        self.assert_unchanged(says);
        self.step().expect("a step");
        assert_eq!(self.net.variable("fc2.weight").size(), [5, 6]);
    }
}

#[test]
fn a_follower_that_refuses_stops_the_cut() {
    let mut trained = Trained::new();
    trained.follow.refuses = true;
    trained.refused("`fc1.weight` is being written elsewhere", |trained| trained.follow.refuses = false);
}

#[test]
fn state_of_another_shape_stops_the_cut() {
    // The parameter that is cut last, so that all others are sliced by then.
    let mut trained = Trained::new();
    trained.follow.spoiled = Some(("fc3.weight", Tensor::zeros([4, 11], (Kind::Float, Device::Cpu))));
    trained.refused("`fc3.weight` has shape [4, 11] where [4, 10]", |trained| trained.follow.spoiled = None);
}

#[test]
fn a_parameter_of_another_shape_than_the_analysis_knows_stops_the_cut() {
    let trained = Trained::new();
    let (weight, grad) = (trained.net.variable("fc2.weight"), trained.before.grad("fc2.weight").map(Tensor::copy));
    let (data, longer) = (weight.detach(), Tensor::zeros([10, 13], (Kind::Float, Device::Cpu)));
    pruner::aten::replace(&weight, &longer, None).expect("it is replaced");
    trained.refused("fc2.weight", move |_| {
        pruner::aten::replace(&weight, &data, grad.as_ref()).expect("it is put back");
    });

    // Past the scores, which are computed first: by a plan that was made before.
    let mut trained = Trained::new();
    let selection = trained.pruner.plan(&trained.net.module).expect("a plan");
    let (bias, grad) = (trained.net.variable("fc2.bias"), trained.before.grad("fc2.bias").map(Tensor::copy));
    let (data, longer) = (bias.detach(), Tensor::zeros([11], (Kind::Float, Device::Cpu)));
    pruner::aten::replace(&bias, &longer, None).expect("it is replaced");
    let error = trained.pruner.apply(&mut trained.net.module, &mut (), &selection).expect_err("it does not fit");
    assert!(matches!(error, PruneError::Apply(ApplyError::Shape { .. })), "{error}");
    assert!(error.to_string().contains("`fc2.bias` has shape [11] where [10]"), "{error}");
    pruner::aten::replace(&bias, &data, grad.as_ref()).expect("it is put back");
    trained.assert_unchanged("a plan for other shapes");
}

#[test]
fn a_plan_that_does_not_fit_changes_nothing_and_says_what_is_wrong_with_it() {
    let trained = Trained::new();
    let selection = trained.pruner.plan(&trained.net.module).expect("a plan");
    let id = |trained: &Trained, name: &str| {
        trained.pruner.groups().into_iter().find(|group| group.name() == name).expect("the group is there").id()
    };
    let (fc1, input) = (id(&trained, "fc1.weight:0"), id(&trained, "fc1.weight:1"));
    let plans: [(GroupId, Vec<u32>, &str); 4] = [
        (GroupId::new(99), vec![0], "which the network does not have"),
        (input, vec![0], "which may not be cut: axis of a network input"),
        (fc1, vec![3, 12], "cuts coordinate 12"),
        (fc1, (0..12).collect(), "leaves nothing of"),
    ];
    for (group, cut, says) in plans {
        let plan = [(group, cut)].into_iter().collect::<Plan>();
        let edited = selection.clone().with_plan(plan, &trained.pruner.groups(), &trained.pruner.settings().limits);
        let error = edited.expect_err("the plan does not fit").to_string();
        assert!(error.contains(says), "{error}");
        trained.assert_unchanged(says);
    }
    let Trained { mut net, mut pruner, mut follow, .. } = trained;
    pruner.apply(&mut net.module, &mut follow, &selection).expect("it fits");
    let before = Snapshot::of(&net.vs);
    let error = pruner.apply(&mut net.module, &mut follow, &selection).expect_err("its coordinates are gone");
    assert!(error.to_string().contains("which is already cut"), "{error}");
    before.assert_unchanged(&net.vs, "a plan that is applied twice");
    assert_eq!(pruner.steps_made(), 1);
}

#[test]
fn dimensions_that_are_cut_stay_multiples_of_what_is_asked() {
    let (steps, multiple) = (2, 4);
    for (name, scope) in ["resnet50", "resnext50", "vit", "swin", "decoder"]
        .into_iter()
        .flat_map(|name| Scope::ALL.map(|scope| (name, scope)))
    {
        let mut net = Net::named(name);
        let sizes = |net: &Net| -> BTreeMap<String, Vec<i64>> {
            net.module.named_tensors().into_iter().map(|(name, tensor)| (name, tensor.size())).collect()
        };
        let limits = Limits::new(0.6).with_scope(scope).with_round_to(multiple as usize);
        let mut pruner =
            GroupPruner::new(&net.module, with_limits(limits).with_steps(steps)).expect("it can be pruned");
        let before = sizes(&net);
        for _ in 0..steps {
            pruner.step(&mut net.module, &mut ()).expect("a step");
        }
        let mut cut = 0;
        for ((name_of, before), after) in before.iter().zip(sizes(&net).values()) {
            for (dim, (before, after)) in
                before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after)
            {
                cut += 1;
                assert_eq!(after % multiple, 0, "{name}, {scope:?}: {name_of}:{dim} went from {before} to {after}");
            }
        }
        assert!(cut > 10, "{name}, {scope:?}: {cut} dimensions were cut");
    }
}

#[test]
fn a_network_is_cut_only_by_a_pruner_that_was_made_for_it() {
    let (net, mut other) = (Net::mlp(&[6, 12, 10, 4]), Net::mlp(&[6, 12, 12, 4]));
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    let selection = pruner.plan(&net.module).expect("a plan");
    let before = Snapshot::of(&other.vs);
    let planned = pruner.plan(&other.module).expect_err("another network");
    let applied = pruner.apply(&mut other.module, &mut (), &selection).expect_err("another network");
    for error in [planned, applied] {
        assert!(matches!(error, PruneError::Apply(ApplyError::OtherNetwork)), "{error}");
    }
    before.assert_unchanged(&other.vs, "a pruner of another network");
    assert_eq!(pruner.steps_made(), 0);
}

#[test]
fn the_code_goes_on_being_run_where_nothing_is_burnt_into_it() {
    let mut free = 0;
    for spec in all() {
        if ["resnet50", "resnext50", "shufflenet_v2", "densenet"].contains(&spec.name) {
            continue;
        }
        let mut net = Net::named(spec.name);
        let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
        pruner.step(&mut net.module, &mut ()).expect("a step");
        let traced = net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
        if pruner.burnt_in().is_empty() {
            for (own, traced) in (net.forward)(&net.inputs, false).iter().zip(&traced) {
                assert!(relative(own, traced) < 1e-5, "{}: {}", spec.name, relative(own, traced));
            }
            free += 1;
        } else {
            assert!(traced.iter().all(|output| max_of(output).is_finite()));
        }
    }
    assert!(free >= 10, "{free}");
}

#[test]
fn what_is_burnt_into_the_code_is_named_with_its_node_and_what_it_must_be() {
    for (name, expected) in [
        ("depth_multiplier", "(aten::conv2d): groups=16 must be 8"),
        ("plain_cnn", "(aten::view): size=["),
        ("swapped_halves", "(aten::split) must be aten::split_with_sizes"),
        ("cross_attention", "(aten::view): size=[2, -1, 4, 4] must be [2, -1, 2, 2]"),
    ] {
        let mut net = Net::named(name);
        let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
        assert!(pruner.burnt_in().is_empty(), "{name}: nothing is cut yet");
        pruner.step(&mut net.module, &mut ()).expect("a step");
        let burnt_in: Vec<_> = pruner.burnt_in().iter().map(ToString::to_string).collect();
        assert!(burnt_in.iter().any(|line| line.starts_with('n') && line.contains(expected)), "{name}: {burnt_in:#?}");
        net.module.forward(&net.inputs, Mode::Eval).expect("the graph is right");
    }
}

#[test]
fn a_constant_of_the_code_that_must_be_sliced_is_named_and_sliced_in_the_graph() {
    let scale = Tensor::arange(8, (Kind::Float, Device::Cpu)) + 1.0;
    let own = scale.shallow_clone();
    let mut net = Net::new(vec![Tensor::ones([2, 4], (Kind::Float, Device::Cpu))], |vs| {
        let fc1 = nn::linear(vs / "fc1", 4, 8, nn::LinearConfig::default());
        let fc2 = nn::linear(vs / "fc2", 8, 3, nn::LinearConfig::default());
        Box::new(move |inputs, _train| vec![(inputs[0].apply(&fc1) * &scale).apply(&fc2)])
    });
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    let report = pruner.step(&mut net.module, &mut ()).expect("a step");
    let burnt_in = pruner.burnt_in();
    assert!(matches!(&burnt_in[..], [BurntIn::Constant { is, must_be, .. }] if is == &[8] && must_be == &[4]));
    let kept = &report.groups.iter().find(|group| group.cut() > 0).expect("it is pruned").kept;
    let (constant, _) = net
        .module
        .graph()
        .stored()
        .find(|(_, stored)| stored.meta.shape == [4] && stored.name.contains("const"))
        .expect("it is there");
    assert!(same(net.module.tensor(constant).expect("it is stored"), &common::select(&own, 0, kept)));
    assert_eq!(own.size(), [8], "the user's own tensor is left alone");
    net.module.forward(&net.inputs, Mode::Eval).expect("it runs");
}

#[test]
fn a_store_is_saved_and_loaded_with_the_small_tensors() {
    let mut net = Net::named("resnet18");
    let mut pruner = GroupPruner::new(&net.module, settings(0.5)).expect("it can be pruned");
    pruner.step(&mut net.module, &mut ()).expect("a step");
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["cut.safetensors", "cut.ot"] {
        let path = folder.path().join(file);
        net.vs.save(&path).expect("it is saved");
        let loaded = if file.ends_with("ot") { Tensor::load_multi(&path) } else { Tensor::read_safetensors(&path) };
        let loaded = loaded.expect("it is loaded");
        assert_eq!(loaded.len(), net.vs.variables().len());
        for (name, tensor) in loaded {
            let name = name.replace('|', ".");
            assert!(same(&tensor, &net.variable(&name).detach()), "{file}: {name}");
        }
    }
    let size = std::fs::metadata(folder.path().join("cut.safetensors")).expect("it is there").len();
    assert!(size < 2 * pruner.counts().bytes, "{size} bytes for {} of tensors", pruner.counts().bytes);
    net.vs.load(folder.path().join("cut.safetensors")).expect("the cut store takes the cut tensors");
}
