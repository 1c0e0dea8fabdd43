//! `pruner prune`: a model in, a smaller one out, and a report of what went and why not the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use pruner::exec::GraphModule;
use pruner::manifest::Manifest;
use pruner::plan::{Plan, Selection};
use pruner::pruner::{GroupPruner, Pruner as _};
use pruner::report::StepReport;
use serde::Serialize;

use super::exit;
use super::model::Model;
use super::output::{self, Output};
use super::progress::Progress;
use super::replay::{mode, written};
use super::run::DeviceArgs;
use super::samples::Samples;
use super::settings::SettingsArgs;

/// The arguments of `pruner prune`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Prune {
    /// The model, a `.pt2` of torch.export; a config may name it.
    #[arg(required_unless_present = "config")]
    model: Option<PathBuf>,

    /// The cut model; a config may name it.
    #[arg(short, long, value_name = "FILE", required_unless_present_any = ["dry_run", "config"])]
    output: Option<PathBuf>,

    /// Print what would be cut, and write no model.
    #[arg(long)]
    dry_run: bool,

    /// Weights in safetensors, in the place of the model's own of these names.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// A plan to cut by, as `--dry-run --save-plan` wrote it and perhaps edited, in place of one by scores.
    #[arg(long, value_name = "FILE", help_heading = "What goes")]
    #[arg(conflicts_with_all = ["target", "ignore", "min_channels", "max_ratio", "round_to", "scope", "importance"])]
    plan: Option<PathBuf>,

    #[command(flatten)]
    device: DeviceArgs,

    /// Write batch norm and dropout so that they train; an exported program cannot be switched once it is loaded.
    #[arg(long, help_heading = "What is written")]
    train_mode: bool,

    /// Write the weights that are left as safetensors.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", help_heading = "What is written")]
    save_weights: Option<PathBuf>,

    /// Write the plan as JSON.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    save_plan: Option<PathBuf>,

    /// Write what is left of every tensor as JSON, for `replay` and `verify`.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", help_heading = "What is written")]
    manifest: Option<PathBuf>,

    /// Write the report as JSON.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    report: Option<PathBuf>,
}

const USAGE: &str = "pruner prune [OPTIONS] <MODEL> --output <FILE>
       pruner prune [OPTIONS] <MODEL> --dry-run
       pruner prune [OPTIONS] --config <FILE>";

const EXAMPLES: &str = r#"Examples:
  pruner prune model.pt2 --ratio 0.5 -o small.pt2
      half of the channels of every group go, by their magnitude
  pruner prune model.pt2 --macs 0.4 --scope global --round-to 8 -o small.pt2
      40 % of the multiply-accumulates go, wherever they matter least
  pruner prune model.pt2 --macs 0.4 --params 0.3 --bytes 0.3 -o small.pt2
      at least so much goes of each
  pruner prune model.pt2 --latency 0.25 --device cuda -o small.pt2
      a forward pass takes 25 % less, as measured on the device
  pruner prune model.pt2 --importance taylor --data data.safetensors -o out.pt2
      what the loss on the samples depends on least goes
  pruner prune --config run.toml
      all that the config says, of which `pruner schema` has every key
  pruner prune model.pt2 --ignore head --dry-run --save-plan plan.json
      what would go; edit plan.json and cut by it with --plan plan.json

A config holds the same in TOML:
  importance = { importance = "magnitude", p = 1 }
  [budget]    # or target_ratio in [limits]
  macs = 0.4
  params = 0.3
  [limits]
  scope = "global"
  round_to = 8
  ignore = ["head"]
  [[limits.overrides]]       # what some groups have of their own
  groups = ["@heads", "layer1.*:out"]
  target_ratio = 0.25

Ends with 3 where nothing was cut, and with 4 where the target cannot be met."#;

/// What was done.
#[derive(Serialize)]
struct Done {
    output: Option<PathBuf>,
    reports: Vec<StepReport>,
    /// The batch norms whose statistics were measured anew.
    recalibrated: usize,
    /// The biases and statistics of which other numbers were written than those that the model has.
    changed: Vec<String>,
}

impl Prune {
    pub(crate) fn run(mut self, output: Output) -> anyhow::Result<ExitCode> {
        let config = self.settings.read()?;
        let model = self.model.take().or(config.model);
        let model = model.context("no model is named: give one, or `model` in the config")?;
        self.output = self.output.take().or(config.output);
        self.weights = self.weights.take().or(config.weights);
        ensure!(self.dry_run || self.output.is_some(), "no output is named: give --output, or `output` in the config");
        let data = config.calibration.as_ref().map(|calibration| &calibration.data);
        let read = [Some(&model), self.weights.as_ref(), self.settings.config(), self.plan.as_ref(), data];
        output::check_files(read.into_iter().flatten().map(PathBuf::as_path), self.files())?;
        let progress = Progress::new(format!("reading {}", model.display()));
        let Model { mut pt2, file_bytes, .. } = Model::with_weights(&model, self.weights.as_deref())?;
        let mut module = GraphModule::load(&pt2, self.device.device).with_context(|| model.display().to_string())?;
        progress.next("scoring and planning");
        let mut pruner = match &self.settings.config {
            Some(path) => GroupPruner::new(&module, config.settings).with_context(|| path.display().to_string())?,
            None => GroupPruner::new(&module, config.settings)?,
        };
        let samples = Samples::new(config.calibration, &pruner, &module, self.device.device)?;
        let (mut recalibrated, mut changed) = (0, Vec::new());
        let (reports, plan) = if self.dry_run && (pruner.settings().steps == 1 || self.plan.is_some()) {
            samples.gather(&mut pruner, &module)?;
            let selection = self.selection(&pruner, &module)?;
            (vec![pruner.preview(&selection)], selection.plan().clone())
        } else {
            let reports = self.cut(&mut pruner, &mut module, &samples)?;
            // A dry run tells what would be cut; of one step it has no cut model to measure.
            if !self.dry_run {
                recalibrated = samples.recalibrate(&mut module)?;
            }
            (reports, Plan::of_cut(pruner.analysis(), pruner.kept()))
        };
        if let (Some(path), false) = (&self.output, self.dry_run) {
            progress.next(format!("writing {}", path.display()));
            if samples.change_tensors() {
                changed = pt2.take_over(&module, pruner.analysis(), pruner.kept())?;
            }
            pt2.write(pruner.analysis(), pruner.kept(), mode(self.train_mode), path)?;
            if let Some(path) = &self.save_weights {
                pt2.write_weights(pruner.analysis(), pruner.kept(), path)?;
            }
            if let Some(path) = &self.manifest {
                output::write_json(
                    path,
                    &Manifest::new(pruner.analysis(), pruner.kept()).with_changed(changed.clone()),
                )?;
            }
        }
        if let Some(path) = &self.save_plan {
            output::write_json(path, &plan)?;
        }
        let pruned = reports.iter().any(StepReport::pruned);
        let done = Done { output: self.output.filter(|_| !self.dry_run), reports, recalibrated, changed };
        if let Some(path) = &self.report {
            output::write_json(path, &done)?;
        }
        drop(progress);
        match output {
            Output::Json => output::print_json(&done)?,
            Output::Table => done.show(file_bytes)?,
        }
        Ok(if pruned { ExitCode::SUCCESS } else { ExitCode::from(exit::NOTHING_PRUNED) })
    }

    /// The files that the run writes.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let with_model =
            [&self.output, &self.save_weights, &self.manifest].map(|path| path.as_ref().filter(|_| !self.dry_run));
        with_model.into_iter().chain([self.save_plan.as_ref(), self.report.as_ref()]).flatten().map(PathBuf::as_path)
    }

    /// Makes all steps of the run, or the one of a plan.
    fn cut(
        &self,
        pruner: &mut GroupPruner,
        module: &mut GraphModule,
        samples: &Samples,
    ) -> anyhow::Result<Vec<StepReport>> {
        if self.plan.is_some() {
            samples.gather(pruner, module)?;
            let selection = self.selection(pruner, module)?;
            return Ok(vec![pruner.apply(module, &mut (), &selection)?]);
        }
        let mut reports = Vec::new();
        for _ in 0..pruner.settings().steps {
            samples.gather(pruner, module)?;
            reports.push(pruner.step(module, &mut ())?);
        }
        Ok(reports)
    }

    /// What the next step cuts: by scores, or by the plan of a file.
    fn selection(&self, pruner: &GroupPruner, module: &GraphModule) -> anyhow::Result<Selection> {
        let selection = pruner.plan(module)?;
        let Some(path) = &self.plan else { return Ok(selection) };
        let place = || path.display().to_string();
        if pruner.settings().budget.is_some() {
            bail!("{}: both the plan and the budget of the config say how much goes; leave one of them out", place());
        }
        let text = fs::read_to_string(path).with_context(place)?;
        let plan: Plan = serde_json::from_str(&text).with_context(place)?;
        selection.with_plan(plan, &pruner.groups(), &pruner.settings().limits).with_context(place)
    }
}

impl Done {
    fn show(&self, file_bytes: u64) -> anyhow::Result<()> {
        for report in &self.reports {
            output::print_fitted(report)?;
        }
        let (Some(first), Some(last)) = (self.reports.first(), self.reports.last()) else { return Ok(()) };
        let end = match &self.output {
            Some(path) => written(path, file_bytes, first.before, last.after)?,
            None => "a dry run: no model is written".to_owned(),
        };
        if self.recalibrated > 0 {
            output::print(&format!("the statistics of {} batch norms are those of the data", self.recalibrated))?;
        }
        if let Some(first) = self.changed.first() {
            let count = self.changed.len();
            output::print(&format!(
                "{count} biases and statistics have other numbers than the model's, such as `{first}`"
            ))?;
        }
        Ok(output::print(&end)?)
    }
}
