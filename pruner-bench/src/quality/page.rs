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

/// Who prunes, with the beginning of the headings of its columns.
const TOOLS: [(Tool, &str); 2] = [(Tool::Pruner, ""), (Tool::TorchPruning, "Torch-Pruning ")];

/// The page.
pub(super) fn page(results: &Results) -> String {
    let mut page = String::from("# Quality after pruning\n\n");
    if let Some(about) = &results.about {
        page.push_str(&introduction(about, TOOLS.map(|(tool, _)| excess(&results.rows, tool))));
    }
    page.push_str("\n![Accuracy over the multiply-accumulates that are gone](quality.svg)\n");
    let models: Vec<Model> = Model::ALL.into_iter().filter(|&model| !results.dense(model).is_empty()).collect();
    page.push_str(&of_all(results, &models));
    for model in models {
        page.push_str(&of_model(results, model));
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
        "Written by `cargo xtask quality`, from what it ran and nothing else: {}, on {} cores of a CPU, a cell on each.\n\n\
         Networks for the 28×28 images of Fashion-MNIST are trained on {} images, each seen {} times, and judged by {} others. Each is cut \
         in one step until a share of its multiply-accumulates is gone; up to {ours:.1} points more go with ours, {theirs:.1} with \
         Torch-Pruning's. Numbers are accuracies in percent, mean ± standard deviation over seeds where \
         there are several; the best of a column is bold.\n\n\
         - Criteria have their default settings. Those that need data get the cross-entropy of the first {} training images. `snip`, `synflow` \
         and `grasp` were made for networks before training; here they are applied to the trained one like all others, where \
         `snip` is `taylor-per-weight`.\n\
         - *Measured anew* are the statistics of batch norms, on the same {} images; *trained* is further on {} images, the same for all.\n\
         - *local* takes the same share of every group, *global* ranks all groups together, *isomorphic* those that are made alike.\n\
         - *Torch-Pruning* cuts the same trained network by its criterion of the same name with its defaults, where its ratios allow it to within half a point of \
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

/// Means over networks, to compare criteria at a glance.
fn of_all(results: &Results, models: &[Model]) -> String {
    let mut text = String::from(
        "\n## All networks\n\nMeans over the networks, ranked globally; a dash where one of them has no number.\n",
    );
    let by_model: Vec<Vec<&Row>> = models.iter().map(|&model| of(results, model)).collect();
    let percents: BTreeSet<u32> = results.rows.iter().map(|row| row.cell.percent).collect();
    let measures: [(&str, Measure); 2] = [("Without training", Accuracies::untrained), ("Trained", |each| each.tuned)];
    for (name, measure) in measures {
        let table = Table::by_share(&percents, |tool, criterion, percent| {
            let of_model = |rows: &Vec<&Row>| measured(rows, (tool, criterion, Scope::Global, percent), measure);
            let means: Option<Vec<f64>> = by_model.iter().map(|rows| Some(of_model(rows)?.mean)).collect();
            let means = means.filter(|means| !means.is_empty())?;
            Some(Number { mean: means.iter().sum::<f64>() / means.len() as f64, deviation: None })
        });
        write!(text, "\n{name}:\n\n{table}").expect("a string takes all");
    }
    text
}

/// The rows of a network.
fn of(results: &Results, model: Model) -> Vec<&Row> {
    results.rows.iter().filter(|row| row.cell.model == model).collect()
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
    let rows = of(results, model);
    let normed = rows.iter().filter_map(|row| row.accuracies()).any(|each| each.recalibrated.is_some());
    let untrained = if normed { "without training, statistics measured anew" } else { "without training" };
    let percents: BTreeSet<u32> = rows.iter().map(|row| row.cell.percent).collect();
    for &percent in &percents {
        let measures: [(&str, Measure); 2] = [(untrained, Accuracies::untrained), ("trained", |each| each.tuned)];
        for (name, measure) in measures {
            let table = Table::by_scope(&rows, percent, measure);
            write!(text, "\n{percent} % of the multiply-accumulates gone, {name}:\n\n{table}")
                .expect("a string takes all");
        }
    }
    if normed {
        let table = Table::by_share(&percents, |tool, criterion, percent| {
            measured(&rows, (tool, criterion, Scope::Global, percent), |each| each.cut)
        });
        write!(text, "\nAs cut, without statistics measured anew, ranked globally:\n\n{table}")
            .expect("a string takes all");
    }
    text
}

/// One of the accuracies.
type Measure = fn(&Accuracies) -> f64;

/// A number over seeds.
fn measured(rows: &[&Row], (tool, criterion, scope, percent): (Tool, &str, Scope, u32), of: Measure) -> Option<Number> {
    let mut by_seed = BTreeMap::new();
    for row in rows {
        let cell = &row.cell;
        if cell.tool == tool && cell.criterion == criterion && cell.scope == scope && cell.percent == percent {
            by_seed.insert(cell.seed, row.accuracies().map(of));
        }
    }
    Number::of(by_seed.into_values().flatten())
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

    /// A column for every tool and scope.
    fn by_scope(rows: &[&Row], percent: u32, measure: Measure) -> Self {
        let mut table = Self::new();
        for (tool, prefix) in TOOLS {
            for scope in Scope::ALL {
                table.column(format!("{prefix}{}", scope_name(scope)), |criterion| {
                    measured(rows, (tool, criterion, scope, percent), measure)
                });
            }
        }
        table
    }

    /// A column for every tool and share.
    fn by_share(percents: &BTreeSet<u32>, number: impl Fn(Tool, &str, u32) -> Option<Number>) -> Self {
        let mut table = Self::new();
        for (tool, prefix) in TOOLS {
            for &percent in percents {
                table.column(format!("{prefix}{percent} %"), |criterion| number(tool, criterion, percent));
            }
        }
        table
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
