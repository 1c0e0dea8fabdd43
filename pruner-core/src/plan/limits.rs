//! How much is to be cut, and what no step may go below.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Override;

/// How much of the groups is to be cut by the end of a run, and the limits that hold at every step of it.
#[derive(Clone, Debug, PartialEq, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The share, in [0, 1), of the coordinates before the first cut that is gone at the end of the run. Default: 0.5.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub target_ratio: f64,
    /// What the target ratio is a share of. Default: [`Scope::Local`].
    pub scope: Scope,
    /// The coordinates that every group keeps at least, at least 1. Default: 1.
    #[schemars(range(min = 1))]
    pub min_channels: usize,
    /// The share, in [0, 1], of the coordinates of a group before the first cut that may go at most. Default: 1.0.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_ratio: f64,
    /// Dimensions that are cut stay multiples of this; at least 1. A dimension that is no multiple of it is legal as long as it
    /// is not cut; a cut goes to a multiple below. Where the coordinates of a group have unequal numbers of positions in a dimension,
    /// the number of coordinates is kept a multiple instead. Where several groups make up a dimension, as in a concatenation, it
    /// holds of the part of each; where they multiply to it, as the groups of a convolution and the channels of each do, the inner
    /// ones are cut to multiples as if there were one of the outer, and all to what is asked for any of them. Default: 1.
    #[schemars(range(min = 1))]
    pub round_to: usize,
    /// What is left alone: the names of parameters (`conv1.weight`) or of layers (`conv1`, with all that is below), with `*`, `?` and
    /// `[…]` as in file names, for all dimensions, for one (`conv1.weight:0`), or for one side: `conv1:in` what the layer sums over,
    /// `conv1:out` what it makes, its bias and what a norm scales among it. A group is left alone when one of its members is named.
    /// Groups go by the names that reports have for them, too, and by their ids (`g3`) where no layer is called so. A layer named whole keeps its input side too, and with it the outputs of what feeds it. `@heads`, `@head-dims` and `@channels`
    /// name groups by their [`Role`](crate::deps::Role): where `@head-dims` are ignored, whole heads go and no part of one.
    /// Default: none.
    pub ignore: Vec<String>,
    /// What holds for some groups in place of the above; of several that name a group the first. Default: none.
    pub overrides: Vec<Override>,
}

/// What a ratio is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Each group loses that share of its own coordinates.
    #[default]
    Local,
    /// All groups together lose that share of their coordinates, those of the lowest scores first.
    Global,
    /// The groups that are made alike lose that share together: those whose members are read by the same operations in the same
    /// dimensions, whatever their sizes. So hidden units are ranked with hidden units and heads with heads. Source: Fang et al.,
    /// *Isomorphic Pruning for Vision Models* (arXiv 2407.04616).
    Isomorphic,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Local, Self::Global, Self::Isomorphic];
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            target_ratio: 0.5,
            scope: Scope::Local,
            min_channels: 1,
            max_ratio: 1.0,
            round_to: 1,
            ignore: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

impl Limits {
    /// The limits that there are by default, for a target ratio.
    pub fn new(target_ratio: f64) -> Self {
        Self { target_ratio, ..Self::default() }
    }

    /// Sets [`target_ratio`](Self::target_ratio).
    #[must_use]
    pub fn with_target_ratio(self, target_ratio: f64) -> Self {
        Self { target_ratio, ..self }
    }

    /// Sets [`scope`](Self::scope).
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Sets [`min_channels`](Self::min_channels).
    #[must_use]
    pub fn with_min_channels(self, min_channels: usize) -> Self {
        Self { min_channels, ..self }
    }

    /// Sets [`max_ratio`](Self::max_ratio).
    #[must_use]
    pub fn with_max_ratio(self, max_ratio: f64) -> Self {
        Self { max_ratio, ..self }
    }

    /// Sets [`round_to`](Self::round_to).
    #[must_use]
    pub fn with_round_to(self, round_to: usize) -> Self {
        Self { round_to, ..self }
    }

    /// Adds a name or glob to [`ignore`](Self::ignore).
    #[must_use]
    pub fn with_ignored(mut self, pattern: impl Into<String>) -> Self {
        self.ignore.push(pattern.into());
        self
    }

    /// Adds an override to [`overrides`](Self::overrides), after those that are there.
    #[must_use]
    pub fn with_override(mut self, of: Override) -> Self {
        self.overrides.push(of);
        self
    }

    /// Checks the numbers; names are checked against groups where they are used.
    pub fn validate(&self) -> Result<(), LimitsError> {
        if !(0.0..1.0).contains(&self.target_ratio) {
            return Err(LimitsError::TargetRatio(self.target_ratio));
        }
        if !(0.0..=1.0).contains(&self.max_ratio) {
            return Err(LimitsError::MaxRatio(self.max_ratio));
        }
        if self.min_channels == 0 {
            return Err(LimitsError::MinChannels);
        }
        if self.round_to == 0 {
            return Err(LimitsError::RoundTo);
        }
        for (index, of) in self.overrides.iter().enumerate() {
            of.validate().map_err(|error| error.of_override(index))?;
        }
        Ok(())
    }
}

/// Why limits make no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitsError {
    /// The target ratio is no share.
    #[error("target_ratio is {0}; it is a share of the channels to remove, at least 0 and less than 1")]
    TargetRatio(f64),
    /// The highest ratio is no share.
    #[error("max_ratio is {0}; it is a share of the channels of a group, at least 0 and at most 1")]
    MaxRatio(f64),
    /// A group may be emptied.
    #[error("min_channels is 0; a layer keeps at least 1")]
    MinChannels,
    /// Sizes are to be multiples of nothing.
    #[error("round_to is 0; use 1 for no rounding")]
    RoundTo,
    /// An override is of no groups.
    #[error("groups is empty; name the groups that it holds for, such as `conv1` or `@heads`")]
    NoGroups,
    /// A name is no glob.
    #[error("{list}: `{pattern}` is no name or glob: {problem}")]
    Glob {
        /// The list that it is in, `ignore` or `groups`.
        list: &'static str,
        /// The name as written.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A name is that of nothing.
    #[error("{list}: `{pattern}` matches no {sought}; {}", suggestion(.nearest.as_deref(), .known))]
    Unmatched {
        /// The list that it is in, `ignore` or `groups`.
        list: &'static str,
        /// The name as written.
        pattern: String,
        /// What it is sought among.
        sought: &'static str,
        /// The most similar name that there is, where one is similar.
        nearest: Option<String>,
        /// Names that there are.
        known: Vec<String>,
    },
    /// An override makes no sense.
    #[error("overrides[{index}]: {problem}")]
    Override {
        /// Which one, counted from 0.
        index: usize,
        /// Why.
        problem: Box<LimitsError>,
    },
}

impl LimitsError {
    pub(super) fn of_override(self, index: usize) -> Self {
        Self::Override { index, problem: Box::new(self) }
    }
}

/// The name that was probably meant, or a few that there are.
fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    const FEW: usize = 4;
    let few = known.iter().take(FEW).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (nearest, known.len()) {
        (Some(nearest), _) => format!("did you mean `{nearest}`?"),
        (None, 0) => "there are no groups".to_owned(),
        (None, 1..=FEW) => format!("there are {few}"),
        (None, all) => format!("there are {few} and {} more", all - FEW),
    }
}
