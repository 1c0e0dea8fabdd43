//! The table of operations: what each does to axes.

pub mod rule;

pub use rule::{Factor, Mark, Rewrite, Rule, Term};
