//! Uses: what a node does to each factor of its rule.

use crate::ops::{Rule, Term};

/// What a node does to a factor of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is an axis of a result.
    Kept,
    /// Several operands have it and no result.
    Contracted,
    /// One operand has it and no result: the row says what that means.
    Reduced,
}

/// The uses of all factors of a rule, and which tensors have which.
#[derive(Clone, Debug)]
pub(crate) struct Uses {
    of: Vec<Use>,
    /// For each operand, whether the node sums over a dimension of it.
    sums: Vec<bool>,
    slots: usize,
    tensors: usize,
    /// For each factor, whether each of the tensors has it: the operands first, then the results.
    has: Vec<bool>,
}

impl Uses {
    pub(super) fn new(rule: &Rule) -> Self {
        let slots = rule.operands.len();
        let tensors = slots + rule.results.len();
        let mut has = vec![false; tensors * rule.factors.len()];
        let operands = rule.operands.iter().map(|terms| terms.as_deref().unwrap_or_default());
        for (tensor, terms) in operands.chain(rule.results.iter().map(Vec::as_slice)).enumerate() {
            for term in terms {
                term.each_factor(&mut |factor| has[factor * tensors + tensor] = true);
            }
        }
        let of_factor = |factor: usize| {
            let (read, made) = has[factor * tensors..][..tensors].split_at(slots);
            match read.iter().filter(|has| **has).count() {
                _ if made.contains(&true) => Use::Kept,
                0 | 1 => Use::Reduced,
                _ => Use::Contracted,
            }
        };
        let of = (0..rule.factors.len()).map(of_factor).collect();
        let mut uses = Self { of, sums: Vec::new(), slots, tensors, has };
        let sums = |terms: &[Term]| (0..terms.len()).any(|dim| uses.sums_over(terms, dim, &|_| true));
        uses.sums = rule.operands.iter().map(|terms| terms.as_deref().is_some_and(sums)).collect();
        uses
    }

    /// Whether the node sums over a dimension of the operand in a slot.
    pub(super) fn sums(&self, slot: usize) -> bool {
        self.sums[slot]
    }

    /// Whether a dimension of an operand has factors that `of` tells, and the node sums over all of them. A factor that an earlier
    /// dimension has, too, is summed over and made anew, as in the recurrent weights of a cell.
    pub(super) fn sums_over(&self, terms: &[Term], dim: usize, of: &dyn Fn(usize) -> bool) -> bool {
        let recurs = |factor| terms[..dim].iter().any(|earlier| earlier.mentions(factor));
        let (mut any, mut kept) = (false, false);
        terms[dim].each_factor(&mut |factor| {
            if of(factor) {
                any = true;
                kept |= self.of(factor) == Use::Kept && !recurs(factor);
            }
        });
        any && !kept
    }

    /// The use of each factor.
    pub(super) fn all(&self) -> &[Use] {
        &self.of
    }

    /// The use of a factor.
    pub(super) fn of(&self, factor: usize) -> Use {
        self.of[factor]
    }

    /// Whether the operand in a slot has a factor.
    pub(super) fn reads(&self, slot: usize, factor: usize) -> bool {
        self.has[factor * self.tensors + slot]
    }

    /// Whether a result has a factor.
    pub(super) fn makes(&self, result: usize, factor: usize) -> bool {
        self.has[factor * self.tensors + self.slots + result]
    }

    /// The slots of the operands that have a factor.
    pub(super) fn slots(&self, factor: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots).filter(move |&slot| self.reads(slot, factor))
    }
}
