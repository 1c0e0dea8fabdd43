//! The text form of a graph: one statement per line, written by [`Display`](std::fmt::Display) and read by
//! [`FromStr`].
//!
//! ```text
//! # A convolution whose channels are split in two.
//! input v0: f32[2, 3, 8, 8] "x"
//! param v1: f32[16, 3, 3, 3] "conv.weight"
//! buffer v2: f32[16] "bn.running_mean"
//! const v3: i64[4] "index"
//! v4: f32[2, 16, 8, 8] = aten::conv2d(input=v0, weight=v1, bias=none, stride=[1, 1], padding=[1, 1])
//! v5: f32[2, 8, 8, 8], v6: f32[2, 8, 8, 8] = aten::split.Tensor(self=v4, split_size=8, dim=1)
//! return v5, v6
//! ```
//!
//! - `#` starts a comment that ends with the line; empty lines mean nothing.
//! - `input`, `param`, `buffer` and `const` declare a value that no node makes; its name in quotes may be left out when
//!   it is empty. A result of a node may be named in the same way.
//! - An argument is `none`, a value `v0`, `true`, an integer `3`, a float `3.0`, `1e-5`, `inf` or `nan`, a string `"a"`,
//!   `dtype(f32)`, `device("cpu")`, `layout(0)`, `memory_format(0)`, or a list `[…]` of values and `none`, of integers, of floats
//!   or of truth values. `[]` has no integers; lists of nothing else are `values[]`, `floats[]` and `bools[]`.
//! - `no_grad` after the arguments says that the operation runs without gradients.
//! - An operation or argument whose name is no identifier is written in quotes.
//! - `return` comes last. A graph without it has no outputs.
//!
//! Numbers in `vN` are free as long as they differ: reading numbers values anew in the order of their declarations, and a
//! value may be used in a line above its declaration (whether it is made in time is for [`verify`](super::verify) to say).
//! Writing puts every declaration where its id stands among those of the results, so a graph made by the methods of
//! [`Graph`] is read back equal to itself, ids included, whenever its values were added.

mod cursor;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use parse::{ParseError, ParseErrorKind};

use super::{Argument, Graph, Node, Origin, TensorMeta};
use crate::ids::ValueId;

impl FromStr for Graph {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }
}

/// What stands before the id of a value that no node makes.
fn keyword(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Input => Some("input"),
        Origin::Parameter => Some("param"),
        Origin::Buffer => Some("buffer"),
        Origin::Constant => Some("const"),
        Origin::Node { .. } => None,
    }
}

/// Whether `text` can stand as a name without quotes: identifiers joined by `::`.
pub(super) fn is_plain_name(text: &str) -> bool {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
        if !is_identifier(name) {
            return false;
        }
        match after.strip_prefix("::") {
            Some(next) => rest = next,
            None => return after.is_empty(),
        }
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && is_plain_overload(text)
}

/// Whether `text` can stand as an overload without quotes.
pub(super) fn is_plain_overload(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn print(graph: &Graph, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut declarations =
        graph.values().filter_map(|(id, value)| keyword(value.origin).map(|keyword| (id, keyword))).peekable();
    for (_, node) in graph.nodes() {
        while let Some((id, keyword)) =
            declarations.next_if(|(id, _)| node.results.first().is_some_and(|first| id < first))
        {
            print_declaration(graph, id, keyword, f)?;
        }
        print_node(graph, node, f)?;
    }
    for (id, keyword) in declarations {
        print_declaration(graph, id, keyword, f)?;
    }
    if !graph.outputs.is_empty() {
        f.write_str("return ")?;
        separated(&graph.outputs, f, |id, f| write!(f, "{id}"))?;
        f.write_str("\n")?;
    }
    Ok(())
}

fn print_declaration(graph: &Graph, id: ValueId, keyword: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{keyword} ")?;
    print_value(graph, id, f)?;
    f.write_str("\n")
}

fn print_value(graph: &Graph, id: ValueId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(value) = graph.values.get(id.index()) else {
        return write!(f, "{id}: missing");
    };
    write!(f, "{id}: {}", value.meta)?;
    if value.name.is_empty() { Ok(()) } else { write!(f, " {:?}", value.name) }
}

fn print_node(graph: &Graph, node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    separated(&node.results, f, |&id, f| print_value(graph, id, f))?;
    if !node.results.is_empty() {
        f.write_str(" = ")?;
    }
    // An operation without a namespace would read as a keyword or a value.
    quoted_unless(is_plain_name(&node.op) && node.op.contains("::"), &node.op, f)?;
    if !node.overload.is_empty() {
        f.write_str(".")?;
        quoted_unless(is_plain_overload(&node.overload), &node.overload, f)?;
    }
    f.write_str("(")?;
    separated(&node.arguments, f, |(name, argument), f| {
        quoted_unless(is_plain_name(name), name, f)?;
        write!(f, "={argument}")
    })?;
    f.write_str(if node.no_grad { ") no_grad\n" } else { ")\n" })
}

fn quoted_unless(plain: bool, text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if plain { f.write_str(text) } else { write!(f, "{text:?}") }
}

fn separated<T>(
    items: &[T],
    f: &mut fmt::Formatter<'_>,
    print: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        print(item, f)?;
    }
    Ok(())
}

fn list<T>(
    kind: &str,
    items: &[T],
    f: &mut fmt::Formatter<'_>,
    print: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        f.write_str(kind)?;
    }
    f.write_str("[")?;
    separated(items, f, print)?;
    f.write_str("]")
}

fn print_float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() { f.write_str("nan") } else { write!(f, "{value:?}") }
}

impl fmt::Display for TensorMeta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        list("", &self.shape, f, |size, f| write!(f, "{size}"))
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Value(id) => write!(f, "{id}"),
            Self::Values(ids) => list("values", ids, f, |id, f| match id {
                Some(id) => write!(f, "{id}"),
                None => f.write_str("none"),
            }),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => print_float(*value, f),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Bools(values) => list("bools", values, f, |value, f| write!(f, "{value}")),
            Self::Ints(values) => list("", values, f, |value, f| write!(f, "{value}")),
            Self::Floats(values) => list("floats", values, f, |value, f| print_float(*value, f)),
            Self::Dtype(dtype) => write!(f, "dtype({dtype})"),
            Self::Device(device) => write!(f, "device({device:?})"),
            Self::Layout(layout) => write!(f, "layout({layout})"),
            Self::MemoryFormat(format) => write!(f, "memory_format({format})"),
        }
    }
}
