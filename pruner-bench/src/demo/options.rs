//! What the demonstration is asked to do, and where it finds what it needs.

use std::path::PathBuf;
use std::{env, thread};

use pruner_core::aten;
use serde::Serialize;
use tch::Device;

use super::DemoError;

/// Where the images lie, below one of the folders that are looked in.
const DATA: &str = "data/fashion-mnist";

/// What the demonstration is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it runs. Default: the CPU.
    pub device: Device,
    /// The folder of the images. Default: `data/fashion-mnist` here, or beside or up to three folders above the program.
    pub data: Option<PathBuf>,
    /// The folder of the results. Default: `target/demo`.
    pub out: PathBuf,
    /// The seed of the first weights and of the order of the images. Default: 0.
    pub seed: u64,
    /// The steps of pruning. Default: 10.
    pub steps: usize,
    /// Whether to use few images, to see that all works. Default: no.
    pub quick: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { device: Device::Cpu, data: None, out: "target/demo".into(), seed: 0, steps: 10, quick: false }
    }
}

/// How much work the demonstration does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scale {
    /// Images to learn from, at most.
    pub train_images: usize,
    /// Images to judge by, at most.
    pub test_images: usize,
    /// Passes over the images before pruning.
    pub epochs: usize,
}

impl Options {
    /// How much work that is.
    pub fn scale(&self) -> Scale {
        if self.quick {
            Scale { train_images: 640, test_images: 500, epochs: 1 }
        } else {
            Scale { train_images: 12_000, test_images: 2_000, epochs: 3 }
        }
    }

    /// The device, if the machine has it.
    pub fn available_device(&self) -> Result<Device, DeviceError> {
        match self.device {
            Device::Cpu => Ok(Device::Cpu),
            Device::Cuda(_) if !aten::cuda_is_available() => Err(DeviceError::NoCuda { state: aten::init() }),
            Device::Cuda(index) if index as i64 >= tch::Cuda::device_count() => {
                Err(DeviceError::NoSuchGpu { index, count: tch::Cuda::device_count() })
            }
            Device::Cuda(index) => Ok(Device::Cuda(index)),
            other => Err(DeviceError::Unknown { name: format!("{other:?}") }),
        }
    }

    /// The folder of the images.
    pub fn data_dir(&self) -> Result<PathBuf, DemoError> {
        if let Some(dir) = &self.data {
            return Ok(dir.clone());
        }
        let program = env::current_exe().unwrap_or_default();
        let above = program.ancestors().skip(1).take(4).map(|dir| dir.join(DATA));
        let looked_in: Vec<PathBuf> = std::iter::once(PathBuf::from(DATA)).chain(above).collect();
        match looked_in.iter().find(|dir| dir.is_dir()) {
            Some(dir) => Ok(dir.clone()),
            None => Err(DemoError::NoData { looked_in }),
        }
    }
}

/// Why there is no such device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The name is that of no device.
    #[error("`{name}` is no device: use `cpu`, `cuda` or, for one GPU of several, such as `cuda:1`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// libtorch finds no GPU.
    #[error(
        "libtorch finds no GPU here (its GPU library: {state}); use `--device cpu`, or bring what a GPU needs with \
         `cargo xtask setup --cuda`"
    )]
    NoCuda {
        /// What became of loading what a GPU needs.
        state: &'static str,
    },
    /// There are fewer GPUs.
    #[error("there is no GPU {index}: the machine has {count}, numbered from 0")]
    NoSuchGpu {
        /// The number of the GPU.
        index: usize,
        /// How many there are.
        count: i64,
    },
}

/// The device of a name: `cpu`, `cuda`, `cuda:N`. Whether the machine has it is another question.
pub fn parse_device(name: &str) -> Result<Device, DeviceError> {
    match name.split_once(':') {
        None if name == "cpu" => Some(Device::Cpu),
        None if name == "cuda" => Some(Device::Cuda(0)),
        // More than any machine has; libtorch numbers them in 8 bits.
        Some(("cuda", index)) => index.parse::<u8>().ok().map(|index| Device::Cuda(index.into())),
        _ => None,
    }
    .ok_or_else(|| DeviceError::Unknown { name: name.to_owned() })
}

/// The name of a device, as it is given.
pub(crate) fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}"),
    }
}

/// Uses as many threads as serve so small a network, and says how many.
pub(crate) fn use_threads() -> usize {
    const MOST: usize = 4;
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST);
    tch::set_num_threads(threads as i32);
    threads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_from_its_name_and_nothing_else_is_one() {
        assert_eq!(parse_device("cpu"), Ok(Device::Cpu));
        assert_eq!(parse_device("cuda"), Ok(Device::Cuda(0)));
        assert_eq!(parse_device("cuda:3"), Ok(Device::Cuda(3)));
        for name in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:256", "cpu:0", "CPU"] {
            let error = parse_device(name).expect_err("it is no device").to_string();
            assert!(error.contains(&format!("`{name}`")) && error.contains("cuda:1"), "{error}");
        }
    }
}
