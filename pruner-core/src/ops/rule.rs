//! What an operation does to axes: the rule of one node, over named factors.
//!
//! A rule gives for every tensor that a node reads or makes one [`Term`] per dimension. Dimensions with the same
//! term are the same axis. The analysis joins axes by these terms alone and never asks which operation it was.

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

    /// Its size, given that of every factor. A factor that is indexed is taken as uncut.
    pub fn size(&self, factor: &impl Fn(usize) -> i64) -> i64 {
        match self {
            Self::Factor(index) => factor(*index),
            Self::Product(terms) => terms.iter().map(|term| term.size(factor)).product(),
            Self::Sum(terms) => terms.iter().map(|term| term.size(factor)).sum(),
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
