//! Axis variables and their unification: the union–find that the analysis stands on.
//!
//! A variable is free, or bound to an expression of other variables, which then stands for it everywhere. Unifying two
//! expressions binds variables until both read the same. Every expression has a common refinement with every other
//! of its size: where products and sums have none, the positions of the dimension are joined one by one ([`positions`]),
//! at the price of pinning the factors that cannot take part.
//!
//! [`positions`]: super::positions

use crate::deps::expr::Expr;
use crate::ids::{AxisId, NodeId};

/// Why a variable may not be cut. A [`Pin`](super::Pin) says the same with the names of operations and factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It is an axis of an argument of the network.
    GraphInput,
    /// It is an axis of a result of the network.
    GraphOutput,
    /// A node depends on every position of a factor of its rule.
    Operation { node: NodeId, factor: usize },
    /// A node has no rule.
    NoRule(NodeId),
    /// Two ways to divide it meet at a node and have no common refinement.
    NoRefinement(NodeId),
}

/// What is known of one axis variable.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// The positions.
    pub(crate) size: usize,
    /// Why it may not be cut.
    pub(crate) pin: Option<Cause>,
    /// The node at which cutting it changes a statistic.
    pub(crate) inexact: Option<NodeId>,
    bound: Option<Expr>,
}

/// Two dimensions that were to be one have different sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an axis of {left} and one of {right} cannot be the same")]
pub struct SizeMismatch {
    pub(crate) left: usize,
    pub(crate) right: usize,
}

/// All axis variables of an analysis.
#[derive(Debug, Default)]
pub(crate) struct Axes {
    axes: Vec<Axis>,
    /// The node being looked at: where factors that cannot take part in a refinement are pinned.
    node: Option<NodeId>,
}

impl Axes {
    pub(crate) fn fresh(&mut self, size: usize) -> Expr {
        Expr::Axis(self.fresh_axis(size))
    }

    pub(super) fn fresh_axis(&mut self, size: usize) -> AxisId {
        self.axes.push(Axis { size, pin: None, inexact: None, bound: None });
        AxisId::new(self.axes.len() - 1)
    }

    pub(super) fn axis(&self, axis: AxisId) -> &Axis {
        &self.axes[axis.index()]
    }

    /// Says which node is being looked at.
    pub(crate) fn look_at(&mut self, node: NodeId) {
        self.node = Some(node);
    }

    /// The variables as they are when the analysis is done.
    pub(crate) fn into_axes(self) -> Vec<Axis> {
        self.axes
    }

    pub(crate) fn size(&self, e: &Expr) -> usize {
        match e {
            Expr::Axis(axis) => self.axes[axis.index()].size,
            Expr::Product(elements) => elements.iter().map(|e| self.size(e)).product(),
            Expr::Sum(elements) => elements.iter().map(|e| self.size(e)).sum(),
            Expr::Index(_, indices) => indices.len(),
        }
    }

    /// The expression that `e` stands for: no product in a product, no sum in a sum, no bound variable.
    pub(crate) fn resolve(&mut self, e: &Expr) -> Expr {
        if self.is_resolved(e) {
            return e.clone();
        }
        match e {
            Expr::Axis(axis) => self.find(*axis),
            Expr::Product(elements) => {
                let mut flat = Vec::with_capacity(elements.len());
                for element in elements.iter() {
                    match self.resolve(element) {
                        Expr::Product(inner) => flat.extend(inner.iter().cloned()),
                        // Left out, it must stay: the one position would take the whole product with it.
                        other if self.size(&other) == 1 => self.pin_no_refinement(&other),
                        other => flat.push(other),
                    }
                }
                Expr::product(flat)
            }
            Expr::Sum(elements) => {
                let mut flat = Vec::with_capacity(elements.len());
                for element in elements.iter() {
                    match self.resolve(element) {
                        Expr::Sum(inner) => flat.extend(inner.iter().cloned()),
                        other if self.size(&other) == 0 => {}
                        other => flat.push(other),
                    }
                }
                Expr::sum(flat)
            }
            Expr::Index(axis, indices) => match self.find(*axis) {
                Expr::Axis(root) => Expr::Index(root, indices.clone()),
                base => self.index(&base, indices),
            },
        }
    }

    /// Whether `e` stands for itself.
    fn is_resolved(&self, e: &Expr) -> bool {
        match e {
            Expr::Axis(axis) | Expr::Index(axis, _) => self.axis(*axis).bound.is_none(),
            Expr::Product(elements) => {
                let stays = |e: &Expr| !matches!(e, Expr::Product(_)) && self.is_resolved(e) && self.size(e) != 1;
                elements.len() != 1 && elements.iter().all(stays)
            }
            Expr::Sum(elements) => {
                let stays = |e: &Expr| !matches!(e, Expr::Sum(_)) && self.is_resolved(e) && self.size(e) != 0;
                elements.len() != 1 && elements.iter().all(stays)
            }
        }
    }

    /// What the variable stands for, with the path to it shortened.
    fn find(&mut self, axis: AxisId) -> Expr {
        let mut root = axis;
        while let Some(Expr::Axis(next)) = self.axes[root.index()].bound {
            root = next;
        }
        let mut at = axis;
        while let Some(Expr::Axis(next)) = self.axes[at.index()].bound {
            if next == root {
                break;
            }
            self.axes[at.index()].bound = Some(Expr::Axis(root));
            at = next;
        }
        match &self.axes[root.index()].bound {
            None => Expr::Axis(root),
            Some(bound) if self.is_resolved(bound) => bound.clone(),
            Some(bound) => {
                let bound = self.resolve(&bound.clone());
                self.axes[root.index()].bound = Some(bound.clone());
                bound
            }
        }
    }

    /// Binds the free variable `axis` to `e`, in which it does not occur.
    pub(super) fn bind(&mut self, axis: AxisId, e: &Expr) {
        let Axis { pin, inexact, ref mut bound, .. } = self.axes[axis.index()];
        *bound = Some(e.clone());
        if let Some(cause) = pin {
            self.pin(e, cause);
        }
        if let Some(node) = inexact {
            self.mark_inexact(e, node);
        }
    }

    /// Says that no variable of `e` may be cut; the first reason given stays.
    pub(crate) fn pin(&mut self, e: &Expr, cause: Cause) {
        self.each_free(e, &mut |axis| {
            axis.pin.get_or_insert(cause);
        });
    }

    /// Says that cutting a variable of `e` changes a statistic at `node`.
    pub(crate) fn mark_inexact(&mut self, e: &Expr, node: NodeId) {
        self.each_free(e, &mut |axis| {
            axis.inexact.get_or_insert(node);
        });
    }

    /// Whether some variable of `e` may not be cut.
    pub(super) fn is_pinned(&mut self, e: &Expr) -> bool {
        let mut pinned = false;
        self.each_free(e, &mut |axis| pinned |= axis.pin.is_some());
        pinned
    }

    fn each_free(&mut self, e: &Expr, visit: &mut impl FnMut(&mut Axis)) {
        match self.resolve(e) {
            Expr::Axis(axis) | Expr::Index(axis, _) => visit(&mut self.axes[axis.index()]),
            Expr::Product(elements) | Expr::Sum(elements) => {
                elements.iter().for_each(|e| self.each_free(e, visit));
            }
        }
    }

    /// Says that two dimensions are the same axis.
    pub(crate) fn unify(&mut self, left: &Expr, right: &Expr) -> Result<(), SizeMismatch> {
        let mut pending = Vec::new();
        self.align(left, right, &mut pending)?;
        while let Some((left, right)) = pending.pop() {
            self.align(&left, &right, &mut pending)?;
        }
        Ok(())
    }

    /// Binds variables until two dimensions read the same, but for the parts of them that are left in `pending`.
    fn align(&mut self, left: &Expr, right: &Expr, pending: &mut Vec<(Expr, Expr)>) -> Result<(), SizeMismatch> {
        let (left, right) = (self.resolve(left), self.resolve(right));
        let sizes = SizeMismatch { left: self.size(&left), right: self.size(&right) };
        if sizes.left != sizes.right {
            return Err(sizes);
        }
        if sizes.left == 0 {
            return Ok(());
        }
        match (&left, &right) {
            (Expr::Axis(a), Expr::Axis(b)) => {
                if a != b {
                    self.bind(*a.max(b), &Expr::Axis(*a.min(b)));
                }
            }
            (Expr::Axis(axis), e) | (e, Expr::Axis(axis)) => {
                if e.contains(*axis) {
                    self.join_positions(&left, &right);
                } else {
                    self.bind(*axis, e);
                }
            }
            (Expr::Sum(a), Expr::Sum(b)) => self.align_sums(a, b, pending),
            (Expr::Sum(sum), other) | (other, Expr::Sum(sum)) => self.align_sum(sum, other, pending)?,
            (Expr::Product(a), Expr::Product(b)) => self.align_products(a, b, pending)?,
            (Expr::Index(..), _) | (_, Expr::Index(..)) => {
                if left != right {
                    self.join_positions(&left, &right);
                }
            }
        }
        Ok(())
    }

    /// Sum against sum: both are split wherever one of them has a boundary.
    fn align_sums(&mut self, a: &[Expr], b: &[Expr], pending: &mut Vec<(Expr, Expr)>) {
        let (mut a, mut b) = (a.iter().cloned(), b.iter().cloned());
        let (mut x, mut y) = (a.next(), b.next());
        while let (Some(left), Some(right)) = (x, y) {
            let (m, n) = (self.size(&left), self.size(&right));
            let (head_left, rest_left) = if m > n { self.split(&left, n) } else { (left, Expr::sum(Vec::new())) };
            let (head_right, rest_right) = if n > m { self.split(&right, m) } else { (right, Expr::sum(Vec::new())) };
            pending.push((head_left, head_right));
            x = if m > n { Some(rest_left) } else { a.next() };
            y = if n > m { Some(rest_right) } else { b.next() };
        }
    }

    /// Sum against a product or an indexed axis.
    fn align_sum(&mut self, sum: &[Expr], other: &Expr, pending: &mut Vec<(Expr, Expr)>) -> Result<(), SizeMismatch> {
        let inner = match other {
            Expr::Product(elements) => elements[1..].iter().map(|e| self.size(e)).product(),
            _ => 1,
        };
        if sum.iter().all(|e| self.size(e).is_multiple_of(inner)) {
            let mut rest = other.clone();
            for element in sum {
                let (head, tail) = self.split(&rest, self.size(element));
                pending.push((element.clone(), head));
                rest = tail;
            }
        } else {
            let Expr::Product(elements) = other else { unreachable!("every size is a multiple of 1") };
            // Factoring keeps the inner elements at the price of the outer one.
            if self.held(elements) == 0 {
                self.join_positions(&Expr::Sum(sum.into()), other);
                return Ok(());
            }
            let (outer, inside) = self.factor(&Expr::Sum(sum.into()), inner)?;
            pending.push((inside, Expr::product(elements[1..].to_vec())));
            pending.push((outer, elements[0].clone()));
        }
        Ok(())
    }

    /// Product against product: factors are aligned from the right by common divisors.
    fn align_products(&mut self, a: &[Expr], b: &[Expr], pending: &mut Vec<(Expr, Expr)>) -> Result<(), SizeMismatch> {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        while let (Some(x), Some(y)) = (a.pop(), b.pop()) {
            let (m, n) = (self.size(&x), self.size(&y));
            let common = gcd(m, n);
            if common == 1 {
                a.push(x);
                b.push(y);
                self.join_positions(&Expr::product(a), &Expr::product(b));
                return Ok(());
            }
            let (outer_left, inner_left) = self.factor(&x, common)?;
            let (outer_right, inner_right) = self.factor(&y, common)?;
            pending.push((inner_left, inner_right));
            if m > common {
                a.push(outer_left);
            }
            if n > common {
                b.push(outer_right);
            }
        }
        Ok(())
    }

    /// A variable that cannot take part in a refinement.
    pub(super) fn pinned(&mut self, size: usize) -> Expr {
        let e = self.fresh(size);
        self.pin_no_refinement(&e);
        e
    }

    /// Pins what cannot take part in a refinement.
    pub(super) fn pin_no_refinement(&mut self, e: &Expr) {
        let node = self.node.expect("axes are refined only while a node is looked at");
        self.pin(e, Cause::NoRefinement(node));
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
