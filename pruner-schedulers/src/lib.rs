//! Schedulers of `pruner`, each a plugin in a file of its own.
//!
//! With `t` the part of the run that is over:
//!
//! | name | part of the target reached | |
//! |---|---|---|
//! | `linear` | t | [`Linear`] |
//! | `cubic` | 1 − (1 − t)³ | [`Cubic`] |
//! | `one-shot` | all at one step | [`OneShot`] |

mod cubic;
mod linear;
mod one_shot;

pub use cubic::Cubic;
pub use linear::Linear;
pub use one_shot::OneShot;
