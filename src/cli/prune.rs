//! `pruner prune`: a model in, a smaller one out, and a report of what went and why not the rest.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use pruner::budget::BudgetError;
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
use super::replay::mode;
use super::run::DeviceArgs;
use super::settings::{SettingsArgs, Wanted};

/// The arguments of `pruner prune`.
#[derive(Debug, Args)]
#[command(after_help = exit::HELP, after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Prune {
    /// The model, a `.pt2` of torch.export.
    model: PathBuf,

    /// The cut model.
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,

    /// Prints what would be cut, and writes no model.
    #[arg(long)]
    dry_run: bool,

    /// Weights in safetensors, in the place of the model's own of these names.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// A plan to cut by, as `--dry-run --save-plan` wrote it and perhaps edited, in place of one by scores.
    #[arg(long, value_name = "FILE", help_heading = "What goes")]
    plan: Option<PathBuf>,

    #[command(flatten)]
    device: DeviceArgs,

    /// Writes batch norm and dropout so that they train; an exported program cannot be switched once it is loaded.
    #[arg(long, help_heading = "What is written")]
    train_mode: bool,

    /// Writes the weights that are left as safetensors.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    save_weights: Option<PathBuf>,

    /// Writes the plan as JSON.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    save_plan: Option<PathBuf>,

    /// Writes what is left of every tensor as JSON, for `replay` and `verify`.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    manifest: Option<PathBuf>,

    /// Writes the report as JSON.
    #[arg(long, value_name = "FILE", help_heading = "What is written")]
    report: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  pruner prune model.pt2 --ratio 0.5 -o small.pt2
      half of the channels of every group go, by their magnitude
  pruner prune model.pt2 --macs 0.4 --scope global --round-to 8 -o small.pt2
      40 % of the multiply-accumulates go, wherever they matter least
  pruner prune model.pt2 --ratio 0.3 --ignore head --dry-run --save-plan plan.json
      what would go; edit plan.json and cut by it with --plan plan.json";

/// What was done.
#[derive(Serialize)]
struct Done {
    output: Option<PathBuf>,
    reports: Vec<StepReport>,
}

impl Prune {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let Wanted { settings, budget } = self.settings.wanted()?;
        let progress = Progress::new(format!("reading {}", self.model.display()));
        let Model { mut pt2, .. } = Model::open(&self.model)?;
        if let Some(path) = &self.weights {
            pt2.read_weights(path)?;
        }
        let mut module = GraphModule::load(&pt2, self.device.device)?;
        progress.next("scoring and planning");
        let mut pruner = GroupPruner::new(&module, settings)?;
        if let Some(budget) = budget {
            match pruner.meet(&module, budget) {
                Err(error @ BudgetError::Infeasible { .. }) => {
                    eprintln!("error: {error}");
                    return Ok(ExitCode::from(exit::INFEASIBLE));
                }
                met => drop(met?),
            }
        }
        let (reports, plan) = if self.dry_run {
            let selection = self.selection(&pruner, &module)?;
            (vec![pruner.preview(&selection)], selection.plan().clone())
        } else {
            let reports = self.cut(&mut pruner, &mut module)?;
            (reports, Plan::of_cut(pruner.analysis(), pruner.kept()))
        };
        if let (Some(path), false) = (&self.output, self.dry_run) {
            progress.next(format!("writing {}", path.display()));
            pt2.write(pruner.analysis(), pruner.kept(), mode(self.train_mode), path)?;
            if let Some(path) = &self.save_weights {
                pt2.write_weights(pruner.analysis(), pruner.kept(), path)?;
            }
            if let Some(path) = &self.manifest {
                output::write_json(path, &Manifest::new(pruner.analysis(), pruner.kept()))?;
            }
        }
        if let Some(path) = &self.save_plan {
            output::write_json(path, &plan)?;
        }
        let pruned = reports.iter().any(StepReport::pruned);
        let done = Done { output: self.output.filter(|_| !self.dry_run), reports };
        if let Some(path) = &self.report {
            output::write_json(path, &done)?;
        }
        drop(progress);
        show(&done, output)?;
        Ok(if pruned { ExitCode::SUCCESS } else { ExitCode::from(exit::NOTHING_PRUNED) })
    }

    /// Makes all steps of the run, or the one of a plan.
    fn cut(&self, pruner: &mut GroupPruner, module: &mut GraphModule) -> anyhow::Result<Vec<StepReport>> {
        if self.plan.is_some() {
            let selection = self.selection(pruner, module)?;
            return Ok(vec![pruner.apply(module, &mut (), &selection)?]);
        }
        let steps = pruner.settings().steps;
        Ok((0..steps).map(|_| pruner.step(module, &mut ())).collect::<Result<_, _>>()?)
    }

    /// What the next step cuts: by scores, or by the plan of a file.
    fn selection(&self, pruner: &GroupPruner, module: &GraphModule) -> anyhow::Result<Selection> {
        let selection = pruner.plan(module)?;
        let Some(path) = &self.plan else { return Ok(selection) };
        let place = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(place)?;
        let plan: Plan = serde_json::from_str(&text).with_context(place)?;
        selection.with_plan(plan, &pruner.groups(), &pruner.settings().limits).with_context(place)
    }
}

fn show(done: &Done, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        return output::print_json(done);
    }
    for report in &done.reports {
        output::print(&report.to_string())?;
    }
    match &done.output {
        Some(path) => output::print(&format!("{} is written", path.display()))?,
        None => output::print("no model is written")?,
    }
    Ok(())
}
