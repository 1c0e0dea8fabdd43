//! `pruner inspect`: the groups of a model, and what stands in the way of cutting the rest.

use std::path::PathBuf;

use clap::Args;
use pruner::deps::{Analysis, AxisGroup, Counts, Group, Kept, Role};
use pruner::text::Column;
use serde::Serialize;

use super::model::{Model, Times};
use super::numbers::{gone, human, percent};
use super::output::{self, Output, Tone};

/// The arguments of `pruner inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The model, a `.pt2` of torch.export.
    model: PathBuf,

    /// Show pinned groups too, with what pins each.
    #[arg(long)]
    all: bool,

    /// Show the dimensions that are cut with each group.
    #[arg(long)]
    members: bool,
}

const EXAMPLES: &str = "Examples:
  pruner inspect model.pt2
      the groups that can be cut
  pruner inspect model.pt2 --all --members
      all groups, why some cannot be cut, and the dimensions of each

A cut is exact where it computes what masking does, and inexact where it changes
a statistic, as a layer norm over the channels takes one.

The role tells heads and their dimensions from other channels; `@heads` and
`@head-dims` name them where `prune` takes names.";

/// What is found.
#[derive(Serialize)]
struct Found {
    nodes: usize,
    counts: Counts,
    /// The share of the parameters and of the multiply-accumulates that goes when of every group one channel is left.
    prunable_params: f64,
    prunable_macs: f64,
    /// Operations without a rule, each with the first node that calls it.
    unknown_ops: Vec<(String, String)>,
    groups: Vec<Row>,
    #[serde(flatten)]
    times: Times,
}

#[derive(Serialize)]
struct Row {
    group: String,
    name: String,
    size: usize,
    /// What its coordinates are.
    role: Role,
    members: Vec<String>,
    /// Why it may not be cut.
    pinned: Option<String>,
    /// The operation at which a cut changes a statistic, so that the cut network is not the masked one.
    inexact: Option<String>,
}

impl Inspect {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let Model { analysis, times, .. } = Model::open(&self.model)?;
        let found = Found::new(&analysis, times);
        if output == Output::Json {
            return output::print_json(&found);
        }
        let mut columns = vec![
            ("group", Column::Left),
            ("name", Column::Name),
            ("channels", Column::Right),
            ("members", Column::Right),
            ("cut", Column::Left),
            ("because", Column::Note),
        ];
        if self.members {
            columns.push(("cut together", Column::Note));
        }
        // Most networks have no heads.
        let roles = found.groups.iter().any(|row| row.role != Role::Channels);
        if roles {
            columns.insert(3, ("role", Column::Left));
        }
        let mut table = output::table(&columns);
        for row in found.groups.iter().filter(|row| self.all || row.pinned.is_none()) {
            let (kind, because) = match (&row.pinned, &row.inexact) {
                (Some(pin), _) => (output::toned("impossible", Tone::Bad), pin.clone()),
                (None, Some(node)) => (output::toned("inexact", Tone::Fair), format!("statistic at {node}")),
                (None, None) => (output::toned("exact", Tone::Good), String::new()),
            };
            let (size, members) = (row.size.to_string(), row.members.len().to_string());
            let mut cells = vec![row.group.clone(), row.name.clone(), size, members, kind, because];
            if self.members {
                cells.push(row.members.join(" "));
            }
            if roles {
                let role = if row.role == Role::Channels { String::new() } else { row.role.to_string() };
                cells.insert(3, role);
            }
            table.push(cells);
        }
        output::print_fitted(&table)?;
        output::print(&found.summary(self.all))?;
        Ok(())
    }
}

impl Found {
    fn new(analysis: &Analysis, times: Times) -> Self {
        let graph = analysis.graph();
        let counts = analysis.counts(&Kept::all());
        let least = analysis.counts(&smallest(analysis));
        let row = |group: &AxisGroup| Row {
            group: group.id().to_string(),
            name: group.name().to_owned(),
            size: group.size(),
            role: group.role(),
            members: group.members().iter().map(|member| format!("{}:{}", member.name, member.dim)).collect(),
            pinned: group.pin().map(ToString::to_string),
            inexact: group.inexact().map(|node| graph.describe(node)),
        };
        Self {
            nodes: graph.nodes().len(),
            counts,
            prunable_params: gone(counts.params, least.params),
            prunable_macs: gone(counts.macs, least.macs),
            unknown_ops: analysis.unknown_ops().iter().map(|(op, node)| (op.clone(), node.to_string())).collect(),
            // A group of one channel is never cut.
            groups: analysis.groups().iter().filter(|group| group.size() > 1).map(row).collect(),
            times,
        }
    }

    fn summary(&self, all: bool) -> String {
        let pinned = self.groups.iter().filter(|row| row.pinned.is_some()).count();
        let hint = if all || pinned == 0 { "" } else { " (--all shows why)" };
        let Counts { params, macs, .. } = self.counts;
        let mut lines = vec![
            String::new(),
            format!("{} nodes, {} parameters, {} MACs", self.nodes, human(params), human(macs)),
            format!("groups that can be cut: {}; pinned: {pinned}{hint}", self.groups.len() - pinned),
            format!(
                "at most {} of the parameters and {} of the MACs can go",
                percent(self.prunable_params),
                percent(self.prunable_macs)
            ),
        ];
        if !self.unknown_ops.is_empty() {
            let named: Vec<_> = self.unknown_ops.iter().map(|(op, node)| format!("{op} ({node})")).collect();
            lines.push(format!("no rule for {}: what these touch is pinned", named.join(", ")));
        }
        let Times { read_ms, analysis_ms } = self.times;
        lines.push(format!("read in {read_ms:.1} ms, analysed in {analysis_ms:.1} ms"));
        lines.join("\n")
    }
}

/// One channel of every group that may be cut.
fn smallest(analysis: &Analysis) -> Kept {
    let mut kept = Kept::all();
    for group in analysis.groups().iter().filter(|group| group.pin().is_none()) {
        let rest: Vec<u32> = (1..group.size() as u32).collect();
        kept.remove(analysis, group.id(), &rest);
    }
    kept
}
