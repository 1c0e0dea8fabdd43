//! The table of operations: what each does to axes, one row an operation.
//!
//! A row is a rule in the [notation], or a function where attributes of the node decide what the rule is. An operation
//! without a row has no rule: what it touches is pinned, never guessed. A crate adds rows for its own operations with
//! [`register_op!`](crate::register_op).

pub mod build;
pub mod error;
pub mod node;
pub mod notation;
pub mod rule;

mod attention;
mod concat;
mod conv;
mod elementwise;
mod embedding;
mod factory;
mod fits;
mod index;
mod linear;
mod matmul;
mod norm;
mod reduce;
mod rnn;
mod shape;
mod size;
mod slice;
mod spatial;
mod table;
mod view;
mod zeros;

#[cfg(test)]
mod random;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

pub use build::{Builder, pin_all};
pub use error::RuleError;
pub(crate) use node::slots;
pub use node::{NodeView, Slot};
pub use notation::Pattern;
pub use rule::{Factor, Mark, Rewrite, Rule, Term};
pub use zeros::{Zeros, zeros};

use crate::graph::Graph;
use crate::ids::NodeId;

/// Where the rule of an operation comes from.
#[derive(Clone, Copy, Debug)]
pub enum RuleSource {
    /// It is written in the notation and fits every form of the operation.
    Fixed(&'static str),
    /// Attributes of the node choose among rules that are written in the notation.
    Chosen(fn(&NodeView) -> Result<Choice, RuleError>),
    /// Attributes of the node decide.
    Of(fn(&NodeView) -> Result<Rule, RuleError>),
}

/// A rule that is written in the notation, chosen for a node.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The rule.
    pub pattern: &'static Pattern,
    /// The size of a factor that shapes do not tell.
    pub size: Option<(&'static str, i64)>,
}

impl Choice {
    fn rule(&self, node: &NodeView) -> Result<Rule, RuleError> {
        self.pattern.instantiate(node, self.size.as_slice())
    }
}

/// A row that a crate adds to the table; made by [`register_op!`](crate::register_op).
#[derive(Clone, Copy, Debug)]
pub struct OpRow {
    /// The operation with its namespace.
    pub op: &'static str,
    /// Its rule.
    pub source: RuleSource,
}

inventory::collect!(OpRow);

/// Adds a row to the table of operations.
///
/// ```
/// use pruner_core::ops::RuleSource::Fixed;
///
/// pruner_core::register_op!("my::swish", Fixed("... -> ..."));
/// ```
#[macro_export]
macro_rules! register_op {
    ($op:literal, $source:expr) => {
        $crate::ops::inventory::submit! { $crate::ops::OpRow { op: $op, source: $source } }
    };
}

#[doc(hidden)]
pub use inventory;

/// The rule of a node; `None` if its operation has no row.
///
/// Rows are found by the name of the operation whatever the overload; an in-place form without a row of its own has
/// that of the operation without the underscore.
pub fn rule(graph: &Graph, node: NodeId) -> Result<Option<Rule>, RuleError> {
    let node = NodeView::new(graph, node);
    source(&node)?.map(|source| source.rule(&node)).transpose()
}

/// What makes the rule of a node.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Pattern(Choice),
    Function(fn(&NodeView) -> Result<Rule, RuleError>),
}

impl Source {
    /// The rule of the node that it is the source for.
    pub(crate) fn rule(&self, node: &NodeView) -> Result<Rule, RuleError> {
        match self {
            Self::Pattern(choice) => choice.rule(node),
            Self::Function(function) => function(node),
        }
    }
}

/// What makes the rule of a node; `None` if its operation has no row.
pub(crate) fn source(node: &NodeView) -> Result<Option<Source>, RuleError> {
    let table = TABLE.as_ref().map_err(Clone::clone)?;
    let Some((_, row)) = find(table, node.op()) else { return Ok(None) };
    node.check()?;
    row.source(node).map(Some)
}

/// The row of an operation, and the name that it stands under.
fn find<'t>(table: &'t Table, op: &str) -> Option<(&'static str, &'t Row)> {
    let (name, row) = table.get_key_value(op).or_else(|| table.get_key_value(op.strip_suffix('_')?))?;
    Some((*name, row))
}

/// The operations that have a row, in order.
pub fn names() -> Result<Vec<&'static str>, RuleError> {
    Ok(TABLE.as_ref().map_err(Clone::clone)?.keys().copied().collect())
}

enum Row {
    Fixed(&'static str, OnceLock<Result<Pattern, RuleError>>),
    Chosen(fn(&NodeView) -> Result<Choice, RuleError>),
    Of(fn(&NodeView) -> Result<Rule, RuleError>),
}

impl Row {
    fn new(source: RuleSource) -> Self {
        match source {
            RuleSource::Fixed(text) => Self::Fixed(text, OnceLock::new()),
            RuleSource::Chosen(choose) => Self::Chosen(choose),
            RuleSource::Of(function) => Self::Of(function),
        }
    }

    fn source(&'static self, node: &NodeView) -> Result<Source, RuleError> {
        match self {
            Self::Fixed(text, pattern) => {
                let pattern = pattern.get_or_init(|| text.parse()).as_ref().map_err(Clone::clone)?;
                Ok(Source::Pattern(Choice { pattern, size: None }))
            }
            Self::Chosen(choose) => choose(node).map(Source::Pattern),
            Self::Of(function) => Ok(Source::Function(*function)),
        }
    }
}

type Table = BTreeMap<&'static str, Row>;

static TABLE: LazyLock<Result<Table, RuleError>> = LazyLock::new(|| {
    let own = table::OPS.iter().copied();
    tabulate(own.chain(inventory::iter::<OpRow>.into_iter().map(|row| (row.op, row.source))))
});

fn tabulate(rows: impl Iterator<Item = (&'static str, RuleSource)>) -> Result<Table, RuleError> {
    let mut table = Table::new();
    for (op, source) in rows {
        if table.insert(op, Row::new(source)).is_some() {
            return Err(RuleError::Duplicate { op: op.to_owned() });
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::testing::op;
    use super::*;

    crate::register_op!("test::outer", RuleSource::Fixed("a, b -> a b"));
    crate::register_op!("test::wrong", RuleSource::Fixed("a -> (a"));

    #[test]
    fn rows_are_in_order() {
        assert!(table::OPS.is_sorted_by(|(left, _), (right, _)| left < right));
    }

    #[test]
    fn fixed_rules_parse_and_print_as_they_are_written() {
        for (op, source) in table::OPS {
            if let RuleSource::Fixed(text) = source {
                let pattern: Pattern = text.parse().unwrap_or_else(|error| panic!("{op}: {error}"));
                assert_eq!(pattern.to_string(), *text, "{op}");
            }
        }
    }

    #[test]
    fn every_row_is_checked_by_a_test() {
        let families = [
            super::attention::tests::CHECKS,
            super::concat::tests::CHECKS,
            super::conv::tests::CHECKS,
            super::elementwise::tests::CHECKS,
            super::embedding::tests::CHECKS,
            super::factory::tests::CHECKS,
            super::index::tests::CHECKS,
            super::linear::tests::CHECKS,
            super::matmul::tests::CHECKS,
            super::norm::tests::CHECKS,
            super::reduce::tests::CHECKS,
            super::rnn::tests::CHECKS,
            super::shape::tests::CHECKS,
            super::size::tests::CHECKS,
            super::slice::tests::CHECKS,
            super::spatial::tests::CHECKS,
            super::view::tests::CHECKS,
        ];
        let checked = testing::checked(|| families.iter().copied().flatten().for_each(|check| check()));
        let missing: Vec<_> = table::OPS.iter().map(|(op, _)| *op).filter(|op| !checked.contains(op)).collect();
        assert!(missing.is_empty(), "no test of a family in `CHECKS` says what these do: {missing:?}");
    }

    #[test]
    fn an_operation_without_a_row_has_no_rule() {
        let (graph, node) = op("aten::fft_fft").t("self", [4]).gives([4]).graph();
        assert_eq!(rule(&graph, node), Ok(None));
        let (graph, node) = op("aten::_").t("self", [4]).gives([4]).graph();
        assert_eq!(rule(&graph, node), Ok(None));
    }

    #[test]
    fn a_registered_row_is_one_of_the_table() {
        op("test::outer").t("x", [2]).t("y", [3]).gives([2, 3]).is("a, b -> a b");
        assert!(names().expect("no row is there twice").contains(&"test::outer"));
        let error = op("test::wrong").t("x", [2]).gives([2]).error();
        assert_eq!(error, "rule `a -> (a`: expected a term or `)` at column 8");
    }

    #[test]
    fn two_rows_of_one_name_are_an_error() {
        let rows = [("my::op", RuleSource::Fixed("a -> a")), ("my::op", RuleSource::Fixed("a -> a"))];
        assert!(matches!(tabulate(rows.into_iter()), Err(RuleError::Duplicate { op }) if op == "my::op"));
    }
}
