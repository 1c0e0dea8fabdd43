//! Schedulers of `pruner`, each a plugin in a file of its own.
//!
//! With `t` the part of the run that is over and `r` its target ratio:
//!
//! | name | part of the target reached | |
//! |---|---|---|
//! | `linear` | t | [`Linear`] |
//! | `cubic` | 1 − (1 − t)³ | [`Cubic`] |
//! | `polynomial` | 1 − (1 − t)^p | [`Polynomial`] |
//! | `exponential` | (1 − (1 − r)^t) / r | [`Exponential`] |
//! | `cosine` | (1 − cos πt) / 2 | [`Cosine`] |
//! | `one-cycle` | (1 + e^(β − α)) / (1 + e^(β − αt)) | [`OneCycle`] |
//! | `one-shot` | all at one step | [`OneShot`] |
//! | `table` | parts at steps that are named | [`Table`] |
//!
//! How often a run cuts is no curve and therefore no scheduler: `IterativeSettings::stride` of `pruner_core::iterative` adapts it under
//! every one of them, wider while steps prune nothing and halved when the quality falls.

mod cosine;
mod cubic;
mod exponential;
mod linear;
mod one_cycle;
mod one_shot;
mod polynomial;
mod table;

pub use cosine::Cosine;
pub use cubic::Cubic;
pub use exponential::Exponential;
pub use linear::Linear;
pub use one_cycle::OneCycle;
pub use one_shot::OneShot;
pub use polynomial::Polynomial;
pub use table::Table;
