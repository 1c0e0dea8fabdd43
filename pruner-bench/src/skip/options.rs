//! What is to be measured, and how much is trained for it.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use tch::Device;

use super::networks::Net;
use super::row::Setting;
use crate::demo::parse_device;

/// How much is trained and judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// Images to learn from.
    pub train_images: usize,
    /// Images to judge by.
    pub test_images: usize,
    /// Passes over the images before pruning.
    pub dense_epochs: usize,
    /// Images of an epoch after a step.
    pub epoch_images: usize,
    /// Images of the epoch after the last step.
    pub final_images: usize,
    /// The width of ResNet-18, whose original's is 64.
    pub resnet_width: i64,
    /// The steps of a run.
    pub steps: usize,
}

impl Scale {
    /// What two cores do in half an hour.
    pub const SMALL: Self = Self {
        train_images: 12_000,
        test_images: 2_000,
        dense_epochs: 3,
        epoch_images: 2_000,
        final_images: 6_000,
        resnet_width: 16,
        steps: 12,
    };

    /// What a GPU does in some minutes.
    pub const LARGE: Self =
        Self { dense_epochs: 10, epoch_images: 12_000, final_images: 12_000, resnet_width: 64, ..Self::SMALL };

    /// Enough to see that all works.
    pub const QUICK: Self = Self {
        train_images: 640,
        test_images: 500,
        dense_epochs: 1,
        epoch_images: 256,
        final_images: 256,
        resnet_width: 8,
        steps: 6,
    };
}

/// The schedulers that are compared unless others are named.
const SCHEDULERS: [&str; 3] = ["linear", "cubic", "one-cycle"];
/// The multiples of channels that layers keep, unless others are named.
const ROUND_TO: [usize; 3] = [1, 8, 16];
const SEEDS: [u64; 3] = [0, 1, 2];

/// What is to be measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Seconds instead of half an hour: few images, one network, scheduler and seed
    #[arg(long)]
    pub quick: bool,
    /// The wide ResNet-18 and more images, for a GPU [default: on a GPU]
    #[arg(long)]
    pub large: bool,
    /// Where to run: cpu, cuda, or cuda:N for one GPU of several
    #[arg(long, default_value = "cpu", value_parser = parse_device, value_name = "DEVICE")]
    pub device: Device,
    /// The networks [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub networks: Vec<Net>,
    /// The schedulers [default: linear,cubic,one-cycle]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub schedulers: Vec<String>,
    /// The multiples of channels that layers keep [default: 1,8,16]
    #[arg(long, value_parser = round_to, value_delimiter = ',', value_name = "NUMBERS")]
    pub round_to: Vec<usize>,
    /// The seeds [default: 0,1,2]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub seeds: Vec<u64>,
    /// The folder of Fashion-MNIST [default: data/fashion-mnist, here or near the program]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The folder of results, one in it for every machine [default: pruner-bench/results/skip, or target/skip/results if quick]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// The name of the machine's folder [default: the device]
    #[arg(long, value_name = "NAME")]
    pub machine: Option<String>,
    /// The folder that skip.md and skip.svg are written to [default: docs, or target/skip if quick; `-` for none]
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
    /// Only write the page and the plot of the results that are there
    #[arg(long)]
    pub page: bool,
}

fn round_to(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a multiple of 0 channels is none: use 1 for any number".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

impl Options {
    /// How much is trained and judged by.
    pub fn scale(&self) -> Scale {
        if self.quick {
            Scale::QUICK
        } else if self.large || self.device != Device::Cpu {
            Scale::LARGE
        } else {
            Scale::SMALL
        }
    }

    /// The folder of results.
    pub fn results_dir(&self) -> PathBuf {
        let default = if self.quick { "target/skip/results" } else { "pruner-bench/results/skip" };
        self.results.clone().unwrap_or_else(|| default.into())
    }

    /// The folder of the page; `None` where none is wanted.
    pub fn docs_dir(&self) -> Option<PathBuf> {
        let default = if self.quick { "target/skip" } else { "docs" };
        let dir = self.docs.clone().unwrap_or_else(|| default.into());
        (dir.as_os_str() != "-").then_some(dir)
    }

    /// The networks that are trained.
    pub fn networks(&self) -> Vec<Net> {
        let default = if self.quick { &Net::ALL[..1] } else { &Net::ALL[..] };
        if self.networks.is_empty() { default.to_vec() } else { self.networks.clone() }
    }

    /// The seeds.
    pub fn seeds(&self) -> Vec<u64> {
        let default = if self.quick { &SEEDS[..1] } else { &SEEDS[..] };
        if self.seeds.is_empty() { default.to_vec() } else { self.seeds.clone() }
    }

    /// How each network is pruned.
    pub fn settings(&self) -> Vec<Setting> {
        let schedulers: Vec<String> = match (self.schedulers.is_empty(), self.quick) {
            (false, _) => self.schedulers.clone(),
            (true, true) => vec![SCHEDULERS[1].to_owned()],
            (true, false) => SCHEDULERS.map(str::to_owned).into(),
        };
        let multiples: Vec<usize> = match (self.round_to.is_empty(), self.quick) {
            (false, _) => self.round_to.clone(),
            (true, true) => vec![ROUND_TO[1]],
            (true, false) => ROUND_TO.into(),
        };
        let with = |scheduler: String| {
            multiples
                .iter()
                .map(move |&round_to| Setting { scheduler: scheduler.clone(), round_to })
                .collect::<Vec<_>>()
        };
        schedulers.into_iter().flat_map(with).collect()
    }
}
