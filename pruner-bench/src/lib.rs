//! Real networks, real data, the demonstration and the benchmarks of `pruner`.

pub mod compare;
pub mod data;
pub mod demo;
pub mod energy;
pub mod files;
pub mod fine_tuning;
pub mod gpu;
pub mod machine;
pub mod models;
pub mod quality;
pub mod rng;
pub mod skip;
pub mod synthetic;
pub mod train;
