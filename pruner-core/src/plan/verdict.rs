//! What became of a group in a step, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::deps::Pin;
use crate::ids::GroupId;

/// What became of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupVerdict {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Whether it was cut, or why not.
    pub verdict: Verdict,
    /// Its coordinates before the first cut.
    pub initial_size: usize,
    /// Its coordinates before this step.
    pub size_before: usize,
    /// Its coordinates after this step.
    pub size_after: usize,
    /// The coordinates that are kept, by their numbers before the first cut, ascending.
    pub kept: Vec<u32>,
    /// The scores before this step; `None` without finite scores.
    pub scores: Option<ScoreSummary>,
    /// The highest score that was cut; `None` where nothing was.
    pub threshold: Option<f64>,
}

/// The scores of a group in short.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreSummary {
    /// The lowest.
    pub min: f64,
    /// The one in the middle; of an even number the mean of the two.
    pub median: f64,
    /// The highest.
    pub max: f64,
}

impl ScoreSummary {
    /// Of scores in ascending order; `None` of none.
    pub(super) fn of_sorted(scores: &[f64]) -> Option<Self> {
        let (&min, &max) = (scores.first()?, scores.last()?);
        let (low, high) = (scores[(scores.len() - 1) / 2], scores[scores.len() / 2]);
        Some(Self { min, median: low.midpoint(high), max })
    }
}

/// Whether a group was cut, or why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Coordinates go.
    Cut {
        /// How many.
        count: usize,
    },
    /// Nothing goes.
    Kept(Reason),
}

impl Verdict {
    /// Why nothing goes; `None` if something does.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Cut { .. } => None,
            Self::Kept(reason) => Some(reason),
        }
    }
}

/// Why nothing of a group was cut in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
#[non_exhaustive]
pub enum Reason {
    /// It may never be cut.
    Pinned {
        /// Because of this.
        pin: Pin,
    },
    /// The user asked to leave it alone.
    Ignored {
        /// With this name.
        pattern: String,
    },
    /// No smaller size is a multiple of what `round_to` asks for, so that it can never be cut.
    NotDivisible {
        /// The number of coordinates of which a size must be a multiple.
        granularity: usize,
    },
    /// It has as few coordinates as `min_channels` and `round_to` allow.
    AtMinimum,
    /// It has lost as much as `max_ratio` and `round_to` allow.
    AtMaxRatio,
    /// What is asked so far is less than what can be cut at once; it is carried to later steps.
    Rounding {
        /// How many coordinates are cut at least.
        smallest_cut: usize,
    },
    /// As much as is asked so far is gone already.
    TargetReached,
    /// Coordinates of other groups have lower scores.
    RankedHigher,
    /// The criterion gave no scores.
    NoScore,
    /// A score is not a finite number.
    NonFiniteScore {
        /// The first such coordinate, by its number before the first cut.
        coordinate: u32,
    },
    /// The plan was edited so that the group is left alone.
    Edited,
}

impl Reason {
    /// A short name of it; of a pin the name of its cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pinned { pin: Pin::GraphInput } => "graph-input",
            Self::Pinned { pin: Pin::GraphOutput } => "graph-output",
            Self::Pinned { pin: Pin::UnknownOp { .. } } => "unknown-op",
            Self::Pinned { pin: Pin::UnsupportedForm { .. } } => "unsupported-form",
            Self::Pinned { pin: Pin::NoRefinement { .. } } => "no-refinement",
            Self::Pinned { .. } => "pinned",
            Self::Ignored { .. } => "ignored",
            Self::NotDivisible { .. } => "not-divisible",
            Self::AtMinimum => "at-minimum",
            Self::AtMaxRatio => "at-max-ratio",
            Self::Rounding { .. } => "rounding",
            Self::TargetReached => "target-reached",
            Self::RankedHigher => "ranked-higher",
            Self::NoScore => "no-score",
            Self::NonFiniteScore { .. } => "non-finite-score",
            Self::Edited => "edited",
        }
    }

    /// Whether the group takes no part in any step, whatever is asked.
    pub fn is_excluded(&self) -> bool {
        matches!(self, Self::Pinned { .. } | Self::Ignored { .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { pin } => write!(f, "{pin}"),
            Self::Ignored { pattern } => write!(f, "ignored by `{pattern}`"),
            Self::NotDivisible { granularity } => write!(f, "no smaller multiple of {granularity}"),
            Self::AtMinimum => f.write_str("at the minimum size"),
            Self::AtMaxRatio => f.write_str("at the maximum ratio"),
            Self::Rounding { smallest_cut: 1 } => f.write_str("rounding (less than one channel is asked)"),
            Self::Rounding { smallest_cut } => write!(f, "rounding (a cut takes at least {smallest_cut} channels)"),
            Self::TargetReached => f.write_str("target reached"),
            Self::RankedHigher => f.write_str("others scored lower"),
            Self::NoScore => f.write_str("no score"),
            Self::NonFiniteScore { coordinate } => write!(
                f,
                "score of coordinate {coordinate} is not finite: neither is a weight, a gradient or a sample that it is computed from"
            ),
            Self::Edited => f.write_str("kept by an edit of the plan"),
        }
    }
}
