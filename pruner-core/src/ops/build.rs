//! How a rule is put together in Rust, where attributes of the node decide what it is.

use super::error::RuleError;
use super::node::NodeView;
use super::rule::{Factor, Mark, Rewrite, Rule, Term};

/// A rule in the making: factors first, then the terms of operands and results.
#[derive(Debug)]
pub struct Builder<'n, 'g> {
    node: &'n NodeView<'g>,
    rule: Rule,
}

impl<'n, 'g> Builder<'n, 'g> {
    /// A rule in which nothing takes part yet.
    pub fn new(node: &'n NodeView<'g>) -> Self {
        Self::with_capacity(node, 0)
    }

    /// As [`new`](Self::new), with room for so many factors.
    pub(super) fn with_capacity(node: &'n NodeView<'g>, factors: usize) -> Self {
        let operands = vec![None; node.slots().len()];
        let (factors, results) = (Vec::with_capacity(factors), Vec::with_capacity(node.results().len()));
        Self { node, rule: Rule { factors, operands, results, ..Rule::default() } }
    }

    /// A factor.
    pub fn factor(&mut self, name: impl Into<String>, size: i64, mark: Mark) -> Term {
        self.rule.factors.push(Factor { name: name.into(), size, mark });
        Term::Factor(self.rule.factors.len() - 1)
    }

    /// A factor for every dimension of a shape, named by `prefix` and the place of the dimension.
    pub fn factors(&mut self, prefix: &str, shape: &[i64], mark: Mark) -> Vec<Term> {
        shape.iter().enumerate().map(|(dim, &size)| self.factor(format!("{prefix}{dim}"), size, mark)).collect()
    }

    /// As [`factors`](Self::factors) called `d`, all free but that of `dim`, which is pinned.
    pub fn pinned_along(&mut self, shape: &[i64], dim: usize) -> Vec<Term> {
        let terms = self.factors("d", shape, Mark::Free);
        if let Some(term) = terms.get(dim) {
            self.mark(term, Mark::Pinned);
        }
        terms
    }

    /// Marks the factors that a term speaks of.
    pub fn mark(&mut self, term: &Term, mark: Mark) {
        match term {
            Term::Factor(factor) | Term::Index(factor, _) => self.rule.factors[*factor].mark = mark,
            Term::Product(terms) | Term::Sum(terms) => self.mark_all(terms, mark),
        }
    }

    /// Marks the factors that several terms speak of.
    pub fn mark_all<'t>(&mut self, terms: impl IntoIterator<Item = &'t Term>, mark: Mark) {
        for term in terms {
            self.mark(term, mark);
        }
    }

    /// The size of a term.
    pub fn size(&self, term: &Term) -> i64 {
        self.rule.size(term)
    }

    /// Gives the dimensions of an argument; does nothing if it is no tensor.
    pub fn operand(&mut self, argument: &str, terms: Vec<Term>) {
        if let Some(slot) = self.node.slot(argument).filter(|&slot| self.node.operand(slot).is_some()) {
            self.rule.operands[slot] = Some(terms);
        }
    }

    /// Gives the dimensions of the tensor in a slot.
    pub fn slot(&mut self, slot: usize, terms: Vec<Term>) {
        self.rule.operands[slot] = Some(terms);
    }

    /// Gives the dimensions of the next result.
    pub fn result(&mut self, terms: Vec<Term>) {
        self.rule.results.push(terms);
    }

    /// Adds a rewrite.
    pub fn rewrite(&mut self, rewrite: Rewrite) {
        self.rule.rewrites.push(rewrite);
    }

    /// Adds the rewrite of a list argument to the sizes of terms.
    pub fn sizes(&mut self, argument: &str, terms: Vec<Term>) {
        self.rewrite(Rewrite::Sizes { argument: argument.to_owned(), terms });
    }

    /// Says what the node costs.
    pub fn macs(&mut self, term: Term) {
        self.rule.macs = Some(term);
    }

    /// The rule, its sizes checked against the node. A dimension of size 1 where an operand's term is larger is
    /// broadcast: it is no axis.
    pub fn finish(mut self) -> Result<Rule, RuleError> {
        let node = self.node;
        let expected = self.rule.results.len();
        let found = node.results().len();
        if expected != found {
            return Err(RuleError::Count { node: node.describe(), what: "results", expected, found });
        }
        let mut operands = std::mem::take(&mut self.rule.operands);
        for (slot, terms) in operands.iter_mut().enumerate() {
            match (terms.as_mut(), node.operand(slot)) {
                (Some(terms), Some(shape)) => self.fit(&|| node.slot_name(slot), terms, shape, true)?,
                _ => *terms = None,
            }
        }
        self.rule.operands = operands;
        let mut results = std::mem::take(&mut self.rule.results);
        for (index, (terms, shape)) in results.iter_mut().zip(node.results()).enumerate() {
            self.fit(&|| format!("result {index}"), terms, shape, false)?;
        }
        self.rule.results = results;
        Ok(self.rule)
    }

    fn fit(
        &self,
        tensor: &impl Fn() -> String,
        terms: &mut [Term],
        shape: &[i64],
        broadcasts: bool,
    ) -> Result<(), RuleError> {
        if terms.len() != shape.len() {
            return Err(RuleError::Rank {
                node: self.node.describe(),
                tensor: tensor(),
                expected: terms.len(),
                found: shape.len(),
            });
        }
        for (dim, (term, &found)) in terms.iter_mut().zip(shape).enumerate() {
            let expected = self.size(term);
            if expected == found {
                *term = self.tidy(std::mem::replace(term, Term::UNIT));
            } else if found == 1 && broadcasts {
                *term = Term::UNIT;
            } else {
                return Err(RuleError::Size {
                    node: self.node.describe(),
                    tensor: tensor(),
                    dim,
                    term: self.rule.term_text(term),
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// A term without what changes nothing: factors of size 1 in products, of size 0 in sums, brackets in brackets.
    fn tidy(&self, term: Term) -> Term {
        match term {
            Term::Product(terms) => {
                let mut flat = Vec::with_capacity(terms.len());
                for term in terms.into_iter().map(|term| self.tidy(term)) {
                    match term {
                        Term::Product(inner) => flat.extend(inner),
                        term if self.size(&term) == 1 => {}
                        term => flat.push(term),
                    }
                }
                if flat.len() == 1 { flat.remove(0) } else { Term::Product(flat) }
            }
            Term::Sum(terms) => {
                let mut flat = Vec::with_capacity(terms.len());
                for term in terms.into_iter().map(|term| self.tidy(term)) {
                    match term {
                        Term::Sum(inner) => flat.extend(inner),
                        term if self.size(&term) == 0 => {}
                        term => flat.push(term),
                    }
                }
                if flat.len() == 1 { flat.remove(0) } else { Term::Sum(flat) }
            }
            term => term,
        }
    }
}

/// The rule in which every axis is pinned and none is joined with another.
pub fn pin_all(node: &NodeView) -> Result<Rule, RuleError> {
    let mut rule = Builder::new(node);
    for slot in 0..node.slots().len() {
        if let Some(shape) = node.operand(slot) {
            let terms = rule.factors(&format!("a{slot}_"), shape, Mark::Pinned);
            rule.slot(slot, terms);
        }
    }
    for (index, shape) in node.results().enumerate() {
        let terms = rule.factors(&format!("r{index}_"), shape, Mark::Pinned);
        rule.result(terms);
    }
    rule.finish()
}
