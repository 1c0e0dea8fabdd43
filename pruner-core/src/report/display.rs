//! The report as a person reads it.

use std::collections::BTreeMap;
use std::fmt;

use super::table::{Table, count, percent, score};
use super::{GroupReport, Outcome, StepReport};
use crate::plan::{Reason, ScoreSummary};

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
        self.write_header(f)?;
        write!(f, "{}", self.counts())?;
        let cut = self.cut_groups();
        if cut.has_rows() {
            write!(f, "cut:\n{cut}")?;
        }
        let kept = self.kept_groups();
        if kept.has_rows() {
            write!(f, "not cut:\n{kept}")?;
        }
        for alarm in &self.alarms {
            writeln!(f, "alarm: {alarm}")?;
        }
        self.write_verification(f)?;
        write!(f, "seconds: {:.3}", self.seconds.total())?;
        let seconds = &self.seconds;
        writeln!(f, " (score {:.3}, plan {:.3}, apply {:.3})", seconds.score, seconds.plan, seconds.apply)?;
        match self.stop {
            Some(stop) => write!(f, "the run is over: {stop}"),
            None if self.pruned() => f.write_str("the run goes on"),
            None => f.write_str("the run goes on; there is nothing to train for before the next step"),
        }
    }
}

impl StepReport {
    fn write_header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of {}: {}", self.step, self.steps, self.outcome)?;
        if self.pruned() {
            let groups = self.groups.iter().filter(|group| group.cut() > 0).count();
            let channels: usize = self.groups.iter().map(GroupReport::cut).sum();
            write!(f, " {} from {}", counted(channels, "channel"), counted(groups, "group"))?;
        }
        write!(f, "; {} of all channels are gone, {} asked", percent(self.achieved), percent(self.target))?;
        if self.gap_channels > 0 {
            write!(f, " ({} short)", counted(self.gap_channels, "channel"))?;
        }
        match self.seed {
            Some(seed) => writeln!(f, ", seed {seed}"),
            None => writeln!(f),
        }
    }

    fn counts(&self) -> Table {
        let mut table = Table::new(1, &["", "before", "after", "change"]);
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

    fn cut_groups(&self) -> Table {
        let header = ["group", "name", "initial", "before", "after", "min", "median", "max", "cut up to"];
        let mut table = Table::new(2, &header);
        for group in self.groups.iter().filter(|group| group.cut() > 0) {
            let summary = |of: fn(&ScoreSummary) -> f64| {
                group.scores.as_ref().map_or_else(|| "-".to_owned(), |scores| score(of(scores)))
            };
            table.push([
                group.group.to_string(),
                group.name.clone(),
                group.initial_size.to_string(),
                group.size_before.to_string(),
                group.size_after.to_string(),
                summary(|scores| scores.min),
                summary(|scores| scores.median),
                summary(|scores| scores.max),
                group.threshold.map_or_else(|| "-".to_owned(), score),
            ]);
        }
        table
    }

    /// A row per reason: how many groups, and the names of the first.
    fn kept_groups(&self) -> Table {
        let mut by_reason: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for group in &self.groups {
            if let Some(reason) = &group.reason {
                by_reason.entry((reason.code(), in_short(reason))).or_default().push(&group.name);
            }
        }
        let mut table = Table::new(3, &["groups", "reason", ""]);
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

    fn write_verification(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(verification) = &self.verification else { return Ok(()) };
        f.write_str("verified: the network runs, its outputs are ")?;
        f.write_str(if verification.finite { "finite" } else { "NOT FINITE" })?;
        match verification.max_abs_difference {
            Some(difference) => writeln!(f, ", at most {difference:.1e} from those of the masked network"),
            None => writeln!(f),
        }
    }
}

/// A reason without what differs between groups that have it.
fn in_short(reason: &Reason) -> String {
    match reason {
        Reason::NonFiniteScore { .. } => "a score is not finite".to_owned(),
        reason => reason.to_string(),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
