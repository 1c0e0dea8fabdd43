//! Regularisers: penalties that training adds to the loss, so that what is to be cut is small before it goes.
//!
//! A regulariser is a plugin ([`registry`]): a type that implements [`Regularizer`]. It acts between the backward pass and the
//! step of the optimiser, on the gradients themselves:
//!
//! ```text
//! optimizer.zero_grad();
//! backward(&loss)?;
//! pruner.regularize(&module, regularizer.as_mut())?;
//! optimizer.step()?;
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use dyn_clone::DynClone;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tch::{TchError, Tensor};

use crate::aten::{self, AtenError};
use crate::deps::{Group, Member};
use crate::ids::ValueId;
use crate::importance::{ImportanceError, Weights};
use crate::registry::{self, Kind, PluginTrait, RegistryError};

/// Adds the gradient of a penalty to that of the loss.
///
/// Implemented and registered by plugins, see [`registry`].
///
/// # Contract
///
/// [`penalize`](Regularizer::penalize) is called once per step of training. It adds to the gradients of trained members of
/// `groups`, at the positions of coordinates of these groups, and changes nothing else: no weight, no other position, no other
/// tensor. A parameter without a gradient is not penalised and gets none. What is added is finite where weights are.
///
/// The same state, weights and gradients give the same to the last bit. Whatever it remembers is written with it, so that
/// one that is read back goes on as this one would; coordinates are remembered by their number before the first cut
/// ([`Group::coordinates`]), so that after a cut it does to those that are left what it would have done. It reads no element
/// back to the host, so that a device is not waited for, but where it chooses coordinates, which is not at every step.
#[typetag::serde(tag = "regularizer")]
pub trait Regularizer: fmt::Debug + Send + Sync + DynClone {
    /// Adds the gradient of the penalty on `groups` to `gradients`.
    fn penalize(
        &mut self,
        groups: &[&dyn Group],
        weights: &Weights,
        gradients: &mut Gradients,
    ) -> Result<(), RegularizerError>;
}

dyn_clone::clone_trait_object!(Regularizer);

registry::inventory::submit!(PluginTrait::new::<dyn Regularizer>(Kind::Regularizer));

impl JsonSchema for dyn Regularizer {
    fn schema_name() -> Cow<'static, str> {
        "Regularizer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        registry::schema(Kind::Regularizer, generator)
    }
}

/// The gradients of a network as `backward` left them, to be added to where they are.
#[derive(Debug, Default)]
pub struct Gradients {
    tensors: BTreeMap<ValueId, Tensor>,
}

impl Gradients {
    /// No gradients.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the gradient of the parameter of `value`, if it has one. A sparse gradient is made dense, in the parameter too.
    pub fn insert(&mut self, value: ValueId, parameter: &Tensor) -> Result<(), RegularizerError> {
        if !(parameter.requires_grad() && parameter.f_is_leaf()?) {
            return Ok(());
        }
        let mut gradient = parameter.f_grad()?;
        if !gradient.defined() {
            return Ok(());
        }
        if gradient.is_sparse() {
            gradient = gradient.f_detach()?.f_to_dense(None, false)?;
            aten::set_grad(parameter, Some(&gradient))?;
        }
        self.tensors.insert(value, gradient.f_detach()?);
        Ok(())
    }

    /// Whether the tensor of a member has a gradient: it is neither frozen nor out of reach of the loss.
    pub fn has(&self, member: &Member) -> bool {
        self.tensors.contains_key(&member.value)
    }

    /// Adds a tensor of the member's shape to the gradient of the member; without one it does nothing.
    pub fn add(&mut self, member: &Member, term: &Tensor) -> Result<(), RegularizerError> {
        let Some(gradient) = self.tensors.get_mut(&member.value) else { return Ok(()) };
        if gradient.size() != term.size() {
            let (name, shape, gradient) = (member.name.to_string(), term.size(), gradient.size());
            return Err(RegularizerError::Shape { name, shape, gradient });
        }
        let _ = gradient.f_add_(term)?;
        Ok(())
    }
}

/// `regularizer.penalize(…)`; errors name the regulariser.
pub fn penalize(
    regularizer: &mut dyn Regularizer,
    groups: &[&dyn Group],
    weights: &Weights,
    gradients: &mut Gradients,
) -> Result<(), RegularizerError> {
    let outcome = regularizer.penalize(groups, weights, gradients);
    outcome.map_err(|source| RegularizerError::Regularizer {
        regularizer: regularizer.typetag_name().to_owned(),
        source: Box::new(source),
    })
}

/// The regulariser `name` with the fields of `options`, an object or null; what is left out has its default.
pub fn regularizer_from(name: &str, options: Value) -> Result<Box<dyn Regularizer>, RegistryError> {
    registry::read(Kind::Regularizer, name, options)
}

/// The regulariser that a config names: `"bn-l1"`, or `{"regularizer": "group-lasso", "lambda": 0.001}`.
pub fn regularizer_from_config(config: Value) -> Result<Box<dyn Regularizer>, RegistryError> {
    registry::read_config(Kind::Regularizer, config)
}

/// [`regularizer_from_config`] for a field of a config:
/// `#[serde(deserialize_with = "pruner_core::regularizer::deserialize_regularizer")]`.
///
/// A field without it reads too; this one allows the bare name and has the better messages.
pub fn deserialize_regularizer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<dyn Regularizer>, D::Error> {
    regularizer_from_config(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Why gradients cannot be penalised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegularizerError {
    /// A regulariser failed.
    #[error("regularizer `{regularizer}`: {source}")]
    Regularizer {
        /// The regulariser.
        regularizer: String,
        /// What is wrong.
        source: Box<RegularizerError>,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}; it is {range}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// What is to be added has not the shape of the gradient.
    #[error("`{name}` has a gradient of shape {gradient:?}, and {shape:?} was to be added to it")]
    Shape {
        /// The parameter.
        name: String,
        /// The shape of what was to be added.
        shape: Vec<i64>,
        /// The shape of the gradient.
        gradient: Vec<i64>,
    },
    /// The weights of a group cannot be used, or it cannot be scored.
    #[error(transparent)]
    Importance(#[from] ImportanceError),
    /// A gradient could not be set.
    #[error(transparent)]
    Gradient(#[from] AtenError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
    /// A regulariser has an error of its own.
    #[error(transparent)]
    Other(#[from] Box<dyn Error + Send + Sync>),
}
