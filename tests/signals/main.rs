//! Signals against computations that share nothing with how they are gathered: autograd on the code that was traced, finite differences, and
//! loops over single samples. All in double precision.

#[path = "../common/mod.rs"]
mod common;

mod activations;
mod compensation;
mod costs;
mod gates;
mod recalibration;
mod run;
mod support;
mod weights;
