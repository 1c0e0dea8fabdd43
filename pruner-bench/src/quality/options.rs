//! What is to be measured.

use std::path::PathBuf;

use clap::Args;
use pruner_core::plan::Scope;
use serde::{Deserialize, Serialize};

use super::criteria::{self, Criterion};
use super::models::Model;
use super::row::{Cell, Tool};

/// How much is trained and judged by; the same for every cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// Images to learn from, at most.
    pub train_images: usize,
    /// Images to judge by, at most.
    pub test_images: usize,
    /// Passes over the images before pruning.
    pub epochs: usize,
    /// Images of calibration, the first of those to learn from.
    pub calibration_images: usize,
    /// Images of the training after pruning.
    pub tuning_images: usize,
    /// Sentences that embeddings are compared on.
    pub sentences: usize,
    /// Sentences of calibration.
    pub calibration_sentences: usize,
}

impl Scale {
    /// Networks trained on all of Fashion-MNIST.
    pub const FULL: Self = Self {
        train_images: 60_000,
        test_images: 2_000,
        epochs: 3,
        calibration_images: 512,
        tuning_images: 2_048,
        sentences: 256,
        calibration_sentences: 128,
    };

    /// Enough to see that all works.
    pub const QUICK: Self = Self {
        train_images: 12_000,
        test_images: 2_000,
        epochs: 1,
        calibration_images: 128,
        tuning_images: 1_024,
        sentences: 64,
        calibration_sentences: 32,
    };
}

/// What is to be measured.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Minutes instead of hours: one network and few images, criteria and sentences
    #[arg(long)]
    pub quick: bool,
    /// The networks [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub models: Vec<Model>,
    /// The criteria [default: all]
    #[arg(long, value_parser = criteria::parse, value_delimiter = ',', value_name = "NAMES")]
    pub criteria: Vec<Criterion>,
    /// What is ranked together: local, global, isomorphic [default: all]
    #[arg(long, value_parser = parse_scope, value_delimiter = ',', value_name = "SCOPES")]
    pub scopes: Vec<Scope>,
    /// The shares of the multiply-accumulates that go, in percent [default: 30,50,70]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..100), value_delimiter = ',', value_name = "NUMBERS")]
    pub percents: Vec<u32>,
    /// The seeds [default: 0,1,2]
    #[arg(long, value_delimiter = ',', value_name = "NUMBERS")]
    pub seeds: Vec<u64>,
    /// Leave out Torch-Pruning and the sentence encoder, which need Python
    #[arg(long)]
    pub without_peer: bool,
    /// The Python with PyTorch, Torch-Pruning and the sentence encoder, whose path holds xtask/python
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// The folder of Debian's wordnet-base; without it there is no sentence encoder
    #[arg(long, value_name = "DIR")]
    pub wordnet: Option<PathBuf>,
    /// The folder of Fashion-MNIST
    #[arg(long, default_value = "data/fashion-mnist-full", value_name = "DIR")]
    pub data: PathBuf,
    /// The folder of results [default: pruner-bench/results/quality, or target/quality/quick if quick]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// The folder that quality.md and quality.svg are written to [default: docs, or target/quality/quick if quick]
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
    /// The folder of what is only needed meanwhile
    #[arg(long, default_value = "target/quality", value_name = "DIR")]
    pub work: PathBuf,
    /// Only write the page and the plot of the results that are there
    #[arg(long)]
    pub page: bool,
}

/// The criteria that are compared if quick.
const QUICK: [&str; 4] = ["random", "magnitude", "taylor", "wanda"];

impl Options {
    /// How much is trained and judged by.
    pub fn scale(&self) -> Scale {
        if self.quick { Scale::QUICK } else { Scale::FULL }
    }

    /// The folder of results.
    pub fn results_dir(&self) -> PathBuf {
        self.results.clone().unwrap_or_else(|| self.folder("pruner-bench/results/quality"))
    }

    /// The folder of the page.
    pub fn docs_dir(&self) -> PathBuf {
        self.docs.clone().unwrap_or_else(|| self.folder("docs"))
    }

    /// The folder of trained networks: beside the results, which only mean something for them, since another processor trains
    /// others.
    pub fn dense_dir(&self) -> PathBuf {
        self.results_dir().join("networks")
    }

    fn folder(&self, full: &str) -> PathBuf {
        if self.quick { self.work.join("quick") } else { full.into() }
    }

    /// The networks, each with its seed, in the order in which they are trained.
    pub fn networks(&self) -> Vec<(Model, u64)> {
        let models = self.chosen(&self.models, &Model::ALL, &[Model::Cnn]);
        let seeds = self.chosen(&self.seeds, &[0, 1, 2], &[0]);
        seeds.iter().flat_map(|&seed| models.iter().map(move |&model| (model, seed))).collect()
    }

    /// The criteria.
    pub fn criteria(&self) -> Vec<Criterion> {
        let quick: Vec<Criterion> = QUICK.iter().filter_map(|name| Criterion::named(name)).collect();
        self.chosen(&self.criteria, &Criterion::ALL, &quick)
    }

    /// The cells of a network: of Torch-Pruning those of the criteria that it has.
    pub fn cells(&self, model: Model, seed: u64, tool: Tool) -> Vec<Cell> {
        let scopes = self.chosen(&self.scopes, &Scope::ALL, &[Scope::Local, Scope::Global]);
        let percents = self.chosen(&self.percents, &[30, 50, 70], &[50]);
        let has_python = !self.without_peer && self.python.is_some();
        let is_cut = |criterion: &Criterion| tool == Tool::Pruner || (criterion.has_peer && has_python);
        let mut cells = Vec::new();
        for criterion in self.criteria().into_iter().filter(is_cut) {
            for &scope in &scopes {
                for &percent in &percents {
                    let criterion = criterion.name.to_owned();
                    cells.push(Cell { model, seed, tool, criterion, scope, percent });
                }
            }
        }
        cells
    }

    fn chosen<T: Copy>(&self, chosen: &[T], all: &[T], quick: &[T]) -> Vec<T> {
        match chosen {
            [] if self.quick => quick.to_vec(),
            [] => all.to_vec(),
            chosen => chosen.to_vec(),
        }
    }
}

fn parse_scope(name: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope_name(*scope) == name);
    found.ok_or_else(|| format!("`{name}` is no scope; there are local, global and isomorphic"))
}

/// The name of a scope, as settings have it.
pub(super) fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Local => "local",
        Scope::Global => "global",
        Scope::Isomorphic => "isomorphic",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    pub(in crate::quality) fn parse(args: &[&str]) -> Options {
        Cli::try_parse_from([&["quality"], args].concat()).expect("the options are known").options
    }

    #[test]
    fn quick_is_a_few_cells_of_one_network() {
        let options = parse(&["--quick"]);
        assert_eq!(options.scale(), Scale::QUICK);
        assert_eq!(options.networks(), [(Model::Cnn, 0)]);
        let cells = options.cells(Model::Cnn, 0, Tool::Pruner);
        assert_eq!(cells.len(), 8);
        assert!(options.cells(Model::Cnn, 0, Tool::TorchPruning).is_empty(), "there is no Python");
        assert_eq!(options.results_dir(), PathBuf::from("target/quality/quick"));
    }

    #[test]
    fn the_whole_table_is_every_criterion_scope_share_network_and_seed() {
        let options = parse(&["--python", "python3"]);
        assert_eq!(options.networks().len(), 12);
        assert_eq!(options.cells(Model::Vit, 2, Tool::Pruner).len(), 19 * 3 * 3);
        assert_eq!(options.cells(Model::Vit, 2, Tool::TorchPruning).len(), 8 * 3 * 3);
        let alone = parse(&["--python", "python3", "--without-peer"]);
        assert!(alone.cells(Model::Vit, 2, Tool::TorchPruning).is_empty());
    }

    #[test]
    fn what_is_chosen_is_measured_and_what_is_unknown_is_refused() {
        let options = parse(&["--models", "vit", "--seeds", "4", "--criteria", "flap,snip", "--scopes", "local"]);
        assert_eq!(options.networks(), [(Model::Vit, 4)]);
        assert_eq!(options.cells(Model::Vit, 4, Tool::Pruner).len(), 2 * 3);
        for wrong in [["--criteria", "best"], ["--scopes", "all"], ["--models", "vgg"], ["--percents", "100"]] {
            assert!(Cli::try_parse_from([&["quality"], &wrong[..]].concat()).is_err(), "{wrong:?}");
        }
    }
}
