//! Graphs of ATen operations, axis unification, plans, and their application to `tch` networks.
//!
//! Modules stand in one order, and each uses only those before it.

pub mod ids;

pub mod graph;

pub mod ops;

pub mod deps;

pub mod plan;

pub mod report;
