//! The page of results.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use pruner_core::plan::Scope;
use pruner_core::text::grouped;

use super::criteria::{Criterion, RANDOM};
use super::models::Model;
use super::options::scope_name;
use super::row::{Accuracies, Part, Row, Tool};
use super::store::{About, Results};

/// The share whose cuts are shown by scope, in percent.
const HALF: u32 = 50;

/// Who prunes, with the beginning of the headings of its columns.
const TOOLS: [(Tool, &str); 2] = [(Tool::Pruner, ""), (Tool::TorchPruning, "Torch-Pruning ")];

/// The page.
pub(super) fn page(results: &Results) -> String {
    let mut page = String::from("# Quality after pruning\n\n");
    if let Some(about) = &results.about {
        page.push_str(&introduction(about, TOOLS.map(|(tool, _)| excess(&results.rows, tool))));
    }
    page.push_str("\n![Accuracy over the multiply-accumulates that are gone](quality.svg)\n");
    for model in Model::ALL {
        if !results.dense(model).is_empty() {
            page.push_str(&of_model(results, model));
        }
    }
    page.push_str(&of_encoder(results));
    page
}

/// How much more than its share a cut of a tool removes at most, in percentage points.
fn excess(rows: &[Row], tool: Tool) -> f64 {
    let of = |row: &Row| row.accuracies().map(|found| 100.0 * found.macs_gone - f64::from(row.cell.percent));
    rows.iter().filter(|row| row.cell.tool == tool).filter_map(of).fold(0.0, f64::max)
}

fn introduction(about: &About, [ours, theirs]: [f64; TOOLS.len()]) -> String {
    let scale = &about.scale;
    let versions: Vec<String> = about.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    format!(
        "Written by `cargo xtask quality`, from what it ran and nothing else: {}, on {} threads of a CPU.\n\n\
         Networks for the 28×28 images of Fashion-MNIST are trained on {} images, each seen {} times, and judged by {} others. Each is cut \
         in one step until a share of its multiply-accumulates is gone; up to {ours:.1} points more go with ours, {theirs:.1} with \
         Torch-Pruning's. Numbers are accuracies in percent, mean ± standard deviation over seeds where \
         there are several; the best of a column is bold.\n\n\
         - Criteria have their default settings. Those that need data get the cross-entropy of the first {} training images. `snip`, `synflow` \
         and `grasp` were made for networks before training; here they are applied to the trained one like all others.\n\
         - *cut* is the accuracy as cut, *measured anew* that after the statistics of the batch norms were measured on the same {} images, \
         *trained* that after {} further images, equal for all.\n\
         - *local* takes the same share of every group, *global* ranks all groups together, *isomorphic* those that are made alike.\n\
         - *Torch-Pruning* cuts the same trained network by its criterion of the same name with its defaults, to the largest network within \
         the same share, told the classifier and the heads of attention. What it leaves is exported, judged and trained as our own. The \
         gradients of its `hessian` are those of the last image alone, as its `accumulate_grad` keeps them.\n\
         - `{RANDOM}` is the baseline. A dash: it was not measured, the criterion has no score there, or no cut goes so far.\n",
        versions.join(", "),
        about.threads,
        scale.train_images,
        scale.epochs,
        scale.test_images,
        scale.calibration_images,
        scale.calibration_images,
        scale.tuning_images,
    )
}

fn of_model(results: &Results, model: Model) -> String {
    let dense = results.dense(model);
    let accuracy = Number::of(dense.iter().map(|dense| dense.accuracy));
    let (params, macs) = dense.first().map_or((0, 0), |dense| (dense.params, dense.macs));
    let mut text = format!(
        "\n## {}\n\n{} parameters, {} multiply-accumulates; {} % before pruning ({} seed{}).\n",
        model.title(),
        grouped(params),
        grouped(macs),
        accuracy.map_or_else(String::new, |number| number.to_string()),
        dense.len(),
        if dense.len() == 1 { "" } else { "s" },
    );
    let rows: Vec<&Row> = results.rows.iter().filter(|row| row.cell.model == model).collect();
    let normed = rows.iter().filter_map(|row| row.accuracies()).any(|each| each.recalibrated.is_some());
    let what = if normed { "statistics measured anew" } else { "as cut" };
    let by_scope = Table::by_scope(&rows, Accuracies::untrained);
    write!(text, "\n{HALF} % of the multiply-accumulates gone, without training ({what}):\n\n{by_scope}")
        .expect("a string takes all");
    let tuned_elsewhere = |row: &&Row| row.cell.scope != Scope::Global && row.cell.percent == HALF;
    if rows.iter().copied().filter(tuned_elsewhere).filter_map(Row::accuracies).any(|each| each.tuned.is_some()) {
        let trained = Table::by_scope(&rows, tuned);
        write!(text, "\n{HALF} % of the multiply-accumulates gone, then trained:\n\n{trained}")
            .expect("a string takes all");
    }

    let percents: BTreeSet<u32> = rows.iter().map(|row| row.cell.percent).collect();
    let mut by_share = Table::new();
    for percent in percents {
        by_share.measures(&rows, percent, normed);
    }
    write!(text, "\nShares, ranked globally:\n\n{by_share}").expect("a string takes all");
    text
}

/// One of the accuracies.
type Measure = fn(&Accuracies) -> f64;

/// The accuracy after training; no number where there was none.
fn tuned(accuracies: &Accuracies) -> f64 {
    accuracies.tuned.unwrap_or(f64::NAN)
}

/// A number over seeds.
fn measured(rows: &[&Row], (tool, criterion, scope, percent): (Tool, &str, Scope, u32), of: Measure) -> Option<Number> {
    let mut by_seed = BTreeMap::new();
    for row in rows {
        let cell = &row.cell;
        if cell.tool == tool && cell.criterion == criterion && cell.scope == scope && cell.percent == percent {
            by_seed.insert(cell.seed, row.accuracies().map(of));
        }
    }
    Number::of(by_seed.into_values().flatten().filter(|value| value.is_finite()))
}

fn of_encoder(results: &Results) -> String {
    let encoded = &results.encoder;
    if encoded.is_empty() {
        return String::new();
    }
    let scale = results.about.as_ref().map(|about| about.scale);
    let (judged, calibration) = scale.map_or((0, 0), |scale| (scale.sentences, scale.calibration_sentences));
    let mut text = format!(
        "\n## Sentence encoder MiniLM\n\nThe pretrained `all-MiniLM-L6-v2` (6 layers, 12 heads, 384 wide), cut once without training. Numbers are the \
         mean cosine, times 100, of its embeddings to those of the dense encoder on {judged} of WordNet's glosses, of 64 tokens at most; {calibration} others \
         are for calibration. Embeddings keep their length: they leave through a layer that is the identity before the cut, so that the width \
         can be cut. The loss of gradients is one less the cosine between the embedding of a gloss and the dense encoder's of the word it \
         explains. Groups that are made alike are ranked together.\n"
    );
    let percents: BTreeSet<u32> = encoded.iter().map(|each| each.percent).collect();
    for percent in percents {
        let mut table = Table::new();
        for (part, heading) in
            [(Part::Mlp, "MLP"), (Part::Heads, "heads"), (Part::Width, "width"), (Part::All, "all three")]
        {
            table.column(heading.to_owned(), |criterion| {
                let found = encoded
                    .iter()
                    .rfind(|each| each.part == part && each.percent == percent && each.criterion == criterion);
                Number::of(found.and_then(|each| each.cosine).map(|cosine| cosine.mean).into_iter())
            });
        }
        write!(text, "\n{percent} % of the multiply-accumulates gone:\n\n{table}").expect("a string takes all");
    }
    text
}

/// A mean in percent and, of several values, their standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    mean: f64,
    deviation: Option<f64>,
}

impl Number {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.map(|value| 100.0 * value).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        (!values.is_empty()).then_some(Self { mean, deviation })
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.deviation {
            Some(deviation) => write!(f, "{:.1} ± {deviation:.1}", self.mean),
            None => write!(f, "{:.1}", self.mean),
        }
    }
}

/// A table with a row for every criterion; rows and columns of which nothing is known are left out.
struct Table {
    columns: Vec<(String, Vec<Option<Number>>)>,
}

impl Table {
    fn new() -> Self {
        Self { columns: Vec::new() }
    }

    fn column(&mut self, heading: String, number: impl Fn(&str) -> Option<Number>) {
        let numbers: Vec<_> = Criterion::ALL.iter().map(|criterion| number(criterion.name)).collect();
        if numbers.iter().any(Option::is_some) {
            self.columns.push((heading, numbers));
        }
    }

    /// A column for every tool and scope, with a share of [`HALF`] gone.
    fn by_scope(rows: &[&Row], measure: Measure) -> Self {
        let mut table = Self::new();
        for (tool, prefix) in TOOLS {
            for scope in Scope::ALL {
                table.column(format!("{prefix}{}", scope_name(scope)), |criterion| {
                    measured(rows, (tool, criterion, scope, HALF), measure)
                });
            }
        }
        table
    }

    /// All that is known of a share, ranked globally.
    fn measures(&mut self, rows: &[&Row], percent: u32, normed: bool) {
        let mut measures: Vec<(&str, Measure)> = vec![("cut", |each| each.cut)];
        if normed {
            measures.push(("measured anew", Accuracies::untrained));
        }
        measures.push(("trained", tuned));
        for (tool, prefix) in TOOLS {
            for &(name, measure) in &measures {
                // Of Torch-Pruning what is comparable at a glance: without training and with it.
                if tool == Tool::TorchPruning && normed && name == "cut" {
                    continue;
                }
                self.column(format!("{percent} % {prefix}{name}"), |criterion| {
                    measured(rows, (tool, criterion, Scope::Global, percent), measure)
                });
            }
        }
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headings: Vec<&str> = self.columns.iter().map(|(heading, _)| heading.as_str()).collect();
        writeln!(f, "| criterion | {} |", headings.join(" | "))?;
        writeln!(f, "|---|{}", "--:|".repeat(headings.len()))?;
        let best =
            |numbers: &[Option<Number>]| numbers.iter().flatten().map(|number| number.mean).fold(f64::MIN, f64::max);
        for (index, criterion) in Criterion::ALL.iter().enumerate() {
            if self.columns.iter().all(|(_, numbers)| numbers[index].is_none()) {
                continue;
            }
            write!(f, "| {} |", criterion.name)?;
            for (_, numbers) in &self.columns {
                match numbers[index] {
                    Some(number) if number.mean >= best(numbers) => write!(f, " **{number}** |")?,
                    Some(number) => write!(f, " {number} |")?,
                    None => write!(f, " – |")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
