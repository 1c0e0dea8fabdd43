//! What the demonstration tells people: lines of at most 80 columns, written as soon as they are known.

use std::fmt;
use std::io::Write;
use std::path::Path;

use pruner_core::plan::Reason;
use pruner_core::pruner::Settings;
use pruner_core::report::{Outcome, StepReport};
use pruner_core::text::grouped;
use tch::Device;

use super::options::device_name;
use super::prune::{Pruned, Step};
use super::result::{DemoReport, Dense};
use crate::data::FashionMnist;

/// Writes lines; that nobody reads them any more is no reason to stop.
pub(super) struct Show<'a> {
    text: &'a mut dyn Write,
}

impl<'a> Show<'a> {
    pub(super) fn new(text: &'a mut dyn Write) -> Self {
        Self { text }
    }

    fn line(&mut self, line: impl fmt::Display) {
        let line = line.to_string();
        let _ = writeln!(self.text, "{}", line.trim_end()).and_then(|()| self.text.flush());
    }

    pub(super) fn title(&mut self, data: &FashionMnist, device: Device, threads: usize, seed: u64) {
        let (train, test) = (grouped(data.train.len() as u64), grouped(data.test.len() as u64));
        let device = match device {
            Device::Cpu => format!("the CPU with {}", counted(threads, "thread")),
            other => device_name(other),
        };
        self.line(format_args!("Fashion-MNIST: {train} images of clothes to learn from, {test} to test with"));
        self.line(format_args!("Running on {device}, seed {seed}"));
    }

    pub(super) fn training(&mut self, epochs: usize) {
        self.line("");
        self.line(format_args!("1. A small residual network is trained for {}.", counted(epochs, "epoch")));
    }

    pub(super) fn trained(&mut self, dense: &Dense) {
        let counts = dense.counts;
        self.line(format_args!(
            "   {} parameters, {} multiply-accumulates (MACs) per image",
            grouped(counts.params),
            short(counts.macs)
        ));
        let accuracy = percent(dense.accuracy);
        self.line(format_args!("   {accuracy} of the test images are recognised; {:.1} s", dense.training.seconds));
    }

    pub(super) fn pruning(&mut self, settings: &Settings) {
        let (steps, limits) = (counted(settings.steps, "step"), &settings.limits);
        self.line("");
        self.line(format_args!(
            "2. It is pruned in {steps} until {} of every layer's channels are gone;",
            percent(limits.target_ratio)
        ));
        self.line(format_args!("   every layer keeps a multiple of {} channels.", limits.round_to));
        self.line("   Each step that pruned something is followed by half an epoch of training. A");
        self.line("   copy, step by step in turns with it, is trained after every step.");
        self.line("");
        self.line("        channels gone                         accuracy");
        self.line("  step  asked  done  left  params    MACs   cut  trained  seconds  pruned");
    }

    /// A row of the table.
    pub(super) fn row(&mut self, step: &Step) {
        let report = &step.report;
        let seconds = report.seconds.total() + step.training.map_or(0.0, |cost| cost.seconds);
        self.line(format_args!(
            "  {:>4}  {:>5}  {:>4}  {:>4}  {:>6}  {:>6}  {:>4}  {:>7}  {seconds:>7.1}  {}",
            report.step,
            report.target.map_or_else(|| "-".to_owned(), share),
            share(report.achieved),
            report.after.channels,
            grouped(report.after.params),
            short(report.after.macs),
            share(step.accuracy_after_cut),
            step.accuracy_after_training.map_or_else(|| "-".to_owned(), share),
            verdict(report),
        ));
    }

    /// The row of the training after the last step.
    pub(super) fn finish(&mut self, run: &Pruned) {
        let accuracy = share(run.evaluation.accuracy);
        let what = "and one epoch of training at the end";
        self.line(format_args!("        {what:<39}{accuracy:>7}  {:>7.1}", run.finish.seconds));
    }

    /// What the words in the last column mean.
    pub(super) fn legend(&mut self, steps: &[Step], round_to: usize) {
        let rounding = steps.iter().any(|step| verdict(&step.report) == ROUNDING);
        self.line("");
        self.line("   Channels gone and accuracy are in percent. The accuracy is that on the test");
        self.line("   images after the cut, and after the training that followed it.");
        if rounding {
            self.line(format_args!("   {ROUNDING}: what is asked so far takes no layer down to its next multiple"));
            self.line(format_args!("   of {round_to}. Nothing was pruned, so there was nothing to train for."));
        }
    }

    pub(super) fn savings(&mut self, report: &DemoReport) {
        let (skipping, always, savings) = (&report.skipping, &report.always, &report.savings);
        self.line("");
        self.line("3. What was saved by training only after steps that pruned something:");
        let part = |part: f64, whole: f64| if whole > 0.0 { percent(part / whole) } else { percent(0.0) };
        // Where nothing was skipped, seconds differ by what else the machine did.
        let seconds_saved = if savings.epochs > 0.0 {
            format!("{:.1} ({})", savings.seconds, part(savings.seconds, always.training.seconds))
        } else {
            "-".to_owned()
        };
        let mut row = |what: &str, cells: [String; 3]| {
            let [first, second, saved] = cells;
            self.line(format_args!("   {what:<26}{first:>14}{second:>14}{saved:>20}"));
        };
        row("training", ["after cuts", "every step", "saved"].map(str::to_owned));
        row(
            "epochs of training",
            [
                format!("{:.1}", skipping.epochs),
                format!("{:.1}", always.epochs),
                format!("{:.1} ({})", savings.epochs, part(savings.epochs, always.epochs)),
            ],
        );
        row(
            "seconds of training",
            [format!("{:.1}", skipping.training.seconds), format!("{:.1}", always.training.seconds), seconds_saved],
        );
        row(
            "MACs of training *",
            [
                short(skipping.training.macs),
                short(always.training.macs),
                format!("{} ({})", short(savings.macs), part(savings.macs as f64, always.training.macs as f64)),
            ],
        );
        row("accuracy at the end", [percent(skipping.accuracy), percent(always.accuracy), String::new()]);
        self.line("   * a backward pass counted as two forward passes");
        self.line("");
        for line in accuracy_sentence(report) {
            self.line(format_args!("   {line}"));
        }
    }

    pub(super) fn end(&mut self, report: &DemoReport, weights: &Path, json: &Path, page: &Path) {
        let (before, after) = (report.dense.counts, report.skipping.counts);
        self.line("");
        self.line(format_args!(
            "Parameters {} -> {}, MACs {} -> {}, accuracy {} -> {}",
            grouped(before.params),
            grouped(after.params),
            short(before.macs),
            short(after.macs),
            percent(report.dense.accuracy),
            percent(report.skipping.accuracy),
        ));
        self.line("Zeroing in the trained network what was cut changes its outputs as cutting it");
        self.line(format_args!("does, to {:.0e} of the largest output", report.masked_equals_sliced));
        self.line(format_args!("Pruned weights: {}", weights.display()));
        self.line(format_args!("Every step and number: {}", json.display()));
        self.line(format_args!("A page to look at: {}", page.display()));
        self.line(format_args!("{:.0} seconds in all", report.seconds));
    }
}

/// Whether skipping cost accuracy, from the numbers.
fn accuracy_sentence(report: &DemoReport) -> [String; 3] {
    let savings = &report.savings;
    let points = |share: f64| format!("{:.2} points", share.abs() * 100.0);
    let which = if savings.accuracy_difference < 0.0 { "lower" } else { "higher" };
    let first = if savings.accuracy_difference == 0.0 {
        "Skipping left the accuracy exactly the same;".to_owned()
    } else {
        format!("Skipping ended with an accuracy {} {which};", points(savings.accuracy_difference))
    };
    let images = grouped(report.test_images as u64);
    let second =
        format!("the standard error of that difference on {images} test images is {},", points(savings.standard_error));
    let third = if savings.within_noise {
        "so it is within two standard errors: the same within noise"
    } else {
        "so it is more than two standard errors: not the same"
    };
    [first, second, third.to_owned()]
}

const ROUNDING: &str = "no: rounding";

/// What a step did, in the words of the table's last column.
fn verdict(report: &StepReport) -> String {
    match &report.outcome {
        Outcome::Pruned => "yes".to_owned(),
        Outcome::NothingToPrune { reason: Reason::Rounding { .. } } => ROUNDING.to_owned(),
        Outcome::NothingToPrune { reason } => format!("no: {}", reason.code()),
        Outcome::TargetReached => "no: done".to_owned(),
        _ => "no: finished".to_owned(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

/// A large count in three digits: `3.21 M`, `1.05 T`.
fn short(value: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let value = value as f64;
    UNITS.iter().find(|(unit, _)| value >= *unit).map_or_else(
        || value.to_string(),
        |(unit, name)| {
            let value = value / unit;
            let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
            format!("{value:.digits$}{name}")
        },
    )
}

fn share(part: f64) -> String {
    format!("{:.1}", part * 100.0)
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_for_people() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (93_098, "93,098"), (1_234_567, "1,234,567")];
        assert!(cases.iter().all(|(value, text)| grouped(*value) == *text));
        let cases = [(0, "0"), (999, "999"), (1234, "1.23 k"), (45_600_000, "45.6 M"), (678_000_000_000, "678 G")];
        assert!(cases.iter().all(|(value, text)| short(*value) == *text));
    }
}
