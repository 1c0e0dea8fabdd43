//! What is measured of one model.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::child::{self, field};
use crate::packages::Environment;

/// The largest difference between the masked and the sliced model that passes.
pub(super) const TOLERANCE: f64 = 1e-5;

/// The results of one model; what was not reached is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Row {
    /// At which command it ended, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Failure>,
    pub(super) nodes: usize,
    pub(super) params: u64,
    pub(super) unknown_ops: BTreeSet<String>,
    /// The time from the file to its graph, and from the graph to its groups.
    pub(super) read_ms: f64,
    pub(super) analysis_ms: f64,
    pub(super) groups_exact: usize,
    pub(super) groups_inexact: usize,
    pub(super) groups_pinned: usize,
    pub(super) prunable_params: f64,
    pub(super) prunable_macs: f64,
    /// The largest difference of masked and sliced outputs over exact groups, relative to the largest output.
    pub(super) error: Option<f64>,
    /// The share of the parameters that `prune --ratio 0.3` removes.
    pub(super) pruned_params: Option<f64>,
    /// What PyTorch says of the cut archive.
    pub(super) trains: Option<bool>,
    pub(super) torch_pruning: Rival,
}

/// A command that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) at: String,
    pub(super) why: String,
    /// Whether it might have ended with more time.
    pub(super) timed_out: bool,
}

/// The results of Torch-Pruning.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rival {
    pub(super) groups: Option<usize>,
    pub(super) groups_ms: Option<f64>,
    pub(super) runs: bool,
    pub(super) trains: bool,
    pub(super) masked_error: Option<f64>,
    pub(super) params_gone: Option<f64>,
    pub(super) error: Option<String>,
}

impl Row {
    /// Whether everything that is asked of `pruner` holds; where no group is exact, equality is not shown.
    pub(super) fn passes(&self) -> bool {
        let cut = self.groups_exact > 0 && self.pruned_params.is_some_and(|share| share > 0.0);
        cut && self.failed.is_none() && self.error.is_some_and(|error| error <= TOLERANCE) && self.trains == Some(true)
    }

    /// Whether PyTorch can export the model, as far as is known; without that nothing else can be asked.
    pub(super) fn exported(&self) -> bool {
        self.failed.as_ref().is_none_or(|failure| failure.at != "export" || failure.timed_out)
    }
}

/// Where models are judged.
pub(super) struct Bench<'a> {
    pub(super) python: &'a Environment,
    pub(super) pruner: PathBuf,
    /// The Python side, a package in this folder.
    pub(super) scripts: PathBuf,
    /// For archives and what jobs print.
    pub(super) work: &'a Path,
    pub(super) limit: Duration,
}

impl Bench<'_> {
    /// Runs everything of one model; an error of a job is a result.
    pub(super) fn judge(&self, family: &str, model: &str) -> anyhow::Result<Row> {
        let (whole, small) = (self.work.join("model.pt2"), self.work.join("small.pt2"));
        let mut row = Row::default();
        let outcome = self.stages(&mut row, family, model, &whole, &small)?;
        row.failed = outcome.err();
        let done = child::run(self.job(&["torch-pruning", family, model, "-"])?, self.work, self.limit)?;
        row.torch_pruning = match (done.json, done.error) {
            (Some(json), None) => serde_json::from_value(json).context("what Torch-Pruning gave is not understood")?,
            (_, error) => Rival { error, ..Rival::default() },
        };
        for file in [whole, small] {
            let _ = std::fs::remove_file(file);
        }
        Ok(row)
    }

    /// The commands in order, up to the first that fails.
    fn stages(
        &self,
        row: &mut Row,
        family: &str,
        model: &str,
        whole: &Path,
        small: &Path,
    ) -> anyhow::Result<Result<(), Failure>> {
        let (whole, small) = (utf8(whole)?, utf8(small)?);
        let stages: [(&str, Command); 5] = [
            ("export", self.job(&["export", family, model, whole])?),
            ("inspect", self.pruner(&["inspect", whole])),
            ("verify", self.pruner(&["verify", whole])),
            ("prune", self.pruner(&["prune", whole, "--ratio", "0.3", "--output", small])),
            ("train", self.job(&["train", family, model, small])?),
        ];
        for (at, command) in stages {
            let done = child::run(command, self.work, self.limit)?;
            if let Some(json) = &done.json {
                row.read(at, json).with_context(|| format!("the result of {at} is not understood"))?;
            }
            if let Some(why) = done.error {
                let told = done.json.as_ref().and_then(|json| verdict(at, json));
                return Ok(Err(Failure { at: at.to_owned(), why: told.unwrap_or(why), timed_out: done.timed_out }));
            }
        }
        Ok(Ok(()))
    }

    /// A job of the Python side.
    pub(super) fn job(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.python.command()?;
        let own = std::iter::once(&self.scripts).chain(&self.python.path);
        command.env("PYTHONPATH", std::env::join_paths(own)?).args(["-m", "zoo"]).args(args);
        Ok(command)
    }

    fn pruner(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.pruner);
        command.arg("--json").args(args);
        command
    }
}

impl Row {
    fn read(&mut self, at: &str, json: &Value) -> anyhow::Result<()> {
        match at {
            "inspect" => {
                self.read_ms = field(json, "/read_ms")?;
                self.analysis_ms = field(json, "/analysis_ms")?;
                self.nodes = field(json, "/nodes")?;
                self.params = field(json, "/counts/params")?;
                self.prunable_params = field(json, "/prunable_params")?;
                self.prunable_macs = field(json, "/prunable_macs")?;
                let unknown: Vec<(String, String)> = field(json, "/unknown_ops")?;
                self.unknown_ops = unknown.into_iter().map(|(op, _)| op).collect();
                for group in field::<Vec<Value>>(json, "/groups")? {
                    let count = if !group["pinned"].is_null() {
                        &mut self.groups_pinned
                    } else if group["inexact"].is_null() {
                        &mut self.groups_exact
                    } else {
                        &mut self.groups_inexact
                    };
                    *count += 1;
                }
            }
            "verify" => self.error = field(json, "/relative_difference")?,
            "prune" => {
                let before: f64 = field(json, "/reports/0/before/params")?;
                let after: f64 = field(json, "/reports/0/after/params")?;
                self.pruned_params = Some(1.0 - after / before.max(1.0));
            }
            "train" => self.trains = field(json, "/trains")?,
            _ => {}
        }
        Ok(())
    }
}

/// What a failed command says in its result rather than on standard error.
fn verdict(at: &str, json: &Value) -> Option<String> {
    match at {
        "verify" if json["finite"] == false => Some("the outputs are not finite".to_owned()),
        "verify" if json["effect"] == 0.0 => Some("masking does not change the outputs".to_owned()),
        "verify" => Some(format!("relative difference {}", json["relative_difference"])),
        _ => None,
    }
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("the path {} is not UTF-8", path.display()))
}
