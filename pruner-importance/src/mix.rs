//! `mix`: several criteria together.

use pruner_core::deps::Group;
use pruner_core::importance::{Importance, ImportanceError, SignalSet, Weights, deserialize_importance};
use pruner_core::register_importance;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tch::Tensor;

use crate::{Fpgm, Magnitude, Normalizer};

register_importance!("mix", "a weighted sum of other criteria, each normalised", Mix);

/// The score of a coordinate is `Σ a·n(s) / Σ a` over other criteria: s their scores of its group, n the normaliser and a their
/// parts. A criterion that has nothing to say of a group is left out there; a group of which none has has no score. It has no
/// unit, since every normaliser but `none` takes that of the criteria away; with `none` they are to have one unit, which it then has.
///
/// In TOML: `importance = { importance = "mix", parts = [{ of = "magnitude" }, { of = { importance = "taylor" }, part = 2 }] }`.
///
/// Source: the mixed saliency of Chen et al., *HESSO* (arXiv 2409.09085).
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// The criteria with their parts, one at least. Default: magnitude and fpgm, equal parts.
    #[serde(deserialize_with = "parts")]
    #[schemars(length(min = 1))]
    pub parts: Vec<Part>,
    /// How the scores that each criterion has for a group are scaled before they are added. Default: mean.
    pub normalizer: Normalizer,
}

/// A criterion of a [`Mix`].
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The criterion.
    #[serde(deserialize_with = "deserialize_importance")]
    pub of: Box<dyn Importance>,
    /// How much it counts, above 0. Default: 1.
    #[serde(default = "one")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub part: f64,
}

fn one() -> f64 {
    1.0
}

fn parts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    let parts = Vec::deserialize(deserializer)?;
    check(&parts).map_err(D::Error::custom)?;
    Ok(parts)
}

/// That there are criteria, and that each counts.
fn check(parts: &[Part]) -> Result<(), String> {
    if parts.is_empty() {
        return Err("parts is empty; name at least one criterion with its part".to_owned());
    }
    match parts.iter().position(|Part { part, .. }| !(part.is_finite() && *part > 0.0)) {
        Some(index) => Err(format!("parts[{index}].part is {}; give a number above 0", parts[index].part)),
        None => Ok(()),
    }
}

impl Mix {
    /// A mix of nothing yet.
    pub fn new() -> Self {
        Self { parts: Vec::new(), normalizer: Normalizer::Mean }
    }

    /// With another criterion, of which `part` counts.
    #[must_use]
    pub fn with(mut self, of: impl Importance + 'static, part: f64) -> Self {
        self.parts.push(Part { of: Box::new(of), part });
        self
    }

    /// With another normaliser.
    #[must_use]
    pub fn with_normalizer(mut self, normalizer: Normalizer) -> Self {
        self.normalizer = normalizer;
        self
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self::new().with(Magnitude::default(), 1.0).with(Fpgm::default(), 1.0)
    }
}

#[typetag::serde(name = "mix")]
impl Importance for Mix {
    fn needs(&self) -> SignalSet {
        self.parts.iter().fold(SignalSet::empty(), |needs, part| needs | part.of.needs())
    }

    fn compensates(&self) -> bool {
        self.parts.iter().any(|part| part.of.compensates())
    }

    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError> {
        check(&self.parts).map_err(|what| ImportanceError::Other(what.into()))?;
        let (mut sum, mut whole): (Option<Tensor>, f64) = (None, 0.0);
        for Part { of, part } in &self.parts {
            let Some(score) = of.score(group, weights)? else { continue };
            let score = self.normalizer.apply(&score)?.f_mul_scalar(*part)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&score)?,
                None => score,
            });
            whole += part;
        }
        Ok(sum.map(|sum| sum.f_div_scalar(whole)).transpose()?)
    }
}
