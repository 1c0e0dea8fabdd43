//! Graphs of ATen operations, axis unification, plans, and their application to `tch` networks.
//!
//! Modules stand in one order, and each uses only those before it; those after `pt2` need libtorch and the feature
//! `torch`.

pub mod ids;

pub mod graph;

pub mod ops;

pub mod deps;

pub mod plan;

pub mod manifest;

pub mod scheduler;

pub mod text;

pub mod report;

pub mod events;

pub mod page;

pub mod registry;

pub mod files;

pub mod pt2;

#[cfg(feature = "torch")]
pub mod importance;

#[cfg(feature = "torch")]
pub mod aten;

#[cfg(feature = "torch")]
pub mod regularizer;

#[cfg(feature = "torch")]
pub mod exec;

#[cfg(feature = "torch")]
pub mod trace;

#[cfg(feature = "torch")]
pub mod optim;

#[cfg(feature = "torch")]
pub mod calibration;

#[cfg(feature = "torch")]
mod compensate;

#[cfg(feature = "torch")]
pub mod apply;

#[cfg(feature = "torch")]
pub mod snapshot;

#[cfg(feature = "torch")]
pub mod checkpoint;

#[cfg(feature = "torch")]
pub mod equivalence;

#[cfg(feature = "torch")]
pub mod latency;

#[cfg(feature = "torch")]
mod budget;

#[cfg(feature = "torch")]
pub mod pruner;

#[cfg(feature = "torch")]
pub mod iterative;
