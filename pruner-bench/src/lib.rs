//! Real networks, real data, the demonstration and the benchmarks of `pruner`.

pub mod models;
pub mod rng;
