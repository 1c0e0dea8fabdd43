//! The energy that a GPU takes, and what its driver says of it.

use nvml_wrapper::{Device as Nvml, Nvml as Library};
use tch::Device;

/// Asks the driver of a GPU; `None` of everything where there is none, or where the driver does not say.
#[derive(Debug)]
pub struct Meter {
    library: Option<Library>,
    index: u32,
}

/// What the driver says of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its model.
    pub name: String,
    /// The version of the driver.
    pub driver: String,
}

impl Meter {
    /// Of a device. Where some GPUs are hidden from libtorch by `CUDA_VISIBLE_DEVICES`, the driver numbers them otherwise, and nothing is
    /// known.
    pub fn new(device: Device) -> Self {
        let index = match device {
            Device::Cuda(index) if std::env::var_os("CUDA_VISIBLE_DEVICES").is_none() => u32::try_from(index).ok(),
            _ => None,
        };
        Self { library: index.and_then(|_| Library::init().ok()), index: index.unwrap_or_default() }
    }

    fn device(&self) -> Option<Nvml<'_>> {
        self.library.as_ref()?.device_by_index(self.index).ok()
    }

    /// What it has taken since the driver was loaded, in joules.
    pub fn joules(&self) -> Option<f64> {
        Some(self.device()?.total_energy_consumption().ok()? as f64 / 1e3)
    }

    /// What it is.
    pub fn gpu(&self) -> Option<Gpu> {
        let driver = self.library.as_ref()?.sys_driver_version().ok()?;
        Some(Gpu { name: self.device()?.name().ok()?, driver })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_whose_driver_says_nothing_has_no_energy() {
        let meter = Meter::new(Device::Cpu);
        assert!(meter.joules().is_none() && meter.gpu().is_none());
    }
}
