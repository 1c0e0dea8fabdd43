//! What depends on the generators of random numbers, which all tests of a process share: one test in a file.
#![cfg(feature = "torch")]

use pruner_core::trace::trace;
use tch::nn::{self, Module, ModuleT};
use tch::{Device, Kind, Tensor};

#[test]
fn a_trace_draws_no_numbers_and_dropout_drops_only_in_training() {
    let draw = || Tensor::rand([8], (Kind::Float, Device::Cpu));
    let vs = nn::VarStore::new(Device::Cpu);
    let fc = nn::linear(vs.root(), 8, 8, nn::LinearConfig::default());
    let x = draw();
    tch::manual_seed(5);
    let expected = draw();
    tch::manual_seed(5);
    for train in [true, false] {
        let module = trace(&vs, std::slice::from_ref(&x), |xs| vec![fc.forward(&xs[0]).dropout(0.5, train)]);
        let module = module.expect("traced");
        let eager = |train| {
            tch::manual_seed(9);
            fc.forward(&x).dropout(0.5, train)
        };
        let traced = |train| {
            tch::manual_seed(9);
            module.forward_t(&x, train)
        };
        if train {
            assert!(draw().equal(&expected), "the trace has changed the state of the generator");
        }
        assert!(traced(true).equal(&eager(true)));
        assert!(traced(false).equal(&eager(false)));
        assert!(!traced(true).equal(&traced(false)));
    }
}
