//! What a machine is, beside what was measured on it.

use std::fs;

use pruner_core::aten;
use serde::{Deserialize, Serialize};
use tch::Device;

use crate::demo::device_name;
use crate::energy::Meter;

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The device that was measured on: `cpu`, `cuda:0`.
    pub device: String,
    /// The model of the CPU; empty where it is not told.
    pub cpu: String,
    /// Its threads that libtorch uses.
    pub threads: usize,
    /// The model of the GPU.
    pub gpu: Option<String>,
    /// The version of its driver.
    pub driver: Option<String>,
    /// The version of libtorch.
    pub libtorch: String,
}

impl Machine {
    /// The machine that this runs on, with the device that is measured.
    pub fn here(device: Device) -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = model.map(|(_, name)| name.trim().to_owned()).unwrap_or_default();
        let gpu = Meter::new(device).gpu();
        Self {
            device: device_name(device),
            cpu,
            threads: tch::get_num_threads() as usize,
            gpu: gpu.as_ref().map(|gpu| gpu.name.clone()),
            driver: gpu.map(|gpu| gpu.driver),
            libtorch: aten::version().to_owned(),
        }
    }

    /// The machine in words.
    pub fn words(&self) -> String {
        let threads = format!("{} ({} threads)", self.cpu, self.threads);
        match (&self.gpu, self.device.as_str()) {
            (Some(gpu), _) => format!("{gpu}, {threads}"),
            (None, "cpu") => threads,
            (None, device) => format!("{device}, {threads}"),
        }
    }
}
