//! `pruner verify`: does a model load, run and give finite values, and is what cuts leave of it what masking leaves?

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use pruner::deps::{Analysis, AxisGroup, Group, Kept};
use pruner::equivalence::{Difference, compare, masked, masked_equals_sliced, sliced};
use pruner::exec::GraphModule;
use pruner::graph::Origin;
use pruner::plan::{Limits, select};
use serde::Serialize;
use tch::Tensor;

use super::model::Model;
use super::numbers::{gone, percent};
use super::output::{self, Output};
use super::progress::Progress;
use super::run::RunArgs;
use super::settings::share;
use super::{exit, replay};

/// The arguments of `pruner verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// The model, a `.pt2` of torch.export.
    model: PathBuf,

    /// What was cut, as `prune --manifest` wrote it; without it, a part of every exact group is cut at random.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// The cut model, whose outputs are compared with those of the masked one; with --manifest.
    #[arg(long, value_name = "FILE", requires = "manifest")]
    pruned: Option<PathBuf>,

    /// Weights in safetensors in the place of the model's own, if the cut was made with them.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,

    /// The share of every exact group that is cut at random.
    #[arg(long, value_parser = share, default_value_t = 0.5, allow_negative_numbers = true, conflicts_with = "manifest")]
    ratio: f64,

    /// The largest difference, relative to the largest output, that passes.
    #[arg(long, value_name = "SHARE", value_parser = tolerance, default_value = "1e-5", allow_negative_numbers = true)]
    tolerance: f64,

    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "Examples:
  pruner verify model.pt2
      half of every exact group is cut at random, in memory
  pruner verify model.pt2 --manifest cut.json --pruned small.pt2
      whether small.pt2 computes what model.pt2 with zeros in its place does;
      biases and statistics that the cut changed besides are taken from small.pt2

Ends with 5 where the verification failed.";

/// With which parameters the model was compared.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Parameters {
    Own,
    /// Random ones, since with its own the outputs do not depend on what was cut.
    Random,
}

/// With what the cut model is compared.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Reference {
    /// The model masked.
    Masked,
    /// The model cut once more, where the cut changes a statistic.
    Cut,
}

/// What is found.
#[derive(Serialize)]
struct Found {
    passed: bool,
    /// Whether all outputs are finite: of the model, and of it masked and cut.
    finite: bool,
    /// Whether only exact groups were cut, so that the outputs must be equal.
    exact: bool,
    reference: Reference,
    parameters: Parameters,
    /// The share of the parameters that was cut.
    params_gone: f64,
    /// The largest difference of two outputs, and that relative to the largest output of the reference.
    max_abs_difference: f64,
    relative_difference: f64,
    /// By how much the reference differs from the model as it was; where it is 0 nothing is shown.
    effect: f64,
    tolerance: f64,
    /// The tensors that compensation or calibration changed, which are those of the cut model: nothing else is known of them.
    taken: Vec<String>,
}

impl Verify {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let model = Model::with_weights(&self.model, self.weights.as_deref())?;
        let (analysis, module) = (&model.analysis, model.load(self.run.device.device)?);
        let inputs = self.run.inputs(analysis.graph())?;
        let (kept, changed) = match &self.manifest {
            Some(path) => {
                let manifest = replay::read(path)?;
                (manifest.resolve(analysis).with_context(|| path.display().to_string())?, manifest.changed)
            }
            None => (self.random(analysis)?, Vec::new()),
        };
        let left = analysis.groups_left(&kept);
        let exact = left.iter().all(|group| group.inexact().is_none() || group.size() == group.initial_size());
        // What masking does not tell of a cut model, the same cut made here does.
        let masked = exact && changed.is_empty() || self.pruned.is_none();
        let reference = if masked { Reference::Masked } else { Reference::Cut };
        let equal = exact || reference == Reference::Cut;
        let progress = Progress::new("running the model masked and cut");
        let mut difference = self.compare(&module, analysis, &kept, &inputs, (reference, &changed))?;
        let mut parameters = Parameters::Own;
        let (before, after) = (analysis.counts(&Kept::all()), analysis.counts(&kept));
        if difference.finite && difference.effect == 0.0 && after != before && self.pruned.is_none() {
            // A head of zeros, as some models are initialised with, hides everything before it.
            difference = self.compare(&randomize(&module)?, analysis, &kept, &inputs, (reference, &changed))?;
            parameters = Parameters::Random;
        }
        let found = Found {
            passed: difference.finite
                && (!equal || difference.relative <= self.tolerance && (difference.effect > 0.0 || after == before)),
            finite: difference.finite,
            exact,
            reference,
            parameters,
            params_gone: gone(before.params, after.params),
            max_abs_difference: difference.max_abs,
            relative_difference: difference.relative,
            effect: difference.effect,
            tolerance: self.tolerance,
            taken: if self.pruned.is_some() { changed } else { Vec::new() },
        };
        drop(progress);
        match output {
            Output::Json => output::print_json(&found)?,
            Output::Table => output::print(&found.to_string())?,
        }
        Ok(if found.passed { ExitCode::SUCCESS } else { ExitCode::from(exit::UNVERIFIED) })
    }

    /// Compares the model masked with what a cut leaves of it, or with the model that was cut.
    fn compare(
        &self,
        module: &GraphModule,
        analysis: &Analysis,
        kept: &Kept,
        inputs: &[Tensor],
        (reference, changed): (Reference, &[String]),
    ) -> anyhow::Result<Difference> {
        let Some(path) = &self.pruned else { return Ok(masked_equals_sliced(module, analysis, kept, inputs)?) };
        let small = Model::open(path)?.pt2;
        let small = GraphModule::load(&small, module.device()).with_context(|| path.display().to_string())?;
        let expected = match reference {
            Reference::Masked => masked(module, analysis, kept)?,
            Reference::Cut => sliced(module, analysis, kept)?,
        };
        take(&expected, &small, changed).with_context(|| path.display().to_string())?;
        compare(module, &expected, &small, inputs).with_context(|| path.display().to_string())
    }

    /// A random part of every exact group is gone.
    fn random(&self, analysis: &Analysis) -> anyhow::Result<Kept> {
        let exact = |group: &&AxisGroup| group.pin().is_none() && group.inexact().is_none();
        let groups: Vec<&dyn Group> = analysis.groups().iter().filter(exact).map(|group| group as &dyn Group).collect();
        let score = |group: &&dyn Group| {
            let scores = Tensor::rand([group.size() as i64], tch::kind::DOUBLE_CPU);
            Ok((group.id(), Vec::<f64>::try_from(scores)?))
        };
        let scores = groups.iter().map(score).collect::<anyhow::Result<_>>()?;
        let selection = select(&groups, &scores, &Limits::new(self.ratio), 1.0)?;
        let mut kept = Kept::all();
        for (&group, coordinates) in selection.plan().cuts() {
            kept.remove(analysis, group, coordinates);
        }
        Ok(kept)
    }
}

/// Gives a network the tensors of these names that another has.
fn take(module: &GraphModule, from: &GraphModule, names: &[String]) -> anyhow::Result<()> {
    let of = |module: &GraphModule| module.named_tensors().into_iter().collect::<BTreeMap<_, _>>();
    let (mut own, other) = (of(module), of(from));
    for name in names {
        let (Some(own), Some(other)) = (own.get_mut(name), other.get(name)) else {
            bail!("there is no tensor `{name}`")
        };
        tch::no_grad(|| own.f_copy_(other)).with_context(|| format!("`{name}`"))?;
    }
    Ok(())
}

fn tolerance(text: &str) -> Result<f64, String> {
    let tolerance = text.parse().ok().filter(|tolerance: &f64| tolerance.is_finite() && *tolerance >= 0.0);
    tolerance.ok_or_else(|| "it is a number, at least 0".to_owned())
}

/// The model with other parameters: small normal numbers, so that a deep network neither vanishes nor explodes.
fn randomize(module: &GraphModule) -> anyhow::Result<GraphModule> {
    let graph = module.graph();
    let mut tensors = BTreeMap::new();
    for (id, value) in graph.stored() {
        let tensor = module.tensor(id).with_context(|| format!("`{}` is not stored", value.name))?.detach();
        let trained = value.origin == Origin::Parameter && value.meta.dtype.is_float();
        let inputs: i64 = value.meta.shape.iter().skip(1).product();
        let spread = 1.0 / (inputs.max(1) as f64).sqrt();
        tensors.insert(id, if trained { tensor.f_randn_like()? * spread } else { tensor });
    }
    Ok(GraphModule::new(graph.clone(), tensors, module.device())?)
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { relative_difference, effect, tolerance, .. } = self;
        let outputs = if self.finite { "its outputs are finite" } else { "its outputs are NOT FINITE" };
        writeln!(f, "it loads and runs, and {outputs}")?;
        if self.parameters == Parameters::Random {
            writeln!(f, "its outputs are the same whatever is cut: its parameters were replaced by random ones")?;
        }
        write!(f, "with {} of the parameters cut, ", percent(self.params_gone))?;
        if !self.exact {
            write!(f, "some of groups in which a cut changes a statistic, ")?;
        }
        let reference = match self.reference {
            Reference::Masked => "the masked model",
            Reference::Cut => "the model cut anew",
        };
        let must_equal = self.exact || self.reference == Reference::Cut;
        let verdict = match relative_difference <= tolerance {
            _ if !must_equal => "differs from",
            true => "equals",
            false => "DIFFERS from",
        };
        write!(f, "it {verdict} {reference}: relative difference {relative_difference:.1e}")?;
        if must_equal {
            write!(f, ", tolerance {tolerance:.0e}")?;
        }
        writeln!(f, "; the cut changed the outputs by {effect:.1e}")?;
        if let Some((first, others)) = self.taken.split_first() {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            writeln!(
                f,
                "the cut changed the numbers of `{first}`{more} besides: they were taken from the cut model, and NOT CHECKED"
            )?;
        }
        f.write_str(if self.passed { "verified" } else { "NOT VERIFIED" })
    }
}
