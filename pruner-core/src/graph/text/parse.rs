//! Reading the text form: one pass over the lines, then references are resolved.

use std::collections::HashMap;

use super::cursor::{Cursor, Reference, number};
use crate::graph::{Argument, Graph, Origin, TensorMeta};
use crate::ids::ValueId;

/// Why a text is no graph, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct ParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// What is wrong at a place of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Something else should stand there.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number does not fit its type.
    #[error("`{0}` is out of range")]
    OutOfRange(String),
    /// A value is declared a second time.
    #[error("`{value}` is declared a second time; the first is on line {first}")]
    DeclaredTwice {
        /// The value as written.
        value: String,
        /// The line of its first declaration.
        first: usize,
    },
    /// A value is used that no line declares.
    #[error("`{0}` is not declared")]
    Undeclared(String),
    /// A statement follows `return`.
    #[error("nothing may follow `return`")]
    AfterReturn,
}

pub(super) fn parse(text: &str) -> Result<Graph, ParseError> {
    let mut reader = Reader::default();
    for (index, line) in text.lines().enumerate() {
        reader.statement(&mut Cursor::new(index + 1, line))?;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    graph: Graph,
    /// The id and the line of each declared value, by the id that the text gives it.
    declared: HashMap<ValueId, (ValueId, usize)>,
    references: Vec<Reference>,
    returned: bool,
}

impl Reader {
    fn statement(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        cursor.skip_space();
        if cursor.is_at_end() {
            return Ok(());
        }
        if self.returned {
            return Err(cursor.error(ParseErrorKind::AfterReturn));
        }
        let start = cursor.at;
        let origin = match cursor.take_while(|c| c.is_ascii_alphabetic()) {
            "return" => {
                self.returned = true;
                let outputs = self.values(cursor)?;
                self.graph.set_outputs(outputs);
                return cursor.end();
            }
            "input" => Some(Origin::Input),
            "param" => Some(Origin::Parameter),
            "buffer" => Some(Origin::Buffer),
            "const" => Some(Origin::Constant),
            _ => None,
        };
        if let Some(origin) = origin {
            let (reference, meta, name) = typed_value(cursor)?;
            let id = self.graph.add_value(name, origin, meta);
            self.declare(reference, id)?;
        } else {
            cursor.at = start;
            self.node(cursor)?;
        }
        cursor.end()
    }

    fn node(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        let mut results = Vec::new();
        if cursor.peek() == Some('v') && cursor.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            results.push(typed_value(cursor)?);
            while cursor.accept(',') {
                results.push(typed_value(cursor)?);
            }
            if !cursor.accept('=') {
                return Err(cursor.expected("`,` or `=`"));
            }
        }
        let (op, overload) = operation(cursor, results.is_empty())?;
        let arguments = self.arguments(cursor)?;
        cursor.skip_space();
        let end = cursor.at;
        let no_grad = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_') == "no_grad";
        if !no_grad {
            cursor.at = end;
        }
        let metas = results.iter().map(|(_, meta, _)| meta.clone()).collect();
        let node = self.graph.add_node(op, overload, arguments, metas);
        self.graph.node_mut(node).no_grad = no_grad;
        for (index, (reference, _, name)) in results.into_iter().enumerate() {
            let id = self.graph.node(node).results[index];
            self.graph.value_mut(id).name = name;
            self.declare(reference, id)?;
        }
        Ok(())
    }

    fn arguments(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<(String, Argument)>, ParseError> {
        cursor.expect('(', "`(`")?;
        let mut arguments = Vec::new();
        if cursor.accept(')') {
            return Ok(arguments);
        }
        loop {
            cursor.skip_space();
            let name = match cursor.peek() {
                Some('"') => cursor.string("the name of an argument")?,
                _ => cursor.name("an argument such as `self=v0`")?,
            };
            cursor.expect('=', "`=` and the argument")?;
            arguments.push((name, self.argument(cursor)?));
            if cursor.accept(')') {
                return Ok(arguments);
            }
            cursor.expect(',', "`,` or `)`")?;
        }
    }

    fn argument(&mut self, cursor: &mut Cursor<'_>) -> Result<Argument, ParseError> {
        cursor.skip_space();
        if cursor.peek() == Some('[') {
            return self.list(cursor, "");
        }
        let start = cursor.at;
        let word = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_');
        match (word, cursor.peek()) {
            ("values" | "floats" | "bools" | "ints", Some('[')) => self.list(cursor, word),
            ("dtype", Some('(')) => {
                let dtype = cursor.parenthesised(Cursor::dtype)?;
                Ok(Argument::Dtype(dtype))
            }
            ("device", Some('(')) => {
                let device = cursor.parenthesised(|cursor| cursor.string("a device such as `\"cpu\"`"))?;
                Ok(Argument::Device(device))
            }
            ("layout", Some('(')) => cursor.parenthesised(Cursor::int).map(Argument::Layout),
            ("memory_format", Some('(')) => cursor.parenthesised(Cursor::int).map(Argument::MemoryFormat),
            _ => {
                cursor.at = start;
                self.scalar(cursor)
            }
        }
    }

    /// An argument that may be an element of a list, or a string.
    fn scalar(&mut self, cursor: &mut Cursor<'_>) -> Result<Argument, ParseError> {
        cursor.skip_space();
        let start = cursor.at;
        if cursor.peek() == Some('"') {
            return cursor.string("a string").map(Argument::Str);
        }
        let word = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
        let argument = match word {
            "none" => Argument::None,
            "true" => Argument::Bool(true),
            "false" => Argument::Bool(false),
            "inf" => Argument::Float(f64::INFINITY),
            "-inf" => Argument::Float(f64::NEG_INFINITY),
            "nan" => Argument::Float(f64::NAN),
            _ if word.starts_with('v') => {
                cursor.at = start;
                return self.value(cursor).map(Argument::Value);
            }
            _ if word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit()) => match number(word) {
                Ok(argument) => argument,
                Err(kind) => {
                    cursor.at = start;
                    return Err(cursor.error(kind));
                }
            },
            _ => {
                cursor.at = start;
                return Err(cursor.expected(
                    "an argument: `none`, a value such as `v0`, `true`, `false`, a number, a string in quotes, a list \
                     `[…]`, `dtype(f32)`, `device(\"cpu\")`, `layout(0)` or `memory_format(0)`",
                ));
            }
        };
        Ok(argument)
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, kind: &str) -> Result<Argument, ParseError> {
        cursor.expect('[', "`[`")?;
        let mut elements = Vec::new();
        if !cursor.accept(']') {
            loop {
                cursor.skip_space();
                let start = cursor.at;
                elements.push((start, self.scalar(cursor)?));
                if cursor.accept(']') {
                    break;
                }
                cursor.expect(',', "`,` or `]`")?;
            }
        }
        match (kind, elements.first().map(|(_, first)| first)) {
            ("values", _) | ("", Some(Argument::Value(_) | Argument::None)) => cursor
                .all(elements, "a value or `none`, as the list is one of values", |element| match element {
                    Argument::Value(id) => Some(Some(id)),
                    Argument::None => Some(None),
                    _ => None,
                })
                .map(Argument::Values),
            ("floats", _) | ("", Some(Argument::Float(_))) => cursor
                .all(elements, "a float such as `1.0`, as the list is one of floats", |element| match element {
                    Argument::Float(value) => Some(value),
                    _ => None,
                })
                .map(Argument::Floats),
            ("bools", _) | ("", Some(Argument::Bool(_))) => cursor
                .all(elements, "`true` or `false`, as the list is one of truth values", |element| match element {
                    Argument::Bool(value) => Some(value),
                    _ => None,
                })
                .map(Argument::Bools),
            _ => cursor
                .all(elements, "an integer, as the list is one of integers", |element| match element {
                    Argument::Int(value) => Some(value),
                    _ => None,
                })
                .map(Argument::Ints),
        }
    }

    fn values(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<ValueId>, ParseError> {
        let mut values = vec![self.value(cursor)?];
        while cursor.accept(',') {
            values.push(self.value(cursor)?);
        }
        Ok(values)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<ValueId, ParseError> {
        let reference = cursor.value()?;
        self.references.push(reference);
        Ok(reference.written)
    }

    fn declare(&mut self, reference: Reference, id: ValueId) -> Result<(), ParseError> {
        match self.declared.insert(reference.written, (id, reference.line)) {
            None => Ok(()),
            Some((_, first)) => {
                let kind = ParseErrorKind::DeclaredTwice { value: reference.written.to_string(), first };
                Err(ParseError { line: reference.line, column: reference.column, kind })
            }
        }
    }

    fn finish(self) -> Result<Graph, ParseError> {
        let Self { mut graph, declared, references, .. } = self;
        if let Some(reference) = references.iter().find(|reference| !declared.contains_key(&reference.written)) {
            let kind = ParseErrorKind::Undeclared(reference.written.to_string());
            return Err(ParseError { line: reference.line, column: reference.column, kind });
        }
        let resolve = |id: &mut ValueId| *id = declared[id].0;
        graph.outputs.iter_mut().for_each(resolve);
        for (_, argument) in graph.nodes_mut().iter_mut().flat_map(|node| &mut node.arguments) {
            match argument {
                Argument::Value(id) => resolve(id),
                Argument::Values(ids) => ids.iter_mut().flatten().for_each(resolve),
                _ => {}
            }
        }
        Ok(graph)
    }
}

/// `aten::add.Tensor`, as two parts; where it starts a line, something else may stand there too.
fn operation(cursor: &mut Cursor<'_>, starts_line: bool) -> Result<(String, String), ParseError> {
    let expected = if starts_line {
        "`input`, `param`, `buffer`, `const`, `return`, a result such as `v0: f32[1]`, or an operation such as `aten::add`"
    } else {
        "an operation with its namespace such as `aten::add`"
    };
    cursor.skip_space();
    let start = cursor.at;
    let op = if cursor.peek() == Some('"') {
        cursor.string(expected)?
    } else {
        let name = cursor.name(expected)?;
        if !name.contains("::") {
            cursor.at = start;
            return Err(cursor.expected(expected));
        }
        name
    };
    if cursor.peek() != Some('.') {
        return Ok((op, String::new()));
    }
    cursor.at += 1;
    let overload = match cursor.peek() {
        Some('"') => cursor.string("an overload")?,
        _ => cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned(),
    };
    if overload.is_empty() { Err(cursor.expected("an overload")) } else { Ok((op, overload)) }
}

/// `v0: f32[1, 2] "name"`.
fn typed_value(cursor: &mut Cursor<'_>) -> Result<(Reference, TensorMeta, String), ParseError> {
    let reference = cursor.value()?;
    cursor.expect(':', "`:` and the type of the value, such as `: f32[2, 3]`")?;
    cursor.skip_space();
    let dtype = cursor.dtype()?;
    cursor.expect('[', "`[` and the shape")?;
    let mut shape = Vec::new();
    if !cursor.accept(']') {
        loop {
            shape.push(cursor.int()?);
            if cursor.accept(']') {
                break;
            }
            cursor.expect(',', "`,` or `]`")?;
        }
    }
    cursor.skip_space();
    let name = if cursor.peek() == Some('"') { cursor.string("a name")? } else { String::new() };
    Ok((reference, TensorMeta { shape, dtype }, name))
}
