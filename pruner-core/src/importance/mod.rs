//! Importance criteria: one score per coordinate of a group; the lowest goes first.
//!
//! A criterion is a plugin ([`registry`]): a type that implements [`Importance`]. What most have in common stands in
//! [`slices`]: the elements of a stored tensor folded to one number per coordinate.

pub mod signals;
pub mod slices;
pub mod weights;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use dyn_clone::DynClone;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tch::{Kind as ElementKind, TchError, Tensor};

use crate::aten::AtenError;
use crate::deps::Group;
use crate::registry::{self, Kind, PluginTrait, RegistryError};

pub use crate::aten::{Fold, Form};
pub use signals::{Activation, Signal, SignalSet, Signals};
pub use weights::Weights;

/// Scores the coordinates of a group.
///
/// Implemented and registered by plugins, see [`registry`].
///
/// # Contract
///
/// [`score`](Importance::score) gives one single-precision number per coordinate of the group, in their order and on the
/// device of its tensors. The same weights, gradients and seed give the same scores. Scores are finite where weights
/// and gradients are; NaN is passed on, since selection reports it. A criterion reads no element back to the host, so
/// that a device is not waited for. [`score()`] checks the form of what is given.
#[typetag::serde(tag = "importance")]
pub trait Importance: fmt::Debug + Send + Sync + DynClone {
    /// What a score is computed from besides the weights.
    fn needs(&self) -> SignalSet {
        SignalSet::empty()
    }

    /// Whether the biases of the layers that read a coordinate are to make up for its mean when it goes, see
    /// [`Settings::compensate`](crate::pruner::Settings::compensate).
    fn compensates(&self) -> bool {
        false
    }

    /// Whether scores have one unit in all groups and add up, as changes of the loss do, so that a budget may divide them by what coordinates
    /// cost. Scores that are scaled by group, or divided by costs already, have not.
    fn is_additive(&self) -> bool {
        false
    }

    /// The score of each coordinate, of shape `[group.size()]`; `None` if it has nothing to say of this group.
    fn score(&self, group: &dyn Group, weights: &Weights) -> Result<Option<Tensor>, ImportanceError>;
}

dyn_clone::clone_trait_object!(Importance);

registry::inventory::submit!(PluginTrait::new::<dyn Importance>(Kind::Importance));

impl JsonSchema for dyn Importance {
    fn schema_name() -> Cow<'static, str> {
        "Importance".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        registry::schema(Kind::Importance, generator)
    }
}

/// `importance.score(group, weights)`, if it has one single-precision number per coordinate.
pub fn score(
    importance: &dyn Importance,
    group: &dyn Group,
    weights: &Weights,
) -> Result<Option<Tensor>, ImportanceError> {
    let checked = |score: Option<Tensor>| {
        let Some(score) = score else { return Ok(None) };
        let kind = score.f_kind()?;
        if score.size() != [group.size() as i64] || kind != ElementKind::Float {
            return Err(ImportanceError::Score { shape: score.size(), kind, size: group.size() });
        }
        Ok(Some(score))
    };
    importance.score(group, weights).and_then(checked).map_err(|source| ImportanceError::Group {
        importance: importance.typetag_name().to_owned(),
        group: group.name().to_owned(),
        source: Box::new(source),
    })
}

/// The criterion `name` with the fields of `options`, an object or null; what is left out has its default.
pub fn importance_from(name: &str, options: Value) -> Result<Box<dyn Importance>, RegistryError> {
    registry::read(Kind::Importance, name, options)
}

/// The criterion that a config names: `"taylor"`, or `{"importance": "magnitude", "p": 1}`.
pub fn importance_from_config(config: Value) -> Result<Box<dyn Importance>, RegistryError> {
    registry::read_config(Kind::Importance, config)
}

/// [`importance_from_config`] for a field of a config:
/// `#[serde(deserialize_with = "pruner_core::importance::deserialize_importance")]`.
///
/// A field without it reads too; this one allows the bare name and has the better messages.
pub fn deserialize_importance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<dyn Importance>, D::Error> {
    importance_from_config(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Why a group cannot be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportanceError {
    /// Scoring a group failed.
    #[error("importance `{importance}` on group `{group}`: {source}")]
    Group {
        /// The criterion.
        importance: String,
        /// The group.
        group: String,
        /// What is wrong.
        source: Box<ImportanceError>,
    },
    /// No tensor is stored for a member.
    #[error("there is no tensor for `{name}`; the weights were collected from another network than the groups")]
    NoTensor {
        /// The member.
        name: String,
    },
    /// No tensor has a gradient.
    #[error("no parameter has a gradient; call `backward` on a loss before the step, and clear gradients after it")]
    NoGradients,
    /// A signal was not gathered.
    #[error("{signal:?} was not gathered; give calibration batches to `GroupPruner::gather` before the step")]
    NotGathered {
        /// The signal.
        signal: Signal,
    },
    /// A signal is of the network before a cut.
    #[error("{signal:?} of `{name}` has shape {found:?} where {expected:?} is left; gather it anew after a cut")]
    Stale {
        /// The signal.
        signal: Signal,
        /// The parameter or group.
        name: String,
        /// The shape that it has.
        found: Vec<i64>,
        /// The shape that is expected.
        expected: Vec<i64>,
    },
    /// The elements of a parameter are not real floating-point numbers.
    #[error("`{name}` has elements of type {kind:?}; a score is computed from real floating-point numbers")]
    NotFloat {
        /// The parameter.
        name: String,
        /// The type of its elements.
        kind: ElementKind,
    },
    /// A tensor has not the shape that the group says.
    #[error("`{name}` has shape {shape:?}, but the group has {expected} positions in dimension {dim}")]
    Shape {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// The dimension of the member.
        dim: usize,
        /// The positions that the member has there.
        expected: usize,
    },
    /// A gradient has not the shape of its parameter.
    #[error("the gradient of {value} has shape {gradient:?} and its parameter {shape:?}; compute it anew")]
    GradientShape {
        /// The parameter.
        value: crate::ids::ValueId,
        /// The shape of the gradient.
        gradient: Vec<i64>,
        /// The shape of the parameter.
        shape: Vec<i64>,
    },
    /// The layout of a member names a coordinate that the group has not.
    #[error("`{name}` names coordinate {coordinate} of a group of {size}")]
    Layout {
        /// The parameter.
        name: String,
        /// The coordinate.
        coordinate: u32,
        /// The size of the group.
        size: usize,
    },
    /// A fold does not give one number per position.
    #[error("the fold over `{name}` gives shape {found:?}, not [{expected}]")]
    Fold {
        /// The parameter.
        name: String,
        /// The shape that it gives.
        found: Vec<i64>,
        /// The numbers that it should give.
        expected: usize,
    },
    /// A criterion does not give one number per coordinate.
    #[error("the score has shape {shape:?} and elements of type {kind:?}; it must be [{size}] of Float")]
    Score {
        /// The shape that it gives.
        shape: Vec<i64>,
        /// The type of its elements.
        kind: ElementKind,
        /// The size of the group.
        size: usize,
    },
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A tensor could not be folded.
    #[error("libtorch: {0}")]
    Aten(#[from] AtenError),
    /// A criterion has an error of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn Error + Send + Sync>),
}
