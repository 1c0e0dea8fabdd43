//! Axis unification: which axes of a network must be cut together.

pub mod group;

pub use group::{Group, Layout, Member, Pin, Side};
