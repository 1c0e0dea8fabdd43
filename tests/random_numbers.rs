//! Pruning draws no random numbers. The generators are shared by all tests of a process: one test in a file.

mod common;

use common::{Net, settings};
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::trace::trace;
use tch::{Device, Kind, Tensor};

#[test]
fn a_trace_and_a_step_leave_the_generators_as_they_are() {
    let draw = || Tensor::rand([8], (Kind::Float, Device::Cpu));
    tch::manual_seed(5);
    let expected = draw();
    let criteria: [Box<dyn pruner::importance::Importance>; 2] =
        [Box::new(pruner::criteria::Magnitude::default()), Box::new(pruner::criteria::Random::default())];
    for importance in criteria {
        let net = Net::named("mobilenet_v2");
        tch::manual_seed(5);
        let mut module = trace(&net.vs, &net.inputs, |inputs| (net.forward)(inputs, true)).expect("it is traced");
        let mut pruner = GroupPruner::new(&module, Settings { importance, ..settings(0.5) }).expect("it can be pruned");
        assert!(pruner.step(&mut module, &mut ()).expect("a step").pruned());
        assert!(draw().equal(&expected));
    }
}
