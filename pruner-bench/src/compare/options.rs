//! What is to be compared.

use std::path::PathBuf;

use clap::Args;

/// The models of torchvision, a few of every family: plain, residual, grouped, dense, branched, mobile, shuffled, attention.
pub const MODELS: [&str; 21] = [
    "alexnet",
    "vgg16_bn",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "densenet201",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mnasnet1_0",
    "efficientnet_b0",
    "regnet_y_400mf",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "maxvit_t",
];

/// Those that are compared on if it is to be quick.
const QUICK: [&str; 3] = ["resnet18", "mobilenet_v2", "densenet121"];

/// What is to be compared.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Three models instead of all; writes to target/compare instead of docs and results
    #[arg(long)]
    pub quick: bool,
    /// The models, by their names in torchvision; the rows of others stay as they are [default: all]
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(MODELS), value_delimiter = ',', value_name = "NAMES", hide_possible_values = true)]
    pub models: Vec<String>,
    /// How often each side is timed on a model, after a round that warms up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "NUMBER")]
    pub rounds: u32,
    /// The seconds that Torch-Pruning may take for all rounds of a model; then it is ended
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..), value_name = "SECONDS")]
    pub limit: u64,
    /// The Python with torchvision and Torch-Pruning, whose path holds xtask/python
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub python: PathBuf,
    /// The folder of archives, which a later run takes over
    #[arg(long, default_value = "target/compare", value_name = "DIR")]
    pub work: PathBuf,
    /// Only write the page of the results that are there
    #[arg(long)]
    pub page: bool,
}

impl Options {
    /// The models to compare on, in the order of the list.
    pub fn models(&self) -> Vec<&'static str> {
        let asked = |name: &&str| match self.models.as_slice() {
            [] if self.quick => QUICK.contains(name),
            [] => true,
            chosen => chosen.iter().any(|chosen| chosen == name),
        };
        MODELS.into_iter().filter(asked).collect()
    }

    /// The file of results.
    pub fn results(&self) -> PathBuf {
        if self.quick { self.work.join("compare.json") } else { "pruner-bench/results/compare.json".into() }
    }

    /// The page.
    pub fn page_file(&self) -> PathBuf {
        if self.quick { self.work.join("compare.md") } else { "docs/compare.md".into() }
    }
}
