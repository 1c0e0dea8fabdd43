//! The results of all models: as JSON, which a later run goes on from, and as a page.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::row::{Rival, Row};

/// Everything that was run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) versions: BTreeMap<String, String>,
    pub(super) cores: usize,
    /// How many models each family has.
    #[serde(default)]
    pub(super) sizes: BTreeMap<String, usize>,
    /// By family and model.
    pub(super) families: BTreeMap<String, BTreeMap<String, Row>>,
}

impl Results {
    pub(super) fn read(docs: &Path) -> anyhow::Result<Self> {
        let file = docs.join("zoo.json");
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is of another form: delete it to start anew", file.display()))
    }

    /// Changes what is on disk, also while another run does; writes the page too.
    pub(super) fn update(docs: &Path, lock: &Path, change: impl FnOnce(&mut Self)) -> anyhow::Result<()> {
        let lock = File::create(lock).with_context(|| format!("cannot write {}", lock.display()))?;
        lock.lock().context("cannot lock the results")?;
        let mut results = Self::read(docs)?;
        change(&mut results);
        fs::create_dir_all(docs)?;
        for (name, text) in [("zoo.json", serde_json::to_string_pretty(&results)? + "\n"), ("zoo.md", results.page())] {
            let (new, file) = (docs.join(format!("{name}.new")), docs.join(name));
            fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
            fs::rename(&new, &file).with_context(|| format!("cannot name {}", file.display()))?;
        }
        Ok(())
    }

    fn page(&self) -> String {
        let mut page = String::from("# The zoo\n\n");
        let all: Vec<&Row> = self.families.values().flat_map(BTreeMap::values).collect();
        let rivals = all.iter().filter(|row| rival_passes(&row.torch_pruning)).count();
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        writeln!(
            page,
            "**{}**; Torch-Pruning: {rivals} of {} are cut, run, train and keep their output shapes. {}, on {} cores.\n",
            passed(all.iter().copied()),
            all.len(),
            versions.join(", "),
            self.cores
        )
        .expect("a string takes all");
        page.push_str(INTRODUCTION);
        for (family, rows) in &self.families {
            let size = self.sizes.get(family).copied().unwrap_or(rows.len()).max(rows.len());
            let (run, passed) = (rows.len(), passed(rows.values()));
            write!(page, "\n## {family}\n\n{run} of {size} models were run; {passed}.\n\n{HEADINGS}")
                .expect("a string takes all");
            for (model, row) in rows {
                writeln!(page, "| {model} | {} | {} |", own(row), rival(&row.torch_pruning))
                    .expect("a string takes all");
            }
        }
        page
    }
}

const INTRODUCTION: &str = "\
Written by `cargo xtask zoo`, from what it ran and nothing else. A model passes when `pruner` reads its export, the sliced
model equals the masked one to 1e-5 of the largest output with half of every exact group cut, and PyTorch loads the archive
that `prune --ratio 0.3` wrote and trains it for a step (finite gradients, parameters that change). Weights are random, with
no gate or scale near zero to hide what is behind it; there are no hints and no exceptions for any model.

- Times are wall times of one run, whatever else the machine does; a job that takes too long is ended, as the table says.
- *read* is the time from the archive to its graph, *analysis* that from the graph to its groups.
- *groups* are those that are exact, inexact (a cut changes a statistic, as in layer norm) and pinned (may not be cut).
- *prunable* is what goes of the parameters and of the multiply-accumulates when one channel of every group is left.
- *ops without a rule* pin what they touch.
- *Torch-Pruning* is told which layers make the outputs (the last layer if none does by itself), since it cuts classes
  otherwise, and nothing else (numbers of heads and parameters outside of layers are hints of its own). Its time is that of building its graph and listing the groups; it
  removes half of the channels in one step. *Masked* is the difference from the model with zeros in place of what it cut.
";

const HEADINGS: &str = "\
| model | nodes | ops without a rule | read ms | analysis ms | groups exact / inexact / pinned | prunable parameters / MACs | masked = sliced | loads and trains | Torch-Pruning: groups | ms | outcome |
|---|--:|---|--:|--:|--:|--:|--:|---|--:|--:|---|
";

fn passed<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> String {
    let (count, exported) = (rows.clone().count(), rows.clone().filter(|row| row.exported()).count());
    let mut text = format!("{} of {exported} pass", rows.filter(|row| row.passes()).count());
    if exported < count {
        write!(text, " ({} more are not exported by PyTorch)", count - exported).expect("a string takes all");
    }
    text
}

/// The columns about `pruner`.
fn own(row: &Row) -> String {
    let outcome = match (&row.failed, row.trains) {
        (Some(failure), _) => format!("**{}**: {}", failure.at, plain(&failure.why)),
        (None, Some(true)) => "yes".to_owned(),
        (None, _) => "**no**".to_owned(),
    };
    if row.nodes == 0 {
        return format!("| | | | | | | {outcome}");
    }
    let unknown: Vec<String> = row.unknown_ops.iter().map(|op| format!("`{op}`")).collect();
    let error = match row.error {
        Some(_) if row.groups_exact == 0 => "**nothing is exact**".to_owned(),
        Some(error) => format!("{error:.1e}"),
        None => String::new(),
    };
    format!(
        "{} | {} | {:.1} | {:.1} | {} / {} / {} | {:.0} % / {:.0} % | {error} | {outcome}",
        row.nodes,
        unknown.join(" "),
        row.read_ms,
        row.analysis_ms,
        row.groups_exact,
        row.groups_inexact,
        row.groups_pinned,
        row.prunable_params * 100.0,
        row.prunable_macs * 100.0,
    )
}

/// The columns about Torch-Pruning.
fn rival(rival: &Rival) -> String {
    let groups = rival.groups.map_or_else(String::new, |groups| groups.to_string());
    let ms = rival.groups_ms.map_or_else(String::new, |ms| format!("{ms:.0}"));
    let mut outcome = match (&rival.error, rival.runs) {
        (Some(error), true) => format!("runs, then {}", plain(error)),
        (Some(error), false) => plain(error),
        (None, _) if rival.trains => "runs and trains".to_owned(),
        (None, _) => "runs, does not train".to_owned(),
    };
    if rival.runs {
        match rival.masked_error {
            _ if rival.params_gone == Some(0.0) => write!(outcome, ", nothing cut"),
            Some(error) => write!(outcome, ", masked {error:.1e}"),
            None => write!(outcome, ", output shapes changed"),
        }
        .expect("a string takes all");
    }
    format!("{groups} | {ms} | {outcome}")
}

fn rival_passes(rival: &Rival) -> bool {
    let cut = rival.params_gone.is_some_and(|share| share > 0.0);
    cut && rival.error.is_none() && rival.runs && rival.trains && rival.masked_error.is_some()
}

/// A text that breaks no table.
fn plain(text: &str) -> String {
    let text: String = text.chars().take(140).collect();
    text.replace('|', "\\|").replace(['<', '>'], "'").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_what_passes_and_what_was_not_exported() {
        let good = Row {
            nodes: 3,
            groups_exact: 2,
            error: Some(1e-7),
            pruned_params: Some(0.5),
            trains: Some(true),
            ..Row::default()
        };
        let wrong = Row { error: Some(1e-2), ..good.clone() };
        let failure = super::super::row::Failure { at: "export".to_owned(), why: "a | b".to_owned(), timed_out: false };
        let lost = Row { failed: Some(failure), ..Row::default() };
        let rows = [("good", good), ("wrong", wrong), ("lost", lost)].map(|(name, row)| (name.to_owned(), row));
        let families = BTreeMap::from([("family".to_owned(), BTreeMap::from(rows))]);
        let page = Results { families, ..Results::default() }.page();
        assert!(page.contains("**1 of 2 pass (1 more are not exported by PyTorch)**"), "{page}");
        assert!(page.contains("**export**: a \\| b"), "{page}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut table = page.lines().filter(|line| line.starts_with('|')).map(columns);
        let first = table.next().expect("there is a table");
        assert!(table.all(|columns| columns == first), "{page}");
    }
}
