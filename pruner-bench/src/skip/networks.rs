//! The networks that are pruned, on grey images of 28×28 and 10 classes.

use clap::ValueEnum;
use pruner_core::exec::GraphModule;
use pruner_core::optim::{AdamW, AdamWSettings, Optimizer, Sgd, SgdSettings};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use tch::nn::{self, FuncT, ModuleT as _};

use super::options::Scale;
use crate::demo::net;
use crate::models::resnet::resnet18;
use crate::models::vit::{Vit, vit};

/// A network by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// The residual network of the demonstration.
    Cnn,
    /// ResNet-18, at the width that the scale says.
    Resnet18,
    /// A vision transformer on patches of 7×7.
    Vit,
}

impl Net {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::Cnn, Self::Resnet18, Self::Vit];

    /// The name on pages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Cnn => "the demonstration's CNN",
            Self::Resnet18 => "ResNet-18",
            Self::Vit => "small ViT",
        }
    }

    /// The images that it is traced with: of a batch of one a transformer takes the size for its own.
    pub fn traced(self) -> i64 {
        if self == Self::Vit { 2 } else { 1 }
    }

    /// The network with new weights.
    pub fn build(self, vs: &nn::Path<'_>, scale: &Scale) -> FuncT<'static> {
        match self {
            Self::Cnn => net::net(vs),
            Self::Resnet18 => {
                let net = resnet18(vs, scale.resnet_width);
                // It reads colours: each is the same grey.
                nn::func_t(move |xs: &Tensor, train| net.forward_t(&xs.expand([-1, 3, -1, -1], false), train))
            }
            Self::Vit => vit(vs, Vit { channels: 1, width: 64, heads: 8, depth: 4, patch: 7, image: 28, classes: 10 }),
        }
    }

    /// The optimiser, and the highest learning rate of training and of training after a cut.
    pub fn optimizer(self, module: &GraphModule) -> (Box<dyn Optimizer>, [f64; 2]) {
        if self == Self::Vit {
            let settings = AdamWSettings::default().with_weight_decay(0.05);
            (Box::new(AdamW::new(module.parameters(), settings)), [2e-3, 1e-3])
        } else {
            let settings = SgdSettings::default().with_momentum(0.9).with_weight_decay(5e-4).with_nesterov();
            (Box::new(Sgd::new(module.parameters(), settings)), [0.1, 0.05])
        }
    }
}
