//! The networks that are timed: in their original size, or small ones to see that all works.

use pruner_core::aten::Operator;
use pruner_core::exec::GraphModule;
use pruner_core::graph::Argument;
use pruner_core::ids::ValueId;
use pruner_core::trace::trace;
use tch::nn::{self, FuncT, ModuleT as _};
use tch::{Device, Kind, Tensor};

use super::GpuError;
use crate::models::resnet::{resnet18_of, resnet50_of};
use crate::models::vit::{Vit, vit};

/// A network by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    Resnet18,
    Resnet50,
    VitB,
}

impl Net {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet50 => "resnet50",
            Self::VitB => "vit_b_16",
        }
    }

    /// Whether it lies in memory in more than one way: convolutions do.
    pub(super) fn is_convolutional(self) -> bool {
        self != Self::VitB
    }

    fn build(self, vs: &nn::Path<'_>, quick: bool) -> FuncT<'static> {
        let (width, classes) = if quick { (16, 10) } else { (64, 1000) };
        match self {
            Self::Resnet18 => resnet18_of(vs, width, classes),
            Self::Resnet50 => resnet50_of(vs, width, classes),
            Self::VitB if quick => {
                vit(vs, Vit { channels: 3, width: 64, heads: 4, depth: 2, patch: 16, image: 64, classes })
            }
            Self::VitB => {
                vit(vs, Vit { channels: 3, width: 768, heads: 12, depth: 12, patch: 16, image: 224, classes })
            }
        }
    }

    /// A batch of images, with numbers that are no zeros.
    pub(super) fn images(batch: i64, quick: bool, (kind, device): (Kind, Device)) -> Tensor {
        let side = if quick { 64 } else { 224 };
        Tensor::randn([batch, 3, side, side], (Kind::Float, Device::Cpu)).to_kind(kind).to_device(device)
    }

    /// The network with the weights that its layers begin with, traced on a batch of two: the sizes of a batch of one would be taken for its
    /// own.
    pub(super) fn module(
        self,
        quick: bool,
        (kind, device): (Kind, Device),
    ) -> Result<(nn::VarStore, GraphModule), GpuError> {
        let mut vs = nn::VarStore::new(device);
        let net = self.build(&vs.root(), quick);
        match kind {
            Kind::BFloat16 => vs.bfloat16(),
            Kind::Half => vs.half(),
            _ => {}
        }
        let images = Self::images(2, quick, (kind, device));
        let module = tch::no_grad(|| trace(&vs, &[images], |inputs| vec![net.forward_t(&inputs[0], false)]))?;
        Ok((vs, module))
    }
}

/// The tensor with its channels next to each other in memory, where it has four dimensions.
pub(super) fn channels_last(tensor: &Tensor) -> Result<Tensor, GpuError> {
    const CHANNELS_LAST: i64 = 2;
    if tensor.dim() != 4 {
        return Ok(tensor.shallow_clone());
    }
    let arguments = [("self", ValueId::new(0).into()), ("memory_format", Argument::MemoryFormat(CHANNELS_LAST))];
    let arguments = arguments.map(|(name, argument)| (name.to_owned(), argument));
    Ok(Operator::find("aten::contiguous", "")?.call(&arguments, &[tensor])?.swap_remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_parameters_of_torchvisions() {
        let parameters = |net: Net| {
            let vs = nn::VarStore::new(Device::Cpu);
            let _net = net.build(&vs.root(), false);
            vs.trainable_variables().iter().map(Tensor::numel).sum::<usize>()
        };
        assert_eq!(parameters(Net::Resnet18), 11_689_512);
        assert_eq!(parameters(Net::Resnet50), 25_557_032);
        assert_eq!(parameters(Net::VitB), 86_567_656);
    }
}
