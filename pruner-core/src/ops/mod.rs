//! The table of operations: what each does to axes.

pub mod rule;

pub use rule::{Factor, Mark, Rewrite, Rule, Term};

use crate::graph::{Graph, Node};
use crate::ids::{NodeId, ValueId};

#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct RuleError;
pub fn rule(_: &Graph, _: NodeId) -> Result<Option<Rule>, RuleError> {
    Ok(None)
}
pub fn operands(_: &Node) -> Vec<Option<ValueId>> {
    vec![]
}
