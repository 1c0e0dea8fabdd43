//! A network written in `tch`, pruned by half in four steps, and trained only after those that pruned it.
#![allow(clippy::print_stdout, reason = "an example talks")]

use pruner::criteria::Magnitude;
use pruner::exec::Mode;
use pruner::optim::{Optimizer as _, Sgd, SgdSettings};
use pruner::plan::Limits;
use pruner::pruner::{GroupPruner, Pruner as _, Settings};
use pruner::schedulers::Linear;
use pruner::trace::trace;
use tch::nn::ModuleT as _;
use tch::{Device, Kind, Tensor, nn};

fn main() -> anyhow::Result<()> {
    let vs = nn::VarStore::new(Device::Cpu);
    let conv = |path: &str, from, to| nn::conv2d(&vs.root() / path, from, to, 3, nn::ConvConfig::default());
    let (first, second) = (conv("first", 1, 16), conv("second", 16, 32));
    let head = nn::linear(&vs.root() / "head", 32, 10, nn::LinearConfig::default());
    let net = nn::func_t(move |x, train| {
        let x = x.apply_t(&first, train).relu().apply_t(&second, train).relu();
        x.mean_dim([2, 3].as_slice(), false, None).apply(&head)
    });

    let images = Tensor::randn([64, 1, 12, 12], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, [64], (Kind::Int64, Device::Cpu));
    let mut model = trace(&vs, &[images.shallow_clone()], |x| vec![net.forward_t(&x[0], false)])?;
    let mut optimizer = Sgd::new(model.parameters(), SgdSettings::default().with_lr(0.05).with_momentum(0.9));
    let settings = Settings::new(Box::new(Magnitude::default()), Box::new(Linear {}))
        .with_steps(4)
        .with_limits(Limits::new(0.5).with_round_to(8));

    let mut pruner = GroupPruner::new(&model, settings)?;
    for _ in 0..pruner.settings().steps {
        let report = pruner.step(&mut model, &mut optimizer)?;
        println!("{report}");
        if report.should_train() {
            let logits = &model.forward(&[images.shallow_clone()], Mode::Train)?[0];
            optimizer.backward_step(&logits.cross_entropy_for_logits(&labels))?;
        }
    }
    Ok(())
}
