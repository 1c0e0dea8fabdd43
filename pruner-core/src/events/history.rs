//! What the events of a run add up to.

use serde::{Deserialize, Serialize};

use super::{Cost, Event, Stage, Stop};
use crate::report::{Counts, GroupReport, Outcome, StepReport};

/// The events of a run, in the order in which they happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History {
    events: Vec<Event>,
}

/// A step with what followed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// The number of the step.
    pub step: usize,
    /// What happened in it; `None` of a step that is not made yet.
    pub outcome: Option<Outcome>,
    /// What is left of the network.
    pub counts: Counts,
    /// The share of the channels that is gone.
    pub achieved: f64,
    /// The quality after the cut, before any training.
    pub quality_after_cut: Option<f64>,
    /// The quality after the training.
    pub quality_after_training: Option<f64>,
    /// The epochs of training after it.
    pub epochs: usize,
    /// The epochs of training that were skipped.
    pub epochs_skipped: usize,
    /// What the training cost.
    pub cost: Cost,
    /// Whether it was taken back.
    pub reverted: bool,
}

/// What a group measured before the first step and measures now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Width {
    /// The name of the group.
    pub name: String,
    /// The dimensions that are cut with it, such as `conv1.weight:0`.
    pub members: Vec<String>,
    /// The coordinates before the first step.
    pub before: usize,
    /// The coordinates that are left.
    pub after: usize,
}

/// A run in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// The steps that were made, those that were taken back too.
    pub steps: usize,
    /// Those that pruned something.
    pub steps_pruned: usize,
    /// Those that were taken back.
    pub steps_reverted: usize,
    /// The epochs of training, those after the last step too.
    pub epochs: usize,
    /// The epochs that were skipped because there was nothing to recover from.
    pub epochs_skipped: usize,
    /// What training cost.
    pub cost: Cost,
    /// What training would have cost beside that, had no epoch been skipped: as much for each as the last epoch before it, or the first of
    /// the run where none was before; 0 where none was trained.
    pub saved: Cost,
    /// What scoring, planning and cutting took, in seconds.
    pub pruning_seconds: f64,
    /// What judging took, in seconds.
    pub evaluation_seconds: f64,
    /// The quality before the first step.
    pub quality_before: Option<f64>,
    /// The quality of the network as it is.
    pub quality_after: Option<f64>,
    /// The network before the first step.
    pub before: Counts,
    /// What is left of it.
    pub after: Counts,
    /// Why the run is over; `None` if it is not.
    pub stop: Option<Stop>,
}

impl History {
    /// A history of these events.
    pub fn new(events: Vec<Event>) -> Self {
        Self { events }
    }

    /// The events.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// What evaluations measure; empty before the run began.
    pub fn measure(&self) -> &str {
        let measure = self.events.iter().find_map(|event| match event {
            Event::Started { measure, .. } => Some(measure.as_str()),
            _ => None,
        });
        measure.unwrap_or_default()
    }

    /// The reports of all steps, those that were taken back too.
    pub fn reports(&self) -> impl DoubleEndedIterator<Item = &StepReport> {
        self.events.iter().filter_map(|event| match event {
            Event::Applied { report } => Some(report.as_ref()),
            _ => None,
        })
    }

    /// What the epochs after the last step cost.
    pub fn final_cost(&self) -> Cost {
        let mut all = Cost::default();
        for event in &self.events {
            if let Event::Trained { is_final: true, cost, .. } = event {
                all += *cost;
            }
        }
        all
    }

    /// Every step with what followed it, in the order in which they were made; the epochs after the last are not of it.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for event in &self.events {
            if let Event::Applied { report } = event {
                rows.push(Row {
                    step: report.step,
                    outcome: Some(report.outcome.clone()),
                    counts: report.after,
                    achieved: report.achieved,
                    ..Row::default()
                });
                continue;
            }
            let Some(row) = rows.last_mut() else { continue };
            match event {
                Event::Skipped { epochs, .. } => row.epochs_skipped = row.epochs_skipped.saturating_add(*epochs),
                Event::Trained { is_final: false, cost, .. } => {
                    row.epochs += 1;
                    row.cost += *cost;
                }
                Event::Evaluated { stage: Stage::AfterCut, quality, .. } => row.quality_after_cut = Some(*quality),
                Event::Evaluated { stage: Stage::AfterTraining, quality, .. } => {
                    row.quality_after_training = Some(*quality);
                }
                Event::Reverted { .. } => row.reverted = true,
                _ => {}
            }
        }
        rows
    }

    /// What every group measured before the first step and measures now, steps that were taken back left out; pinned groups
    /// too. Empty before a step was made.
    pub fn widths(&self) -> Vec<Width> {
        let standing =
            self.reports().zip(self.rows()).filter(|(_, row)| !row.reverted).map(|(report, _)| report).last();
        let all_reverted = standing.is_none();
        let Some(report) = standing.or_else(|| self.reports().next()) else { return Vec::new() };
        let width = |group: &GroupReport| Width {
            name: group.name.clone(),
            members: group.members.clone(),
            before: group.initial_size,
            after: if all_reverted { group.initial_size } else { group.size_after },
        };
        report.groups.iter().map(width).collect()
    }

    /// The run in numbers.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        // The quality after the last step that stands.
        let mut standing = None;
        for event in &self.events {
            match event {
                Event::Started { counts, .. } => (summary.before, summary.after) = (*counts, *counts),
                Event::Planned { seconds, .. } => {
                    standing = summary.quality_after;
                    summary.pruning_seconds += seconds;
                }
                Event::Applied { report } => {
                    summary.steps += 1;
                    summary.steps_pruned += usize::from(report.pruned());
                    summary.pruning_seconds += report.seconds.apply;
                    // Channels of a report are those of the groups that may be cut, of a run those of all.
                    let gone = report.before.channels.saturating_sub(report.after.channels);
                    let channels = summary.after.channels.saturating_sub(gone);
                    summary.after = Counts { channels, ..report.after };
                }
                Event::Skipped { epochs, .. } => {
                    summary.epochs_skipped = summary.epochs_skipped.saturating_add(*epochs);
                }
                Event::Trained { cost, .. } => {
                    summary.epochs += 1;
                    summary.cost += *cost;
                }
                Event::Evaluated { stage, quality, seconds, .. } => {
                    summary.evaluation_seconds += seconds;
                    summary.quality_after = Some(*quality);
                    if *stage == Stage::Dense {
                        (summary.quality_before, standing) = (Some(*quality), Some(*quality));
                    }
                }
                Event::Reverted { counts, .. } => {
                    summary.quality_after = standing;
                    summary.steps_reverted += 1;
                    summary.after = *counts;
                }
                Event::Stopped { reason, counts, .. } => (summary.stop, summary.after) = (Some(*reason), *counts),
                Event::Resumed { .. } | Event::StrideChanged { .. } => {}
            }
        }
        summary.saved = self.saved();
        summary
    }

    /// What the skipped epochs would have cost: as much as the last epoch before each, which trained the same network, or the first of the
    /// run where none was before.
    fn saved(&self) -> Cost {
        let cost = |event: &Event| match event {
            Event::Trained { cost, .. } => Some(*cost),
            _ => None,
        };
        let Some(mut last) = self.events.iter().find_map(cost) else { return Cost::default() };
        let mut saved = Cost::default();
        for event in &self.events {
            match event {
                Event::Trained { cost, .. } => last = *cost,
                Event::Skipped { epochs, .. } => saved += last.times(*epochs),
                _ => {}
            }
        }
        saved
    }
}
