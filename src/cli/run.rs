//! What commands that run a model have in common: its device and its inputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use pruner::aten;
use pruner::config::DataError;
use pruner::graph::{Dtype, Graph};
use pruner::ids::ValueId;
use tch::{Device, Kind, Tensor};

/// Where a model runs and on what.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    /// Inputs in a safetensors file, by the names of the model's inputs; random ones otherwise.
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,

    /// The seed of random inputs and of what is cut at random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Where a model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub(crate) device: Device,
}

fn device(text: &str) -> Result<Device, String> {
    let cuda = |index: usize| {
        aten::init();
        let found = if aten::cuda_is_available() { tch::Cuda::device_count() } else { 0 };
        if (index as i64) < found { Ok(Device::Cuda(index)) } else { Err(format!("{found} CUDA devices were found")) }
    };
    match text.split_once(':') {
        None if text == "cpu" => Ok(Device::Cpu),
        None if text == "cuda" => cuda(0),
        Some(("cuda", index)) => cuda(index.parse().map_err(|_| "a device is cpu, cuda or cuda:N".to_owned())?),
        _ => Err("a device is cpu, cuda or cuda:N".to_owned()),
    }
}

impl RunArgs {
    /// The inputs of a model, on its device.
    pub(crate) fn inputs(&self, graph: &Graph) -> anyhow::Result<Vec<Tensor>> {
        tch::manual_seed(self.seed as i64);
        let given = self.inputs.as_deref().map(read).transpose()?;
        let input = |&id: &ValueId| match &given {
            Some((path, given)) => {
                let value = graph.value(id);
                let missing = || DataError::missing(path, &value.name, given.keys());
                let tensor = given.get(&value.name).with_context(missing)?;
                let found = aten::meta(tensor)?;
                let fits = found.dtype == value.meta.dtype && found.shape.len() == value.meta.shape.len();
                ensure!(fits, "{}: `{}` is {found} where {} is read", path.display(), value.name, value.meta);
                Ok(tensor.to_device(self.device.device))
            }
            None => Ok(random(graph, id)?.to_device(self.device.device)),
        };
        graph.inputs().iter().map(input).collect()
    }
}

fn read(path: &Path) -> anyhow::Result<(PathBuf, BTreeMap<String, Tensor>)> {
    let place = path.display();
    ensure!(path.is_file(), "{place}: there is no such file");
    let tensors = Tensor::read_safetensors(path).with_context(|| format!("{place}: it is no safetensors file"))?;
    Ok((path.to_owned(), tensors.into_iter().collect()))
}

/// An input of the shape that the graph was made with: normal numbers, or whole ones that every table of more than one row
/// has.
fn random(graph: &Graph, id: ValueId) -> anyhow::Result<Tensor> {
    let meta = &graph.value(id).meta;
    let cpu = |kind| (kind, Device::Cpu);
    let numbers = || Tensor::randn(&meta.shape, cpu(Kind::Float));
    let whole = || Tensor::randint(2, &meta.shape, cpu(Kind::Int64));
    let random = match meta.dtype {
        Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16 | Dtype::C64 | Dtype::C128 => Some(numbers()),
        Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::Bool => Some(whole()),
        _ => None,
    };
    match (random, aten::kind(meta.dtype)) {
        (Some(random), Some(kind)) => Ok(random.to_kind(kind)),
        _ => bail!("no random input `{}` of type {} can be made: give --inputs", graph.value(id).name, meta.dtype),
    }
}
