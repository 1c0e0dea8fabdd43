//! Overrides: limits that some groups have in place of those of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Limits, LimitsError, Scope};

/// Limits of some groups in place of those of the run; what is not set is as it is for the others.
///
/// It serves ratios by layer, and scopes by hand: with `scope = "global"` its groups rank among themselves and with no others.
/// Of several overrides that name a group the first holds for it, whole: what that one does not set is as in the run. So an override
/// that sets nothing makes an exception of later ones. [`Limits::ignore`] goes before all of them.
#[derive(Clone, Debug, Default, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The groups that it holds for, named as in [`Limits::ignore`]; at least one name, and each names something.
    #[schemars(length(min = 1))]
    pub groups: Vec<String>,
    /// The share, in [0, 1), of the coordinates before the first cut that is gone at the end of the run; a budget
    /// changes the ratio of the run alone. Default: that of the run.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub target_ratio: Option<f64>,
    /// Which of the groups lose that share together: each by itself, all that the override holds for, or those of them that are made
    /// alike. Default: with a ratio [`Scope::Local`], so that each group has that ratio; without, they stay in the scope of the run and
    /// rank there with the others.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// The coordinates that each of the groups keeps at least, at least 1. Default: as many as in the run.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub min_channels: Option<usize>,
    /// The share, in [0, 1], of the coordinates of each group before the first cut that may go at most. Default: that of the run.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_ratio: Option<f64>,
    /// Dimensions that are cut stay multiples of this; at least 1. Default: that of the run.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub round_to: Option<usize>,
}

impl Override {
    /// An override that sets nothing, of the groups with these names.
    pub fn new(groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { groups: groups.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Sets [`target_ratio`](Self::target_ratio).
    #[must_use]
    pub fn with_target_ratio(self, target_ratio: f64) -> Self {
        Self { target_ratio: Some(target_ratio), ..self }
    }

    /// Sets [`scope`](Self::scope).
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Sets [`min_channels`](Self::min_channels).
    #[must_use]
    pub fn with_min_channels(self, min_channels: usize) -> Self {
        Self { min_channels: Some(min_channels), ..self }
    }

    /// Sets [`max_ratio`](Self::max_ratio).
    #[must_use]
    pub fn with_max_ratio(self, max_ratio: f64) -> Self {
        Self { max_ratio: Some(max_ratio), ..self }
    }

    /// Sets [`round_to`](Self::round_to).
    #[must_use]
    pub fn with_round_to(self, round_to: usize) -> Self {
        Self { round_to: Some(round_to), ..self }
    }

    /// Checks the numbers; names are checked against groups where they are used.
    pub fn validate(&self) -> Result<(), LimitsError> {
        if self.groups.is_empty() {
            return Err(LimitsError::NoGroups);
        }
        self.over(&Limits::default()).validate()
    }

    /// The scope that its groups have to themselves; `None` where they rank in that of the run.
    pub(super) fn own_scope(&self) -> Option<Scope> {
        self.scope.or(self.target_ratio.map(|_| Scope::Local))
    }

    /// The limits of its groups in a run with `limits`.
    pub(super) fn over(&self, limits: &Limits) -> Limits {
        Limits {
            target_ratio: self.target_ratio.unwrap_or(limits.target_ratio),
            scope: self.own_scope().unwrap_or(limits.scope),
            min_channels: self.min_channels.unwrap_or(limits.min_channels),
            max_ratio: self.max_ratio.unwrap_or(limits.max_ratio),
            round_to: self.round_to.unwrap_or(limits.round_to),
            ignore: Vec::new(),
            overrides: Vec::new(),
        }
    }
}
