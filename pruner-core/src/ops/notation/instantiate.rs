//! From pattern to rule: ellipses expanded, sizes found, shapes checked.

use std::ops::Range;

use super::{Expr, Name, Pattern, Size};
use crate::ops::build::Builder;
use crate::ops::error::RuleError;
use crate::ops::node::NodeView;
use crate::ops::rule::{Mark, Rewrite, Rule, Term};

impl Pattern {
    /// The rule of a node.
    ///
    /// The size of each factor is found from the shapes, one unknown in a product or sum at a time. `sizes` gives
    /// those that shapes do not tell; the rank of an ellipsis `a...` is given as `("a...", rank)`.
    pub fn instantiate(&self, node: &NodeView, sizes: &[(&str, i64)]) -> Result<Rule, RuleError> {
        let tensors = self.tensors(node)?;
        let mut expansion = Expansion::new(self, node, &tensors, sizes)?;
        let mut dims = Vec::with_capacity(tensors.len());
        for tensor in &tensors {
            dims.push(expansion.dims(node, tensor)?);
        }
        expansion.solve(&tensors, &dims);

        let mut rule = Builder::with_capacity(node, expansion.factors.len());
        for (factor, (name, mark)) in std::mem::take(&mut expansion.factors).into_iter().enumerate() {
            let size = expansion.sizes[factor];
            // What only absent tensors have can be of any size.
            let size = size.or_else(|| (!dims.iter().flatten().any(|term| term.mentions(factor))).then_some(1));
            match size {
                Some(size) => _ = rule.factor(name, size, mark),
                None => return Err(RuleError::Unsolved { node: node.describe(), factor: name }),
            }
        }
        for (tensor, mut terms) in tensors.iter().zip(dims) {
            for term in &mut terms {
                expansion.index(node, term, &rule)?;
            }
            match tensor.role {
                Role::Operand(slot) => rule.slot(slot, terms),
                Role::Result(_) => rule.result(terms),
            }
        }
        for (argument, size) in &self.arguments {
            let argument = argument.clone();
            rule.rewrite(match size {
                Size::One(expr) => Rewrite::Size { argument, term: expansion.term(expr) },
                Size::List(list) => Rewrite::Sizes { argument, terms: expansion.terms(list) },
            });
        }
        if let Some(macs) = &self.macs {
            rule.macs(expansion.term(macs));
        }
        rule.finish()
    }

    /// The tensors that are there, with what the pattern says of each. One of rank 0 has no axis, so that the pattern
    /// may leave it out.
    fn tensors<'p, 'g>(&'p self, node: &NodeView<'g>) -> Result<Vec<Tensor<'p, 'g>>, RuleError> {
        let count = |what, expected, found| RuleError::Count { node: node.describe(), what, expected, found };
        let mut tensors = Vec::with_capacity(self.operands.len() + self.results.len());
        for slot in 0..node.slots().len() {
            match (self.operands.get(slot), node.operand(slot)) {
                (Some(exprs), Some(shape)) => tensors.push(Tensor { role: Role::Operand(slot), exprs, shape }),
                (None, Some([_, ..])) => return Err(count("arguments", self.operands.len(), node.slots().len())),
                _ => {}
            }
        }
        let found = node.results().len();
        if self.results.len() > found {
            return Err(count("results", self.results.len(), found));
        }
        for (index, shape) in node.results().enumerate() {
            let exprs = match self.results.get(index) {
                Some(exprs) => exprs.as_slice(),
                None if shape.is_empty() => &[],
                None => return Err(count("results", self.results.len(), found)),
            };
            tensors.push(Tensor { role: Role::Result(index), exprs, shape });
        }
        Ok(tensors)
    }
}

/// A tensor of a node beside what the pattern says of it.
struct Tensor<'p, 'g> {
    role: Role,
    exprs: &'p [Expr],
    shape: &'g [i64],
}

enum Role {
    Operand(usize),
    Result(usize),
}

/// The factors that the names of a pattern stand for at a node.
struct Expansion<'p> {
    names: &'p [Name],
    /// The factors of each name.
    spans: Vec<Range<usize>>,
    factors: Vec<(String, Mark)>,
    sizes: Vec<Option<i64>>,
    /// The slices met so far: until sizes are known, an indexed term holds its place here.
    slices: Vec<[Option<i64>; 3]>,
}

impl<'p> Expansion<'p> {
    fn new(
        pattern: &'p Pattern,
        node: &NodeView,
        tensors: &[Tensor],
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
        while let Some((name, rank)) = tensors.iter().find_map(|tensor| tensor.open(&ranks)) {
            // The unnamed one is aligned at the right: the widest tensor tells its rank.
            let aligned = tensors.iter().filter(|_| pattern.names[name].text.is_empty());
            let aligned = aligned.filter_map(|tensor| tensor.open(&ranks)).filter(|(other, _)| *other == name);
            ranks[name] = aligned.map(|(_, rank)| rank).chain([rank]).max();
        }

        let mut this = Self {
            names: &pattern.names,
            factors: Vec::with_capacity(ranks.iter().flatten().sum()),
            spans: Vec::with_capacity(ranks.len()),
            sizes: Vec::new(),
            slices: Vec::new(),
        };
        for (place, (name, rank)) in pattern.names.iter().zip(ranks).enumerate() {
            let read = || tensors.iter().any(|tensor| tensor.exprs.iter().any(|expr| expr.is_name(place)));
            let Some(rank) = rank.or_else(|| (!read()).then_some(0)) else {
                let factor = format!("{}...", name.text);
                return Err(RuleError::Unsolved { node: node.describe(), factor });
            };
            let start = this.factors.len();
            if name.ellipsis {
                let stem = if name.text.is_empty() { "d" } else { &name.text };
                this.factors.extend((0..rank).map(|dim| (numbered(stem, dim), name.mark)));
            } else {
                this.factors.push((name.text.clone(), name.mark));
            }
            this.spans.push(start..this.factors.len());
        }
        let size = |name: &str| given.iter().find(|(key, _)| *key == name).map(|&(_, size)| size);
        this.sizes = this.factors.iter().map(|(name, _)| size(name)).collect();
        Ok(this)
    }

    /// The terms of a tensor, one per dimension.
    fn dims(&mut self, node: &NodeView, tensor: &Tensor) -> Result<Vec<Term>, RuleError> {
        let width = |expr: &Expr| if let Expr::Name(name, _) = expr { self.spans[*name].len() } else { 1 };
        let full: usize = tensor.exprs.iter().map(width).sum();
        let mut missing = full.saturating_sub(tensor.shape.len());
        let mut terms = Vec::with_capacity(tensor.shape.len());
        for expr in tensor.exprs {
            if let Expr::Slice(name, _, bounds) = expr {
                self.slices.push(*bounds);
                terms.push(Term::Index(self.spans[*name].start, vec![(self.slices.len() - 1) as u32]));
                continue;
            }
            // Operands of lower rank lack the first dimensions of the unnamed ellipsis.
            let shortens = matches!(expr, Expr::Name(name, _) if self.names[*name].text.is_empty());
            let skip = if shortens && matches!(tensor.role, Role::Operand(_)) { missing.min(width(expr)) } else { 0 };
            missing -= skip;
            self.extend(&mut terms, expr, skip);
        }
        if terms.len() == tensor.shape.len() {
            return Ok(terms);
        }
        let name = match tensor.role {
            Role::Operand(slot) => node.slot_name(slot),
            Role::Result(index) => format!("result {index}"),
        };
        let (expected, found) = (terms.len(), tensor.shape.len());
        Err(RuleError::Rank { node: node.describe(), tensor: name, expected, found })
    }

    /// Adds the terms that a written one stands for, several for an ellipsis, but for the first `skip` of them.
    fn extend(&self, terms: &mut Vec<Term>, expr: &Expr, skip: usize) {
        match expr {
            Expr::Name(name, _) => terms.extend(self.spans[*name].clone().skip(skip).map(Term::Factor)),
            expr => terms.push(self.term(expr)),
        }
    }

    /// The terms that written ones stand for.
    fn terms(&self, exprs: &[Expr]) -> Vec<Term> {
        let mut terms = Vec::with_capacity(exprs.len() + 1);
        for expr in exprs {
            self.extend(&mut terms, expr, 0);
        }
        terms
    }

    fn term(&self, expr: &Expr) -> Term {
        match expr {
            Expr::Unit => Term::UNIT,
            Expr::Name(name, _) if self.names[*name].ellipsis => Term::Product(self.terms(std::slice::from_ref(expr))),
            Expr::Name(name, _) | Expr::Slice(name, ..) => Term::Factor(self.spans[*name].start),
            Expr::Product(exprs) => Term::Product(self.terms(exprs)),
            Expr::Sum(exprs) => Term::Sum(self.terms(exprs)),
        }
    }

    /// Finds the sizes of factors. A dimension of size 1 may be broadcast, so it tells something only of factors that
    /// no other dimension tells of.
    fn solve(&mut self, tensors: &[Tensor], dims: &[Vec<Term>]) {
        let mut all: Vec<(&Term, i64)> = Vec::with_capacity(dims.iter().map(Vec::len).sum());
        for (tensor, terms) in tensors.iter().zip(dims) {
            all.extend(terms.iter().zip(tensor.shape.iter().copied()));
        }
        loop {
            while all.iter().any(|&(term, size)| size != 1 && self.learn(term, size)) {}
            if !all.iter().any(|&(term, size)| size == 1 && self.learn(term, size)) {
                return;
            }
        }
    }

    /// Whether a size has told the size of a factor.
    fn learn(&mut self, term: &Term, size: i64) -> bool {
        let terms = match term {
            Term::Factor(factor) if self.sizes[*factor].is_none() => {
                self.sizes[*factor] = Some(size);
                return true;
            }
            Term::Product(terms) | Term::Sum(terms) => terms,
            _ => return false,
        };
        let mut unknown = terms.iter().filter(|term| self.size(term).is_none());
        let (Some(first), None) = (unknown.next(), unknown.next()) else { return false };
        let mut known = terms.iter().filter_map(|term| self.size(term));
        let rest = match term {
            Term::Product(_) => {
                let known = known.fold(1, i64::saturating_mul);
                (known > 0 && size % known == 0).then(|| size / known)
            }
            _ => known.try_fold(size, i64::checked_sub).filter(|rest| *rest >= 0),
        };
        rest.is_some_and(|rest| self.learn(first, rest))
    }

    fn size(&self, term: &Term) -> Option<i64> {
        match term {
            Term::Factor(factor) | Term::Index(factor, _) => self.sizes[*factor],
            Term::Product(terms) => terms.iter().try_fold(1, |all: i64, term| all.checked_mul(self.size(term)?)),
            Term::Sum(terms) => terms.iter().try_fold(0, |all: i64, term| all.checked_add(self.size(term)?)),
        }
    }

    /// Makes positions of the slice that a term holds the place of.
    fn index(&self, node: &NodeView, term: &mut Term, rule: &Builder) -> Result<(), RuleError> {
        let Term::Index(factor, place) = term else { return Ok(()) };
        let size = rule.size(&Term::Factor(*factor));
        if !(0..=i64::from(u32::MAX)).contains(&size) {
            return Err(node.unsupported(format!("a slice of {size} positions")));
        }
        let bounds = place.first().map_or([None; 3], |&place| self.slices[place as usize]);
        *place = positions(bounds, size);
        Ok(())
    }
}

impl Tensor<'_, '_> {
    /// The ellipsis whose rank alone is not known, and the rank that is left for it.
    fn open(&self, ranks: &[Option<usize>]) -> Option<(usize, usize)> {
        let rank = |expr: &Expr| if let Expr::Name(name, _) = expr { ranks[*name] } else { Some(1) };
        let mut unknown = self.exprs.iter().filter(|expr| rank(expr).is_none());
        let (Some(Expr::Name(name, _)), None) = (unknown.next(), unknown.next()) else { return None };
        let fixed: usize = self.exprs.iter().filter_map(rank).sum();
        Some((*name, self.shape.len().saturating_sub(fixed)))
    }
}

impl Expr {
    fn is_name(&self, place: usize) -> bool {
        matches!(self, Self::Name(name, _) if *name == place)
    }
}

/// The name of a dimension of an ellipsis.
fn numbered(stem: &str, dim: usize) -> String {
    let mut name = String::with_capacity(stem.len() + 2);
    name.push_str(stem);
    match u32::try_from(dim).ok().and_then(|dim| char::from_digit(dim, 10)) {
        Some(digit) => name.push(digit),
        None => name.push_str(&dim.to_string()),
    }
    name
}

/// The positions that a slice takes of `size`, as in Python.
fn positions([from, to, step]: [Option<i64>; 3], size: i64) -> Vec<u32> {
    let step = step.unwrap_or(1);
    let (low, high) = if step < 0 { (-1, size - 1) } else { (0, size) };
    let bound = |bound: Option<i64>, default| {
        let from_front = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound };
        bound.map_or(default, |bound| from_front(bound).clamp(low, high.max(low)))
    };
    let (first, last) = if step < 0 { (high, low) } else { (low, high) };
    let (from, to) = (bound(from, first), bound(to, last));
    let inside = |at: &i64| if step < 0 { *at > to } else { *at < to };
    std::iter::successors(Some(from), |at| at.checked_add(step)).take_while(inside).map(|at| at as u32).collect()
}
