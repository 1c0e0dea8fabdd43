//! Importance criteria and [regularisers](regularizers) of `pruner`, each a plugin in a file of its own.
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
//! | `taylor-gate` | E abs(Σ a·z) where it is read, or (g·γ + g·β)² at its batch norms | [`TaylorGate`] |
//! | `hessian` | ½ Σ w²·E\[g²\] over its slices | [`Hessian`] |
//! | `group-fisher` | E (Σ a·z)² where it is read, by its cost | [`GroupFisher`] |
//! | `snip` | Σ abs(g·w) over its slices | [`Snip`] |
//! | `synflow` | Σ abs(w)·∂R/∂abs(w) over its slices, without data | [`SynFlow`] |
//! | `grasp` | Σ w·(H·g) over its slices | [`Grasp`] |
//! | `wanda` | mean abs(w) that read it, by the norm of what they read | [`Wanda`] |
//! | `flap` | variance where it is read, by the squared weights that read it | [`Flap`] |
//! | `activation` | a statistic of it where it is read | [`Activations`] |
//! | `mix` | a weighted sum of other criteria | [`Mix`] |
//! | `cost-aware` | another criterion by its cost | [`CostAware`] |
//! | `random` | a number drawn from `[0, 1)` | [`Random`] |
//!
//! With w weights, g their gradients, a activations and z theirs, E the mean over samples. Criteria of gradients and activations are
//! given them by [`GroupPruner::gather`](pruner_core::pruner::GroupPruner::gather).
//!
//! Two settings are shared: a [`Reduction`] says how the scores of the members become that of the group, and a
//! [`Normalizer`] how a group is scaled before groups are ranked together.

mod activation;
mod bn_scale;
mod cost;
mod cost_aware;
mod flap;
mod fpgm;
mod grasp;
mod group_fisher;
mod hessian;
mod lamp;
mod magnitude;
mod mix;
mod norm;
mod normalizer;
mod random;
mod readers;
mod reduction;
pub mod regularizers;
mod settings;
mod snip;
mod synflow;
mod taylor;
mod taylor_gate;
mod terms;
mod wanda;

pub use activation::{ActivationStatistic, Activations};
pub use bn_scale::BnScale;
pub use cost::Cost;
pub use cost_aware::CostAware;
pub use flap::Flap;
pub use fpgm::Fpgm;
pub use grasp::Grasp;
pub use group_fisher::GroupFisher;
pub use hessian::Hessian;
pub use lamp::Lamp;
pub use magnitude::Magnitude;
pub use mix::{Mix, Part};
pub use norm::Norm;
pub use normalizer::Normalizer;
pub use random::Random;
pub use reduction::Reduction;
pub use snip::Snip;
pub use synflow::SynFlow;
pub use taylor::{Taylor, Terms};
pub use taylor_gate::{Gate, TaylorGate};
pub use wanda::Wanda;
