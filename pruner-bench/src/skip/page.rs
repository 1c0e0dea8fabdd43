//! The page: what skipping saved, by network, scheduler and `round_to`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PLOT;
use super::networks::Net;
use super::row::{Outcome, Row, Setting};
use super::store::Results;

/// Rows of one network and setting, over seeds.
pub(super) struct Cell<'a> {
    pub(super) network: Net,
    pub(super) setting: &'a Setting,
    pub(super) rows: Vec<&'a Row>,
}

/// A mean with the standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    /// `None` of one seed.
    pub(super) deviation: Option<f64>,
}

impl Spread {
    pub(super) fn new(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) }
    }

    /// In hundredths, with so many digits; with a sign if it is a difference.
    pub(super) fn percent(self, is_difference: bool) -> String {
        let mean = 100.0 * self.mean;
        let mean = if is_difference { format!("{mean:+.2}") } else { format!("{mean:.2}") };
        self.deviation.map_or(mean.clone(), |deviation| format!("{mean} ± {:.2}", 100.0 * deviation))
    }
}

impl Cell<'_> {
    /// A value of every row.
    pub(super) fn spread(&self, of: impl Fn(&Row) -> f64) -> Spread {
        Spread::new(&self.rows.iter().map(|row| of(row)).collect::<Vec<_>>())
    }

    fn mean(&self, of: impl Fn(&Row) -> f64) -> f64 {
        self.spread(of).mean
    }

    /// The accuracy of the run that skipped less that of the other.
    pub(super) fn difference(&self) -> Spread {
        self.spread(|row| row.skipping.accuracy - row.always.accuracy)
    }

    /// The share of what training after every step takes that training after cuts takes.
    pub(super) fn share(&self, of: impl Fn(&Outcome) -> f64) -> f64 {
        share(&self.rows, of)
    }
}

fn share(rows: &[&Row], of: impl Fn(&Outcome) -> f64) -> f64 {
    let sum = |run: fn(&Row) -> &Outcome| rows.iter().map(|row| of(run(row))).sum::<f64>();
    let (cheap, dear) = (sum(|row| &row.skipping), sum(|row| &row.always));
    if dear > 0.0 { cheap / dear } else { 1.0 }
}

/// The rows by network and setting.
pub(super) fn cells(results: &Results) -> Vec<Cell<'_>> {
    let mut cells: BTreeMap<(Net, &Setting), Vec<&Row>> = BTreeMap::new();
    for row in &results.rows {
        cells.entry((row.network, &row.setting)).or_default().push(row);
    }
    cells.into_iter().map(|((network, setting), rows)| Cell { network, setting, rows }).collect()
}

/// The page of the results of all machines.
pub(super) fn page(all: &[Results]) -> String {
    let mut text = String::from(INTRODUCTION);
    let _ = writeln!(text, "\n![What training costs that is skipped where nothing was pruned]({PLOT})");
    for results in all.iter().filter(|results| !results.rows.is_empty()) {
        section(&mut text, results);
    }
    text
}

const INTRODUCTION: &str = "\
# What skipping saves

A step of iterative pruning often prunes nothing: few channels go at a time, and with `round_to` a layer waits until a whole multiple
can go. A loop that trains after every step trains then for nothing. Here the same trained networks are pruned twice in one run, a step of the
one and a step of the other in turns: training only after the steps that pruned something (`should_train`), and after every step. Both end
with the same training after the last step, which is left out of what is counted, since nothing of it can be skipped.

Made by `cargo xtask skip`; the rows are in `pruner-bench/results/skip`, a folder for every machine.
";

fn section(text: &mut String, results: &Results) {
    let (machine, scale) = (&results.about.machine, &results.about.scale);
    let _ = writeln!(text, "\n## {}\n", machine.words());
    let _ = writeln!(
        text,
        "Half of every layer's channels go in {} steps, by L2 magnitude; {} images of Fashion-MNIST to an epoch, of {} in all, \
         {} to judge by. ResNet-18 is {} wide.\n",
        scale.steps, scale.epoch_images, scale.train_images, scale.test_images, scale.resnet_width
    );
    let rows: Vec<&Row> = results.rows.iter().collect();
    let percent = |share: f64| format!("{:.0} %", 100.0 * (1.0 - share));
    let differences: Vec<f64> = rows.iter().map(|row| row.skipping.accuracy - row.always.accuracy).collect();
    let energy = rows.iter().all(|row| row.skipping.cost.joules.is_some() && row.always.cost.joules.is_some());
    let joules = |run: &Outcome| run.cost.joules.unwrap_or_default();
    let _ = writeln!(
        text,
        "**In all**, {} runs: {} of the epochs saved, {} of the seconds, {} of the multiply-accumulates{}; the accuracy changes by {} points.\n",
        rows.len(),
        percent(share(&rows, |run| run.epochs as f64)),
        percent(share(&rows, |run| run.cost.seconds)),
        percent(share(&rows, |run| run.cost.macs as f64)),
        if energy { format!(", {} of the energy", percent(share(&rows, joules))) } else { String::new() },
        Spread::new(&differences).percent(true),
    );
    let _ = writeln!(
        text,
        "| network | scheduler | round_to | steps that pruned | epochs | seconds saved | MACs saved |{} accuracy, % | always, % | difference, points |",
        if energy { " energy saved |" } else { "" }
    );
    let _ = writeln!(text, "|---|---|--:|--:|--:|--:|--:|{}--:|--:|--:|", if energy { "--:|" } else { "" });
    for cell in cells(results) {
        let whole = |value: f64| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} of {} | {} of {} | {} | {} |{} {} | {} | {} |",
            cell.network.title(),
            cell.setting.scheduler,
            cell.setting.round_to,
            whole(cell.mean(|row| row.skipping.steps_pruned as f64)),
            whole(cell.mean(|row| row.skipping.steps as f64)),
            whole(cell.mean(|row| row.skipping.epochs as f64)),
            whole(cell.mean(|row| row.always.epochs as f64)),
            percent(cell.share(|run| run.cost.seconds)),
            percent(cell.share(|run| run.cost.macs as f64)),
            if energy { format!(" {} |", percent(cell.share(joules))) } else { String::new() },
            cell.spread(|row| row.skipping.accuracy).percent(false),
            cell.spread(|row| row.always.accuracy).percent(false),
            cell.difference().percent(true),
        );
    }
    let seeds = cells(results).iter().map(|cell| cell.rows.len()).max().unwrap_or_default();
    let _ = writeln!(
        text,
        "\nMeans over {seeds} seeds, ± the standard deviation over them. Seconds and MACs are those of training; a backward pass counts as two \
         forward passes."
    );
}
