//! Expressions divided: into parts that follow each other, and into an outer and an inner factor.

use crate::deps::axes::{Axes, SizeMismatch};
use crate::deps::expr::Expr;

impl Axes {
    /// Divides `e` into its first `at` positions and the rest.
    pub(super) fn split(&mut self, e: &Expr, at: usize) -> (Expr, Expr) {
        let e = self.resolve(e);
        let size = self.size(&e);
        debug_assert!(at <= size, "a split is inside of what it divides");
        if at == 0 {
            return (Expr::sum(Vec::new()), e);
        }
        if at == size {
            return (e, Expr::sum(Vec::new()));
        }
        match &e {
            Expr::Axis(axis) => {
                let (left, right) = (self.fresh(at), self.fresh(size - at));
                self.bind(*axis, &Expr::sum(vec![left.clone(), right.clone()]));
                (left, right)
            }
            Expr::Sum(elements) => {
                let (mut left, mut right, mut start) = (Vec::new(), Vec::new(), 0);
                for element in elements.iter() {
                    let end = start + self.size(element);
                    if end <= at {
                        left.push(element.clone());
                    } else if start >= at {
                        right.push(element.clone());
                    } else {
                        let (head, tail) = self.split(element, at - start);
                        left.push(head);
                        right.push(tail);
                    }
                    start = end;
                }
                (Expr::sum(left), Expr::sum(right))
            }
            Expr::Product(elements) => {
                let inner: usize = elements[1..].iter().map(|e| self.size(e)).product();
                if at.is_multiple_of(inner) {
                    let (head, tail) = self.split(&elements[0], at / inner);
                    let times = |outer: Expr| {
                        Expr::product(std::iter::once(outer).chain(elements[1..].iter().cloned()).collect())
                    };
                    (times(head), times(tail))
                } else {
                    let indexed = self.flatten(&e);
                    self.split(&indexed, at)
                }
            }
            Expr::Index(axis, indices) => {
                (Expr::Index(*axis, indices[..at].into()), Expr::Index(*axis, indices[at..].into()))
            }
        }
    }

    /// Divides `e` into an outer part and an inner one of `inner` positions, row-major.
    pub(super) fn factor(&mut self, e: &Expr, inner: usize) -> Result<(Expr, Expr), SizeMismatch> {
        let e = self.resolve(e);
        let size = self.size(&e);
        debug_assert!(inner > 0 && size.is_multiple_of(inner), "a factor divides what it factors");
        if inner == 1 {
            return Ok((e, Expr::unit()));
        }
        if inner == size {
            return Ok((Expr::unit(), e));
        }
        match &e {
            Expr::Axis(axis) => {
                let (outside, inside) = (self.fresh(size / inner), self.fresh(inner));
                self.bind(*axis, &Expr::product(vec![outside.clone(), inside.clone()]));
                Ok((outside, inside))
            }
            Expr::Product(elements) => {
                let (mut outside, mut inside, mut wanted) = (elements.to_vec(), Vec::new(), inner);
                while wanted > 1 {
                    let last = outside.pop().expect("the product of all elements is a multiple of what is wanted");
                    let n = self.size(&last);
                    if wanted.is_multiple_of(n) {
                        inside.push(last);
                        wanted /= n;
                    } else if n.is_multiple_of(wanted) {
                        let (outer, inner) = self.factor(&last, wanted)?;
                        outside.push(outer);
                        inside.push(inner);
                        wanted = 1;
                    } else {
                        let indexed = self.flatten(&e);
                        return self.factor(&indexed, inner);
                    }
                }
                inside.reverse();
                Ok((Expr::product(outside), Expr::product(inside)))
            }
            Expr::Sum(elements) if elements.iter().all(|e| self.size(e).is_multiple_of(inner)) => {
                let (mut outside, mut inside) = (Vec::new(), None);
                for element in elements.iter() {
                    let (outer, inner) = self.factor(element, inner)?;
                    outside.push(if self.size(&outer) == 1 { self.pinned(1) } else { outer });
                    match &inside {
                        None => inside = Some(inner),
                        Some(first) => self.unify(first, &inner)?,
                    }
                }
                Ok((Expr::sum(outside), inside.expect("a sum has elements")))
            }
            Expr::Sum(_) => {
                let (first, mut rest) = self.split(&e, inner);
                while self.size(&rest) > 0 {
                    let (piece, tail) = self.split(&rest, inner);
                    self.unify(&first, &piece)?;
                    rest = tail;
                }
                Ok((self.pinned(size / inner), first))
            }
            Expr::Index(axis, indices) => Ok(self.factor_index(*axis, indices, inner)),
        }
    }
}
