//! From text to pattern.

use std::str::FromStr;

use super::{Expr, Name, Pattern, Size};
use crate::ops::error::RuleError;
use crate::ops::rule::Mark;

impl FromStr for Pattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let pattern =
            Self { names: Vec::new(), operands: Vec::new(), results: Vec::new(), arguments: Vec::new(), macs: None };
        let mut parser = Parser { text, rest: text, pattern };
        parser.pattern()?;
        Ok(parser.pattern)
    }
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    pattern: Pattern,
}

impl<'t> Parser<'t> {
    fn pattern(&mut self) -> Result<(), RuleError> {
        self.pattern.operands = self.tensors()?;
        self.expect("->", "expected `->`")?;
        self.pattern.results = self.tensors()?;
        if self.eat("{") {
            loop {
                self.entry()?;
                if !self.eat(";") {
                    break;
                }
            }
            self.expect("}", "expected `;` or `}`")?;
        }
        self.skip();
        if self.rest.is_empty() { Ok(()) } else { Err(self.error("expected a term, `,`, `->` or `{`")) }
    }

    fn tensors(&mut self) -> Result<Vec<Vec<Expr>>, RuleError> {
        let mut tensors = vec![self.tensor()?];
        while self.eat(",") {
            tensors.push(self.tensor()?);
        }
        if tensors.len() == 1 && tensors[0].is_empty() {
            tensors.clear();
        }
        Ok(tensors)
    }

    fn tensor(&mut self) -> Result<Vec<Expr>, RuleError> {
        let mut terms = Vec::new();
        let mut unnamed = false;
        while let Some(term) = self.term()? {
            let pattern = &self.pattern;
            if matches!(term, Expr::Name(name, _) if pattern.names[name].ellipsis && pattern.names[name].text.is_empty())
                && std::mem::replace(&mut unnamed, true)
            {
                return Err(self.error("a tensor has one unnamed ellipsis at most"));
            }
            terms.push(term);
        }
        Ok(terms)
    }

    fn entry(&mut self) -> Result<(), RuleError> {
        let name = self.identifier().ok_or_else(|| self.error("expected the name of an argument"))?;
        self.expect("=", "expected `=`")?;
        if name == "macs" {
            self.pattern.macs = Some(self.required()?);
        } else if self.eat("[") {
            let mut list = Vec::new();
            while let Some(term) = self.term()? {
                list.push(term);
                if !self.eat(",") {
                    break;
                }
            }
            self.expect("]", "expected `,` or `]`")?;
            self.pattern.arguments.push((name.to_owned(), Size::List(list)));
        } else {
            let term = self.required()?;
            self.pattern.arguments.push((name.to_owned(), Size::One(term)));
        }
        Ok(())
    }

    fn required(&mut self) -> Result<Expr, RuleError> {
        self.term()?.ok_or_else(|| self.error("expected a term"))
    }

    /// The next term, if what follows is one.
    fn term(&mut self) -> Result<Option<Expr>, RuleError> {
        if self.eat("(") {
            return self.bracket().map(Some);
        }
        let mark = if self.eat("!") {
            Mark::Pinned
        } else if self.eat("~") {
            Mark::Inexact
        } else {
            Mark::Free
        };
        if self.eat("...") {
            return Ok(Some(Expr::Name(self.name("", true, mark)?, mark)));
        }
        if mark == Mark::Free && self.eat("1") {
            return Ok(Some(Expr::Unit));
        }
        let Some(text) = self.identifier() else {
            return if mark == Mark::Free { Ok(None) } else { Err(self.error("expected a factor after the mark")) };
        };
        if self.rest.starts_with("...") {
            self.rest = &self.rest[3..];
            return Ok(Some(Expr::Name(self.name(text, true, mark)?, mark)));
        }
        let name = self.name(text, false, mark)?;
        if !self.rest.starts_with('[') {
            return Ok(Some(Expr::Name(name, mark)));
        }
        self.rest = &self.rest[1..];
        let from = self.bound()?;
        self.expect(":", "expected `:`")?;
        let to = self.bound()?;
        let step = if self.eat(":") { self.bound()? } else { None };
        if step == Some(0) {
            return Err(self.error("a step is not 0"));
        }
        self.expect("]", "expected `]`")?;
        Ok(Some(Expr::Slice(name, mark, [from, to, step])))
    }

    fn bracket(&mut self) -> Result<Expr, RuleError> {
        let mut terms = vec![self.required()?];
        let sum = self.eat("+");
        if sum {
            terms.push(self.required()?);
            while self.eat("+") {
                terms.push(self.required()?);
            }
        } else {
            while let Some(term) = self.term()? {
                terms.push(term);
            }
        }
        if terms.iter().any(|term| matches!(term, Expr::Slice(..))) {
            return Err(self.error("a slice is a dimension by itself"));
        }
        self.expect(")", if sum { "expected `+` or `)`" } else { "expected a term or `)`" })?;
        Ok(if sum { Expr::Sum(terms) } else { Expr::Product(terms) })
    }

    fn name(&mut self, text: &str, ellipsis: bool, mark: Mark) -> Result<usize, RuleError> {
        let names = &mut self.pattern.names;
        let place = names.iter().position(|name| name.text == text).unwrap_or_else(|| {
            names.push(Name { text: text.to_owned(), ellipsis, mark });
            names.len() - 1
        });
        let name = &mut names[place];
        if name.ellipsis != ellipsis {
            return Err(self.error("a name is that of a factor or of an ellipsis, not of both"));
        }
        if name.mark == Mark::Free {
            name.mark = mark;
        } else if mark != Mark::Free && mark != name.mark {
            return Err(RuleError::Marks { text: self.text.to_owned(), factor: text.to_owned() });
        }
        Ok(place)
    }

    fn identifier(&mut self) -> Option<&'t str> {
        self.skip();
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        let first = self.rest.chars().next().filter(|&c| starts(c))?;
        let continues = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '\'';
        let len = self.rest[first.len_utf8()..].find(|c| !continues(c)).map_or(self.rest.len(), |len| len + 1);
        let (text, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(text)
    }

    fn bound(&mut self) -> Result<Option<i64>, RuleError> {
        self.skip();
        let len = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(len);
        if text.is_empty() {
            return Ok(None);
        }
        let bound = text.parse().map_err(|_| self.error("expected an integer"))?;
        self.rest = rest;
        Ok(Some(bound))
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str, problem: &'static str) -> Result<(), RuleError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(problem)) }
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn error(&self, problem: &'static str) -> RuleError {
        let column = self.text[..self.text.len() - self.rest.len()].chars().count() + 1;
        RuleError::Syntax { text: self.text.to_owned(), column, problem }
    }
}
