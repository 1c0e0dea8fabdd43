//! A place in a line of the text form, and the words that may stand there.

use super::parse::{ParseError, ParseErrorKind};
use crate::graph::{Argument, Dtype};
use crate::ids::ValueId;

/// A value as the text numbers it.
#[derive(Clone, Copy)]
pub(super) struct Reference {
    pub(super) written: ValueId,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A place in a line.
pub(super) struct Cursor<'a> {
    line: usize,
    text: &'a str,
    /// The byte in `text`.
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: usize, text: &'a str) -> Self {
        Self { line, text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty() || self.rest().starts_with('#')
    }

    pub(super) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    pub(super) fn take_while(&mut self, accepted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !accepted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    pub(super) fn accept(&mut self, wanted: char) -> bool {
        self.skip_space();
        let accepted = self.peek() == Some(wanted);
        if accepted {
            self.at += wanted.len_utf8();
        }
        accepted
    }

    pub(super) fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), ParseError> {
        if self.accept(wanted) { Ok(()) } else { Err(self.expected(expected)) }
    }

    pub(super) fn end(&mut self) -> Result<(), ParseError> {
        self.skip_space();
        if self.is_at_end() { Ok(()) } else { Err(self.expected("the end of the line")) }
    }

    pub(super) fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError { line: self.line, column: self.column(self.at), kind }
    }

    fn column(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    pub(super) fn expected(&mut self, expected: &'static str) -> ParseError {
        self.skip_space();
        let found = match self.peek() {
            _ if self.is_at_end() => "the end of the line".to_owned(),
            Some(c) if !c.is_alphanumeric() => format!("`{c}`"),
            _ => {
                let rest = self.rest();
                let word = rest.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.')).next().unwrap_or(rest);
                format!("`{}`", word.chars().take(40).collect::<String>())
            }
        };
        self.error(ParseErrorKind::Expected { expected, found })
    }

    /// Identifiers joined by `::`.
    pub(super) fn name(&mut self, expected: &'static str) -> Result<String, ParseError> {
        let start = self.at;
        loop {
            let part = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            if part.is_empty() || part.starts_with(|c: char| c.is_ascii_digit()) {
                self.at = start;
                return Err(self.expected(expected));
            }
            if !self.rest().starts_with("::") {
                return Ok(self.text[start..self.at].to_owned());
            }
            self.at += 2;
        }
    }

    pub(super) fn value(&mut self) -> Result<Reference, ParseError> {
        const EXPECTED: &str = "a value such as `v0`";
        self.skip_space();
        let start = self.at;
        if !self.accept('v') {
            return Err(self.expected(EXPECTED));
        }
        let digits = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
            self.at = start;
            return Err(self.expected(EXPECTED));
        }
        let Ok(number) = digits.parse::<u32>() else {
            self.at = start;
            return Err(self.error(ParseErrorKind::OutOfRange(format!("v{digits}"))));
        };
        Ok(Reference { written: ValueId::new(number as usize), line: self.line, column: self.column(start) })
    }

    pub(super) fn int(&mut self) -> Result<i64, ParseError> {
        self.skip_space();
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-'));
        match number(word) {
            Ok(Argument::Int(value)) => Ok(value),
            Err(kind @ ParseErrorKind::OutOfRange(_)) => {
                self.at = start;
                Err(self.error(kind))
            }
            _ => {
                self.at = start;
                Err(self.expected("an integer"))
            }
        }
    }

    pub(super) fn dtype(&mut self) -> Result<Dtype, ParseError> {
        self.skip_space();
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric());
        word.parse().map_err(|_| {
            self.at = start;
            self.expected("an element type such as `f32`, `f16`, `bf16`, `i64` or `bool`")
        })
    }

    pub(super) fn parenthesised<T>(
        &mut self,
        inner: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.expect('(', "`(`")?;
        let value = inner(self)?;
        self.expect(')', "`)`")?;
        Ok(value)
    }

    /// The elements as `convert` gives them; where it gives nothing, `expected` should stand.
    pub(super) fn all<T>(
        &mut self,
        elements: Vec<(usize, Argument)>,
        expected: &'static str,
        convert: impl Fn(Argument) -> Option<T>,
    ) -> Result<Vec<T>, ParseError> {
        elements
            .into_iter()
            .map(|(start, element)| {
                convert(element).ok_or_else(|| {
                    self.at = start;
                    self.expected(expected)
                })
            })
            .collect()
    }

    /// A string in quotes, escaped as in Rust.
    pub(super) fn string(&mut self, expected: &'static str) -> Result<String, ParseError> {
        self.expect('"', expected)?;
        let mut text = String::new();
        loop {
            let start = self.at;
            match self.next() {
                None => return Err(self.expected("`\"` at the end of the string")),
                Some('"') => return Ok(text),
                Some('\\') => {
                    let Some(c) = self.escape() else {
                        self.at = start;
                        return Err(self.expected("an escape: `\\\"`, `\\\\`, `\\n`, `\\r`, `\\t`, `\\0` or `\\u{1f}`"));
                    };
                    text.push(c);
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            c @ ('"' | '\'' | '\\') => c,
            'u' => {
                let (digits, _) = self.rest().strip_prefix('{')?.split_once('}')?;
                self.at += digits.len() + 2;
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        })
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }
}

/// An integer or a float.
pub(super) fn number(word: &str) -> Result<Argument, ParseErrorKind> {
    let malformed = |_| ParseErrorKind::Expected { expected: "a number", found: format!("`{word}`") };
    if word.contains(['.', 'e', 'E']) {
        word.parse().map(Argument::Float).map_err(malformed)
    } else if word.trim_start_matches(['+', '-']).chars().all(|c| c.is_ascii_digit()) {
        word.parse().map(Argument::Int).map_err(|_| ParseErrorKind::OutOfRange(word.to_owned()))
    } else {
        Err(ParseErrorKind::Expected { expected: "a number", found: format!("`{word}`") })
    }
}
