//! From pattern to rule: ellipses expanded, sizes found, shapes checked.

use super::{Expr, Pattern, Size};
use crate::ops::build::Builder;
use crate::ops::error::RuleError;
use crate::ops::node::NodeView;
use crate::ops::rule::{Rewrite, Rule, Term};

impl Pattern {
    /// The rule of a node.
    ///
    /// The size of each factor is found from the shapes, one unknown in a product or sum at a time. `sizes` gives
    /// those that shapes do not tell; the rank of an ellipsis `a...` is given as `("a...", rank)`.
    pub fn instantiate(&self, node: &NodeView, sizes: &[(&str, i64)]) -> Result<Rule, RuleError> {
        let operands = self.operand_shapes(node)?;
        let results = self.result_shapes(node)?;
        let tensors: Vec<(&[Expr], &[i64], Tensor)> = operands
            .iter()
            .map(|&(index, slot, shape)| (&self.operands[index][..], shape, Tensor::Operand(slot)))
            .chain(results.iter().map(|&(index, shape)| {
                (self.results.get(index).map_or(&[][..], Vec::as_slice), shape, Tensor::Result(index))
            }))
            .collect();

        let mut expansion = Expansion::new(self, node, &tensors, sizes)?;
        let dims: Vec<(Tensor, Vec<Term>, &[i64])> = tensors
            .iter()
            .map(|&(exprs, shape, tensor)| Ok((tensor, expansion.tensor(node, exprs, shape, tensor)?, shape)))
            .collect::<Result<_, RuleError>>()?;
        expansion.solve(&dims);

        let mut rule = Builder::new(node);
        for (factor, size) in expansion.sizes.iter().enumerate() {
            let (name, mark) = &expansion.factors[factor];
            let size = size.ok_or_else(|| RuleError::Unsolved { node: node.describe(), factor: name.clone() })?;
            rule.factor(name.as_str(), size, *mark);
        }
        let indexed = |term| index(term, &expansion.slices, &rule);
        let dims: Vec<_> = dims
            .into_iter()
            .map(|(tensor, terms, _)| (tensor, terms.into_iter().map(indexed).collect::<Vec<_>>()))
            .collect();
        for (tensor, terms) in dims {
            match tensor {
                Tensor::Operand(slot) => rule.slot(slot, terms),
                Tensor::Result(_) => rule.result(terms),
            }
        }
        for (argument, size) in &self.arguments {
            let argument = argument.clone();
            match size {
                Size::One(expr) => rule.rewrite(Rewrite::Size { argument, term: expansion.term(expr) }),
                Size::List(list) => {
                    let terms = list.iter().flat_map(|expr| expansion.terms(expr)).collect();
                    rule.rewrite(Rewrite::Sizes { argument, terms });
                }
            }
        }
        if let Some(macs) = &self.macs {
            rule.macs(expansion.term(macs));
        }
        rule.finish()
    }

    /// The operands that are there: their place in the pattern, their slot and their shape.
    fn operand_shapes<'g>(&self, node: &NodeView<'g>) -> Result<Vec<(usize, usize, &'g [i64])>, RuleError> {
        let mut shapes = Vec::with_capacity(self.operands.len());
        for slot in 0..node.slots().len() {
            match node.operand(slot) {
                Some(shape) if slot < self.operands.len() => shapes.push((slot, slot, shape)),
                Some(shape) if !shape.is_empty() => {
                    let (expected, found) = (self.operands.len(), node.slots().len());
                    return Err(RuleError::Count { node: node.describe(), what: "arguments", expected, found });
                }
                _ => {}
            }
        }
        Ok(shapes)
    }

    fn result_shapes<'g>(&self, node: &NodeView<'g>) -> Result<Vec<(usize, &'g [i64])>, RuleError> {
        let shapes: Vec<_> = node.results().enumerate().collect();
        // A result of rank 0 has no axis to speak of.
        let written = shapes.iter().rposition(|(_, shape)| !shape.is_empty()).map_or(0, |last| last + 1);
        if written > self.results.len() || self.results.len() > shapes.len() {
            let (expected, found) = (self.results.len(), shapes.len());
            return Err(RuleError::Count { node: node.describe(), what: "results", expected, found });
        }
        Ok(shapes)
    }
}

#[derive(Clone, Copy)]
enum Tensor {
    Operand(usize),
    Result(usize),
}

impl Tensor {
    fn name(self, node: &NodeView) -> String {
        match self {
            Self::Operand(slot) => node.slot_name(slot),
            Self::Result(index) => format!("result {index}"),
        }
    }
}

/// The factors that the names of a pattern stand for at a node.
struct Expansion<'p> {
    pattern: &'p Pattern,
    /// The factors of each name.
    spans: Vec<std::ops::Range<usize>>,
    factors: Vec<(String, crate::ops::rule::Mark)>,
    sizes: Vec<Option<i64>>,
    /// Slices whose factor had no size yet: a term holds its place here until it has.
    slices: Vec<[Option<i64>; 3]>,
}

impl<'p> Expansion<'p> {
    fn new(
        pattern: &'p Pattern,
        node: &NodeView,
        tensors: &[(&[Expr], &[i64], Tensor)],
        given: &[(&str, i64)],
    ) -> Result<Self, RuleError> {
        let mut ranks: Vec<Option<usize>> = pattern
            .names
            .iter()
            .map(|name| {
                let rank = given.iter().find(|(key, _)| key.strip_suffix("...") == Some(&name.text));
                if name.ellipsis { rank.map(|&(_, rank)| rank.max(0) as usize) } else { Some(1) }
            })
            .collect();
        while let Some((name, rank)) = tensors.iter().find_map(|&(exprs, shape, _)| open(pattern, &ranks, exprs, shape))
        {
            // The unnamed one is aligned at the right: the widest tensor tells its rank.
            let widest = |name: usize| {
                let ranks = &ranks;
                tensors
                    .iter()
                    .filter_map(move |&(exprs, shape, _)| open(pattern, ranks, exprs, shape))
                    .filter(move |&(other, _)| other == name)
                    .map(|(_, rank)| rank)
                    .max()
            };
            let rank = if pattern.names[name].text.is_empty() { widest(name).unwrap_or(rank) } else { rank };
            ranks[name] = Some(rank);
        }

        let mut expansion =
            Self { pattern, spans: Vec::new(), factors: Vec::new(), sizes: Vec::new(), slices: Vec::new() };
        for (name, rank) in pattern.names.iter().zip(&ranks) {
            let start = expansion.factors.len();
            if name.ellipsis {
                let rank = rank
                    .ok_or_else(|| RuleError::Unsolved { node: node.describe(), factor: format!("{}...", name.text) });
                let stem = if name.text.is_empty() { "d" } else { &name.text };
                expansion.factors.extend((0..rank?).map(|dim| (format!("{stem}{dim}"), name.mark)));
            } else {
                expansion.factors.push((name.text.clone(), name.mark));
            }
            expansion.spans.push(start..expansion.factors.len());
        }
        expansion.sizes = expansion
            .factors
            .iter()
            .map(|(name, _)| given.iter().find(|(key, _)| key == name).map(|&(_, size)| size))
            .collect();
        Ok(expansion)
    }

    /// The terms of a tensor, a term per dimension.
    fn tensor(
        &mut self,
        node: &NodeView,
        exprs: &[Expr],
        shape: &[i64],
        tensor: Tensor,
    ) -> Result<Vec<Term>, RuleError> {
        let mut terms: Vec<Term> = Vec::with_capacity(shape.len());
        let width = |expr: &Expr| match expr {
            Expr::Name(name, _) => self.spans[*name].len(),
            _ => 1,
        };
        let full: usize = exprs.iter().map(width).sum();
        let mut missing = full.saturating_sub(shape.len());
        let spared = |expr: &Expr| matches!(expr, Expr::Name(name, _) if self.pattern.names[*name].text.is_empty());
        for expr in exprs {
            if let Expr::Slice(name, _, bounds) = expr {
                self.slices.push(*bounds);
                terms.push(Term::Index(self.spans[*name].start, vec![(self.slices.len() - 1) as u32]));
                continue;
            }
            let all = self.terms(expr);
            // Operands of lower rank lack the first dimensions of the unnamed ellipsis.
            let skip = if spared(expr) && matches!(tensor, Tensor::Operand(_)) { missing.min(all.len()) } else { 0 };
            missing -= skip;
            terms.extend(all.into_iter().skip(skip));
        }
        if terms.len() == shape.len() {
            return Ok(terms);
        }
        let (expected, found) = (terms.len(), shape.len());
        Err(RuleError::Rank { node: node.describe(), tensor: tensor.name(node), expected, found })
    }

    /// The terms that a written one stands for: several for an ellipsis.
    fn terms(&self, expr: &Expr) -> Vec<Term> {
        match expr {
            Expr::Name(name, _) => self.spans[*name].clone().map(Term::Factor).collect(),
            expr => vec![self.term(expr)],
        }
    }

    fn term(&self, expr: &Expr) -> Term {
        let all = |exprs: &[Expr]| exprs.iter().flat_map(|expr| self.terms(expr)).collect::<Vec<_>>();
        match expr {
            Expr::Unit => Term::UNIT,
            Expr::Name(name, _) if !self.pattern.names[*name].ellipsis => Term::Factor(self.spans[*name].start),
            Expr::Name(..) => Term::Product(self.terms(expr)),
            Expr::Product(exprs) => Term::Product(all(exprs)),
            Expr::Sum(exprs) => Term::Sum(all(exprs)),
            Expr::Slice(name, ..) => Term::Factor(self.spans[*name].start),
        }
    }

    /// Finds the sizes of factors. A dimension of size 1 may be broadcast, so it tells something only of factors that
    /// no other dimension tells of.
    fn solve(&mut self, dims: &[(Tensor, Vec<Term>, &[i64])]) {
        let all = || dims.iter().flat_map(|(_, terms, shape)| terms.iter().zip(*shape));
        loop {
            while all().any(|(term, &size)| size != 1 && self.learn(term, size)) {}
            if !all().any(|(term, &size)| size == 1 && self.learn(term, size)) {
                return;
            }
        }
    }

    /// Whether a size has told the size of a factor.
    fn learn(&mut self, term: &Term, size: i64) -> bool {
        let known = |this: &Self, terms: &[Term]| {
            let mut unknown = terms.iter().filter(|term| this.size(term).is_none());
            let first = unknown.next().cloned()?;
            let rest: Vec<i64> = terms.iter().filter_map(|term| this.size(term)).collect();
            unknown.next().is_none().then_some((first, rest))
        };
        match term {
            Term::Factor(factor) if self.sizes[*factor].is_none() => {
                self.sizes[*factor] = Some(size);
                true
            }
            Term::Product(terms) => known(self, terms).is_some_and(|(term, rest)| {
                let rest: i64 = rest.iter().product();
                rest != 0 && size % rest == 0 && self.learn(&term, size / rest)
            }),
            Term::Sum(terms) => known(self, terms).is_some_and(|(term, rest)| {
                let rest: i64 = rest.iter().sum();
                rest <= size && self.learn(&term, size - rest)
            }),
            _ => false,
        }
    }

    fn size(&self, term: &Term) -> Option<i64> {
        match term {
            Term::Factor(factor) | Term::Index(factor, _) => self.sizes[*factor],
            Term::Product(terms) => terms.iter().map(|term| self.size(term)).product(),
            Term::Sum(terms) => terms.iter().map(|term| self.size(term)).sum(),
        }
    }
}

/// The ellipsis of a tensor whose rank alone is not known, and the rank that the tensor leaves for it.
fn open(pattern: &Pattern, ranks: &[Option<usize>], exprs: &[Expr], shape: &[i64]) -> Option<(usize, usize)> {
    let mut unknown = None;
    let mut fixed = 0;
    for expr in exprs {
        match expr {
            Expr::Name(name, _) if pattern.names[*name].ellipsis => match ranks[*name] {
                Some(rank) => fixed += rank,
                None if unknown.is_none() => unknown = Some(*name),
                None => return None,
            },
            _ => fixed += 1,
        }
    }
    Some((unknown?, shape.len().saturating_sub(fixed)))
}

/// A term whose slices have become positions.
fn index(term: Term, slices: &[[Option<i64>; 3]], rule: &Builder) -> Term {
    match term {
        Term::Index(factor, slot) => {
            let bounds = slot.first().map_or([None; 3], |&slot| slices[slot as usize]);
            Term::Index(factor, positions(bounds, rule.size(&Term::Factor(factor))))
        }
        term => term,
    }
}

/// The positions that a slice takes of `size`, as in Python.
fn positions([start, stop, step]: [Option<i64>; 3], size: i64) -> Vec<u32> {
    let step = step.unwrap_or(1);
    let (low, high) = if step < 0 { (-1, size - 1) } else { (0, size) };
    let bound = |bound: Option<i64>, default| {
        bound.map_or(default, |bound| if bound < 0 { bound + size } else { bound }.clamp(low, high))
    };
    let (start, stop) =
        if step < 0 { (bound(start, high), bound(stop, low)) } else { (bound(start, low), bound(stop, high)) };
    let inside = |at: &i64| if step < 0 { *at > stop } else { *at < stop };
    std::iter::successors(Some(start), |at| at.checked_add(step)).take_while(inside).map(|at| at as u32).collect()
}
