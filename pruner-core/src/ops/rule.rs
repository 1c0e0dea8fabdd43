//! What an operation does to axes: the rule of one node, over named factors.
//!
//! A rule gives for every tensor that a node reads or makes one [`Term`] per dimension. Dimensions with the same
//! term are the same axis. The analysis joins axes by these terms alone and never asks which operation it was.

use std::fmt;

use crate::graph::Argument;

/// The rule of one node, its ellipses expanded to the ranks of the node's tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// The factors that the terms speak of.
    pub factors: Vec<Factor>,
    /// For every tensor argument in the order of the schema (each element of a list by itself), a term per dimension;
    /// `None` where the argument is absent or does not take part.
    pub operands: Vec<Option<Vec<Term>>>,
    /// For every tensor result, a term per dimension.
    pub results: Vec<Vec<Term>>,
    /// What changes in the node when sizes do, in the order in which it is done.
    pub rewrites: Vec<Rewrite>,
    /// The multiply-accumulates of the node, as the size of a term.
    pub macs: Option<Term>,
}

impl Rule {
    /// The size of a term at the node.
    pub fn size(&self, term: &Term) -> i64 {
        term.size(&|factor| self.factors[factor].size)
    }

    /// A term in the notation, without marks.
    pub fn term_text(&self, term: &Term) -> String {
        Printer { rule: self, marked: None }.text(term)
    }
}

/// The rule in the notation of [`Pattern`](super::Pattern), each mark where its factor is first met. An operand that
/// takes no part is `_`, except at the end.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut printer = Printer { rule: self, marked: Some(vec![false; self.factors.len()]) };
        let last = self.operands.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let operands: Vec<String> = self.operands[..last]
            .iter()
            .map(|operand| operand.as_ref().map_or_else(|| "_".to_owned(), |terms| printer.join(terms, " ")))
            .collect();
        let results: Vec<String> = self.results.iter().map(|terms| printer.join(terms, " ")).collect();
        let operands = operands.join(", ");
        f.write_str(format!("{} -> {}", operands.trim_end(), results.join(", ")).trim())?;

        let mut printer = Printer { rule: self, marked: None };
        let mut entries: Vec<String> = self.rewrites.iter().map(|rewrite| printer.rewrite(rewrite)).collect();
        entries.extend(self.macs.iter().map(|macs| format!("macs={}", printer.text(macs))));
        if entries.is_empty() { Ok(()) } else { write!(f, " {{{}}}", entries.join("; ")) }
    }
}

struct Printer<'r> {
    rule: &'r Rule,
    /// The factors whose mark has been printed; `None` to print none.
    marked: Option<Vec<bool>>,
}

impl Printer<'_> {
    fn text(&mut self, term: &Term) -> String {
        match term {
            Term::Factor(factor) => self.factor(*factor),
            Term::Product(terms) if terms.is_empty() => "1".to_owned(),
            Term::Product(terms) => format!("({})", self.join(terms, " ")),
            Term::Sum(terms) => format!("({})", self.join(terms, "+")),
            Term::Index(factor, indices) => {
                let reversed = indices.iter().rev().enumerate().all(|(place, &index)| place == index as usize);
                let indices: Vec<String> = indices.iter().map(u32::to_string).collect();
                let inside = if reversed { "::-1".to_owned() } else { indices.join(",") };
                format!("{}[{inside}]", self.factor(*factor))
            }
        }
    }

    fn factor(&mut self, factor: usize) -> String {
        let Factor { name, mark, .. } = &self.rule.factors[factor];
        let met = self.marked.as_mut().is_none_or(|marked| std::mem::replace(&mut marked[factor], true));
        format!("{}{name}", if met { "" } else { mark.sign() })
    }

    fn join(&mut self, terms: &[Term], separator: &str) -> String {
        terms.iter().map(|term| self.text(term)).collect::<Vec<_>>().join(separator)
    }

    fn rewrite(&mut self, rewrite: &Rewrite) -> String {
        match rewrite {
            Rewrite::Op { op, overload, .. } if overload.is_empty() => format!("op={op}"),
            Rewrite::Op { op, overload, .. } => format!("op={op}.{overload}"),
            Rewrite::Size { argument, term } => format!("{argument}={}", self.text(term)),
            Rewrite::Sizes { argument, terms } => format!("{argument}=[{}]", self.join(terms, ", ")),
            Rewrite::Value { argument, value, .. } => format!("{argument}={value:?}"),
        }
    }
}

/// A name in a rule: an axis as the operation sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// The name in the notation.
    pub name: String,
    /// The size at the node.
    pub size: i64,
    /// What may be done to it.
    pub mark: Mark,
}

/// What may be done to a factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// It may be cut.
    #[default]
    Free,
    /// `!`: it may never be cut, since the operation depends on every position of it.
    Pinned,
    /// `~`: cutting it changes a statistic over it, so that the cut network differs from the masked one.
    Inexact,
}

impl Mark {
    /// The sign of the notation.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Free => "",
            Self::Pinned => "!",
            Self::Inexact => "~",
        }
    }
}

/// One dimension of a tensor in terms of factors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A factor, by its place in [`Rule::factors`].
    Factor(usize),
    /// `(a b)`: row-major, the last varies fastest. The empty product has size 1.
    Product(Vec<Term>),
    /// `(a+b)`: one after the other. The empty sum has size 0.
    Sum(Vec<Term>),
    /// `a[…]`: the position `i` of the dimension is the position `indices[i]` of the factor.
    Index(usize, Vec<u32>),
}

impl Term {
    /// The dimension of size 1 that is no axis.
    pub const UNIT: Self = Self::Product(Vec::new());

    /// Calls `visit` with every factor that it speaks of, as often as it does.
    pub fn each_factor(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Self::Factor(index) | Self::Index(index, _) => visit(*index),
            Self::Product(terms) | Self::Sum(terms) => terms.iter().for_each(|term| term.each_factor(visit)),
        }
    }

    /// Whether it speaks of a factor.
    pub fn mentions(&self, factor: usize) -> bool {
        match self {
            Self::Factor(index) | Self::Index(index, _) => *index == factor,
            Self::Product(terms) | Self::Sum(terms) => terms.iter().any(|term| term.mentions(factor)),
        }
    }

    /// Its size, given that of every factor. A factor that is indexed is taken as uncut.
    pub fn size(&self, factor: &impl Fn(usize) -> i64) -> i64 {
        match self {
            Self::Factor(index) => factor(*index),
            Self::Product(terms) => terms.iter().fold(1, |all: i64, term| all.saturating_mul(term.size(factor))),
            Self::Sum(terms) => terms.iter().fold(0, |all: i64, term| all.saturating_add(term.size(factor))),
            Self::Index(_, indices) => indices.len() as i64,
        }
    }
}

/// What changes in a node when the sizes of axes do. A rewrite is made only where the size of a term it names has
/// changed, so that what the author wrote stays as it was wherever it can.
#[derive(Clone, Debug, PartialEq)]
pub enum Rewrite {
    /// The node becomes another operation with these arguments.
    Op {
        /// The terms of which one must have changed.
        when: Vec<Term>,
        /// The operation that it becomes.
        op: String,
        /// The overload of it.
        overload: String,
        /// All its arguments.
        arguments: Vec<(String, Argument)>,
    },
    /// An integer argument is the size of a term.
    Size {
        /// The argument.
        argument: String,
        /// The term.
        term: Term,
    },
    /// A list argument holds the sizes of terms, element by element; an element of −1 is left to be inferred.
    Sizes {
        /// The argument.
        argument: String,
        /// The terms.
        terms: Vec<Term>,
    },
    /// An argument whose default depends on a size is given the value it had before.
    Value {
        /// The term on whose size the default depends.
        when: Term,
        /// The argument.
        argument: String,
        /// The value that it had.
        value: Argument,
    },
}
