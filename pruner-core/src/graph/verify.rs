//! The invariants of a graph, checked.
