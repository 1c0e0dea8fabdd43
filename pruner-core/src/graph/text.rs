//! The text form of a graph.

use std::fmt;

use super::Graph;

pub(super) fn print(_graph: &Graph, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Ok(())
}
