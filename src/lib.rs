//! Structured pruning of neural networks on libtorch: channels, heads and hidden units are removed for real, with no
//! hints, and every step reports what was pruned and why not the rest.
//!
//! This crate brings the parts together: all of [`pruner_core`], the shipped criteria in [`criteria`], the shipped
//! regularisers in [`regularizers`] and the shipped schedulers in [`schedulers`]. The plugins that are linked are listed by [`registry::plugins`].

pub mod config;

pub use pruner_core::*;
pub use pruner_importance as criteria;
pub use pruner_importance::regularizers;
pub use pruner_schedulers as schedulers;

// Plugins register themselves, but a crate that nothing names is not linked: a program that only reads configs would
// find none of them.
use pruner_importance as _;
use pruner_schedulers as _;
