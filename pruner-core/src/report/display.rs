//! The report as a person reads it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::numbers::{count, percent, score};
use super::{GroupReport, Outcome, Seconds, StepReport};
use crate::deps::Pin;
use crate::plan::{Measure, Reason, ScoreSummary};
use crate::text::{Column, Table, wrapped};

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pruned => f.write_str("pruned"),
            Self::NothingToPrune { reason } => write!(f, "nothing pruned: {reason}"),
            Self::TargetReached => f.write_str("nothing pruned: the target of the run is reached"),
            Self::Finished { reason } => write!(f, "nothing pruned, and nothing more can be: {reason}"),
        }
    }
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = f.precision();
        let line = |text: &str| wrapped(text, limit, 0, 2);
        writeln!(f, "{}", line(&self.header()?))?;
        self.counts().fmt(f)?;
        let budget = self.budget();
        if budget.has_rows() {
            writeln!(f, "budget:")?;
            budget.fmt(f)?;
        }
        let cut = self.cut_groups(limit);
        if cut.has_rows() {
            writeln!(f, "cut:")?;
            cut.fmt(f)?;
        }
        let kept = self.kept_groups();
        if kept.has_rows() {
            writeln!(f, "not cut:")?;
            kept.fmt(f)?;
        }
        for alarm in &self.alarms {
            writeln!(f, "{}", line(&format!("alarm: {alarm}")))?;
        }
        if let Some(verified) = self.verified() {
            writeln!(f, "{}", line(&verified))?;
        }
        let Seconds { score, plan, apply } = self.seconds;
        let total = self.seconds.total();
        // A step that was not made took no time.
        if total > 0.0 {
            let seconds = format!("seconds: {total:.3} (score {score:.3}, plan {plan:.3}, apply {apply:.3})");
            writeln!(f, "{}", line(&seconds))?;
        }
        f.write_str(&line(&match self.stop {
            Some(stop) => format!("the run is over: {stop}"),
            None if self.pruned() => "the run goes on".to_owned(),
            None => "the run goes on; there is nothing to train for before the next step".to_owned(),
        }))
    }
}

impl StepReport {
    fn header(&self) -> Result<String, fmt::Error> {
        let mut text = format!("step {} of {}: {}", self.step, self.steps, self.outcome);
        if self.pruned() {
            let groups = self.groups.iter().filter(|group| group.cut() > 0).count();
            let channels: usize = self.groups.iter().map(GroupReport::cut).sum();
            write!(text, " {} from {}", counted(channels, "channel"), counted(groups, "group"))?;
        }
        write!(text, "; {} of all channels are gone", percent(self.achieved))?;
        if let Some(target) = self.target {
            write!(text, ", {} asked", percent(target))?;
        }
        if self.gap_channels > 0 {
            write!(text, " ({} short)", counted(self.gap_channels, "channel"))?;
        }
        if let Some(seed) = self.seed {
            write!(text, ", seed {seed}")?;
        }
        Ok(text)
    }

    fn counts(&self) -> Table {
        let columns = ["before", "after", "change"].map(|heading| (heading, Column::Right));
        let mut table = Table::new(&[&[("", Column::Left)], &columns[..]].concat());
        let rows = [
            ("channels", self.before.channels, self.after.channels),
            ("params", self.before.params, self.after.params),
            ("macs", self.before.macs, self.after.macs),
            ("bytes", self.before.bytes, self.after.bytes),
        ];
        // A count that nobody gave says nothing.
        for (name, before, after) in rows.into_iter().filter(|(_, before, _)| *before > 0) {
            let change = after as f64 / before as f64 - 1.0;
            table.push([name.to_owned(), count(before), count(after), percent(change)]);
        }
        table
    }

    /// The shares of what the network cost before the first cut.
    fn budget(&self) -> Table {
        let columns = ["dense", "asked", "gone", "gap"].map(|heading| (heading, Column::Right));
        let mut table = Table::new(&[&[("", Column::Left)], &columns[..]].concat());
        for of in &self.budget {
            let dense = match of.measure {
                Measure::Latency => format!("{:.3} ms", of.dense),
                _ => count(of.dense as u64),
            };
            let shares = [of.asked, of.achieved, of.gap].map(|share| format!("{:.2} %", 100.0 * share));
            table.push([&[of.measure.name().to_owned(), dense], &shares[..]].concat());
        }
        table
    }

    /// The groups that were cut, with their scores where `limit` has room for these.
    fn cut_groups(&self, limit: Option<usize>) -> Table {
        let cut: Vec<_> = self.groups.iter().filter(|group| group.cut() > 0).collect();
        let mut columns: Vec<Shown> = vec![
            ("group", Column::Left, |group| group.group.to_string()),
            ("name", Column::Name, |group| group.name.clone()),
        ];
        if cut.iter().any(|group| group.size_before != group.initial_size) {
            columns.push(("initial", Column::Right, |group| group.initial_size.to_string()));
        }
        columns.push(("before", Column::Right, |group| group.size_before.to_string()));
        columns.push(("after", Column::Right, |group| group.size_after.to_string()));
        let narrow = filled(&columns, &cut);
        columns.push(("min", Column::Right, |group| summary(group, |scores| scores.min)));
        columns.push(("median", Column::Right, |group| summary(group, |scores| scores.median)));
        columns.push(("max", Column::Right, |group| summary(group, |scores| scores.max)));
        columns.push(("cut ≤", Column::Right, |group| group.threshold.map_or_else(|| "-".to_owned(), score)));
        let wide = filled(&columns, &cut);
        if limit.is_some_and(|limit| limit < wide.width()) { narrow } else { wide }
    }

    /// A row per reason: how many groups, and the names of the first.
    fn kept_groups(&self) -> Table {
        let mut by_reason: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for group in &self.groups {
            if let Some(reason) = &group.reason {
                by_reason.entry((reason.code(), in_short(reason))).or_default().push(&group.name);
            }
        }
        let columns = [("groups", Column::Right), ("reason", Column::Left), ("", Column::Note)];
        let mut table = Table::new(&columns);
        for ((_, reason), names) in by_reason {
            const SHOWN: usize = 3;
            let mut shown = names[..names.len().min(SHOWN)].join(", ");
            if names.len() > SHOWN {
                shown.push_str(", …");
            }
            table.push([names.len().to_string(), reason, shown]);
        }
        table
    }

    fn verified(&self) -> Option<String> {
        let verification = self.verification.as_ref()?;
        let finite = if verification.finite { "finite" } else { "NOT FINITE" };
        let text = format!("verified: the network runs, its outputs are {finite}");
        Some(match verification.max_abs_difference {
            Some(difference) => format!("{text}, at most {difference:.1e} from those of the masked network"),
            None => text,
        })
    }
}

/// A column of groups: its heading, how it stands, and what it shows.
type Shown = (&'static str, Column, fn(&GroupReport) -> String);

fn filled(columns: &[Shown], groups: &[&GroupReport]) -> Table {
    let mut table = Table::new(&columns.iter().map(|&(heading, column, _)| (heading, column)).collect::<Vec<_>>());
    for group in groups {
        table.push(columns.iter().map(|(_, _, cell)| cell(group)).collect::<Vec<_>>());
    }
    table
}

fn summary(group: &GroupReport, of: fn(&ScoreSummary) -> f64) -> String {
    group.scores.as_ref().map_or_else(|| "-".to_owned(), |scores| score(of(scores)))
}

/// A reason without what differs between groups that have it.
fn in_short(reason: &Reason) -> String {
    match reason {
        Reason::NonFiniteScore { .. } => "a score is not finite".to_owned(),
        Reason::Pinned { pin: Pin::Operation { op, .. } } => format!("pinned by {op}"),
        reason => reason.to_string(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
