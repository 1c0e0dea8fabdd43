//! Graphs of one node, for the tests of rules.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::{NodeView, Rule, RuleError};
use crate::graph::{Argument, Dtype, Graph, TensorMeta};
use crate::ids::{NodeId, ValueId};

thread_local! {
    /// The rows whose rule a check of this thread has seen.
    static CHECKED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// The rows whose rules `checks` says.
pub(super) fn checked(checks: impl FnOnce()) -> BTreeSet<&'static str> {
    CHECKED.take();
    checks();
    CHECKED.take()
}

/// A node being described.
#[derive(Debug)]
pub(super) struct Op {
    graph: Graph,
    name: String,
    arguments: Vec<(String, Argument)>,
    results: Vec<TensorMeta>,
}

/// A node of an operation, such as `aten::add.Tensor`.
pub(super) fn op(name: &str) -> Op {
    Op { graph: Graph::new(), name: name.to_owned(), arguments: Vec::new(), results: Vec::new() }
}

impl Op {
    /// With a tensor.
    pub(super) fn t(mut self, name: &str, shape: impl AsRef<[i64]>) -> Self {
        let value = self.value(shape.as_ref(), Dtype::F32);
        self.arg(name, value)
    }

    /// With a list of tensors; a second list of the name goes on with the first.
    pub(super) fn ts(self, name: &str, shapes: &[&[i64]]) -> Self {
        self.absent_then(name, &[], shapes)
    }

    /// With a list of tensors, before which as many are absent as `absent` is long.
    pub(super) fn absent_then(mut self, name: &str, absent: &[usize], shapes: &[&[i64]]) -> Self {
        let values: Vec<_> = shapes.iter().map(|shape| Some(self.value(shape, Dtype::F32))).collect();
        self.list(name, absent.iter().map(|_| None).chain(values).collect())
    }

    /// With a list of masks.
    pub(super) fn masks(mut self, name: &str, shapes: &[&[i64]]) -> Self {
        let values = shapes.iter().map(|shape| Some(self.value(shape, Dtype::Bool))).collect();
        self.list(name, values)
    }

    /// With an argument that is no tensor.
    pub(super) fn arg(mut self, name: &str, argument: impl Into<Argument>) -> Self {
        self.arguments.push((name.to_owned(), argument.into()));
        self
    }

    /// With a string.
    pub(super) fn s(self, name: &str, text: &str) -> Self {
        self.arg(name, Argument::Str(text.to_owned()))
    }

    /// Without an argument.
    pub(super) fn none(self, name: &str) -> Self {
        self.arg(name, Argument::None)
    }

    /// With one more result.
    pub(super) fn gives(mut self, shape: impl AsRef<[i64]>) -> Self {
        self.results.push(TensorMeta::f32(shape.as_ref()));
        self
    }

    /// Its rule is this one; without braces, up to what stands in them.
    #[track_caller]
    pub(super) fn is(self, expected: &str) {
        let row = super::TABLE.as_ref().ok().and_then(|table| super::find(table, &self.name()));
        let rule = self.rule().to_string();
        CHECKED.with_borrow_mut(|checked| checked.extend(row.map(|(name, _)| name)));
        let found = if expected.contains('{') { &rule } else { rule.split(" {").next().unwrap_or_default() };
        assert_eq!(found, expected);
    }

    /// Its rule.
    #[track_caller]
    pub(super) fn rule(self) -> Rule {
        let name = self.name.clone();
        self.try_rule().unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| panic!("{name} has no row"))
    }

    /// What is wrong with it.
    #[track_caller]
    pub(super) fn error(self) -> String {
        self.try_rule().expect_err("the node is wrong").to_string()
    }

    /// Its rule under a pattern.
    pub(super) fn under(self, pattern: &str) -> Result<Rule, RuleError> {
        let (graph, node) = self.graph();
        pattern.parse::<super::Pattern>()?.instantiate(&NodeView::new(&graph, node), &[])
    }

    /// The operation without its overload.
    fn name(&self) -> String {
        self.name.split_once('.').map_or(self.name.as_str(), |(op, _)| op).to_owned()
    }

    pub(super) fn graph(mut self) -> (Graph, NodeId) {
        let (op, overload) = self.name.split_once('.').unwrap_or((&self.name, ""));
        let node = self.graph.add_node(op, overload, self.arguments, self.results);
        (self.graph, node)
    }

    fn try_rule(self) -> Result<Option<Rule>, RuleError> {
        let (graph, node) = self.graph();
        super::rule(&graph, node)
    }

    fn value(&mut self, shape: &[i64], dtype: Dtype) -> ValueId {
        self.graph.add_input("", TensorMeta { shape: shape.to_vec(), dtype })
    }

    fn list(mut self, name: &str, values: Vec<Option<ValueId>>) -> Self {
        match self.arguments.last_mut() {
            Some((last, Argument::Values(before))) if last == name => before.extend(values),
            _ => self.arguments.push((name.to_owned(), Argument::Values(values))),
        }
        self
    }
}
