//! What should be looked at after a step.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::GroupReport;
use crate::ids::{GroupId, NodeId};
use crate::plan::Reason;

/// Something that is no error and that should be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Alarm {
    /// A step left a tenth of a group or less.
    NearlyEmpty {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// What is left.
        size_after: usize,
        /// What it had before the first cut.
        initial_size: usize,
    },
    /// All coordinates of a group have the same score, so that their order is that of their numbers.
    EqualScores {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
    },
    /// A statistic over the group is taken over what is left, so that the network is not the masked one.
    Inexact {
        /// The group.
        group: GroupId,
        /// Its name.
        name: String,
        /// The node that takes the statistic.
        node: NodeId,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NearlyEmpty { group, name, size_after, initial_size } => {
                write!(f, "{group} ({name}) is nearly empty: {size_after} of {initial_size} channels are left")
            }
            Self::EqualScores { group, name } => {
                write!(f, "{group} ({name}) has the same score for every channel: the criterion tells nothing about it")
            }
            Self::Inexact { group, name, node } => {
                write!(
                    f,
                    "{group} ({name}) was cut under a statistic taken at {node}: outputs change beyond the cut channels"
                )
            }
        }
    }
}

pub(super) fn alarms(groups: &[GroupReport]) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for report in groups {
        let (group, name) = (report.group, || report.name.clone());
        let (size_after, initial_size) = (report.size_after, report.initial_size);
        if report.cut() > 0 && size_after * 10 <= initial_size {
            alarms.push(Alarm::NearlyEmpty { group, name: name(), size_after, initial_size });
        }
        let takes_part = !report.reason.as_ref().is_some_and(Reason::is_excluded);
        #[expect(clippy::float_cmp, reason = "equal is what is asked")]
        let equal = report.scores.is_some_and(|scores| scores.min == scores.max);
        if takes_part && equal && report.size_before > 1 {
            alarms.push(Alarm::EqualScores { group, name: name() });
        }
        if let Some(node) = report.inexact.filter(|_| report.cut() > 0) {
            alarms.push(Alarm::Inexact { group, name: name(), node });
        }
    }
    alarms
}
