//! Importance criteria of `pruner`, each a plugin in a file of its own.
//!
//! A criterion gives one score per coordinate of a group; the lowest goes first. The *slices* of a coordinate are all
//! its places in the trained members of the group: output sides, input sides, norms, free parameters.
//!
//! | name | score of a coordinate | |
//! |---|---|---|
//! | `magnitude` | p-norm of its slices | [`Magnitude`] |
//! | `bn-scale` | abs(γ) of its batch norms | [`BnScale`] |
//! | `lamp` | squared 2-norm of its slices, by that of all that are as large or larger | [`Lamp`] |
//! | `fpgm` | Σ of the distances of its filter to the others | [`Fpgm`] |
//! | `taylor` | (Σ g·w)² over its slices | [`Taylor`] |
//! | `mix` | a weighted sum of other criteria | [`Mix`] |
//! | `random` | a number drawn from `[0, 1)` | [`Random`] |
//!
//! Two settings are shared: a [`Reduction`] says how the scores of the members become that of the group, and a
//! [`Normalizer`] how a group is scaled before groups are ranked together.

mod bn_scale;
mod fpgm;
mod lamp;
mod magnitude;
mod mix;
mod norm;
mod normalizer;
mod random;
mod reduction;
mod settings;
mod taylor;

pub use bn_scale::BnScale;
pub use fpgm::Fpgm;
pub use lamp::Lamp;
pub use magnitude::Magnitude;
pub use mix::{Mix, Part};
pub use norm::Norm;
pub use normalizer::Normalizer;
pub use random::Random;
pub use reduction::Reduction;
pub use taylor::{Taylor, Terms};
