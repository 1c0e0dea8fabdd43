//! Axes joined position by position, where products and sums have no common refinement.
//!
//! An indexed axis keeps for every position the coordinate that it belongs to. Anything can be written as one:
//! a product by holding on to one factor and pinning the others. Two dimensions are joined by merging the
//! coordinates that meet at a position.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::deps::axes::Axes;
use crate::deps::expr::Expr;
use crate::ids::AxisId;

impl Axes {
    /// The positions `indices` of `e`.
    pub(crate) fn index(&mut self, e: &Expr, indices: &[u32]) -> Expr {
        let e = self.resolve(e);
        if indices.len() == self.size(&e) && indices.iter().enumerate().all(|(i, &index)| i == index as usize) {
            return e;
        }
        match &e {
            Expr::Axis(axis) => Expr::Index(*axis, indices.into()),
            Expr::Index(axis, inner) => {
                Expr::Index(*axis, indices.iter().map(|&index| inner[index as usize]).collect())
            }
            Expr::Product(_) => {
                let flat = self.flatten(&e);
                self.index(&flat, indices)
            }
            Expr::Sum(_) => {
                let positions = self.positions(&e);
                let taken: Vec<_> = indices.iter().map(|&index| positions[index as usize]).collect();
                self.express(&taken)
            }
        }
    }

    /// `e` without products: of each, one factor is held on to and the others are pinned.
    pub(super) fn flatten(&mut self, e: &Expr) -> Expr {
        let positions = self.positions(e);
        self.express(&positions)
    }

    /// The variable and coordinate of every position of `e`; what cannot be expressed so is pinned.
    fn positions(&mut self, e: &Expr) -> Vec<(AxisId, u32)> {
        match self.resolve(e) {
            Expr::Axis(axis) => (0..self.axis(axis).size as u32).map(|i| (axis, i)).collect(),
            Expr::Index(axis, indices) => indices.iter().map(|&i| (axis, i)).collect(),
            Expr::Sum(elements) => elements.iter().flat_map(|e| self.positions(e)).collect(),
            Expr::Product(elements) if elements.is_empty() => {
                let unit = self.fresh_axis(1);
                self.pin_no_refinement(&Expr::Axis(unit));
                vec![(unit, 0)]
            }
            Expr::Product(elements) => {
                let held = self.held(&elements);
                for (i, element) in elements.iter().enumerate() {
                    if i != held {
                        self.pin_no_refinement(element);
                    }
                }
                let inner: usize = elements[held + 1..].iter().map(|e| self.size(e)).product();
                let outer: usize = elements[..held].iter().map(|e| self.size(e)).product();
                let own = self.positions(&elements[held]);
                let block: Vec<_> = own.iter().flat_map(|&position| std::iter::repeat_n(position, inner)).collect();
                block.repeat(outer)
            }
        }
    }

    /// The element of a product that is held on to when its positions are joined one by one: the largest that may be cut.
    pub(super) fn held(&mut self, elements: &[Expr]) -> usize {
        (0..elements.len())
            .max_by_key(|&i| (!self.is_pinned(&elements[i]), self.size(&elements[i]), elements.len() - i))
            .expect("a product has elements")
    }

    /// The expression of the given positions: runs on one variable, one after the other.
    fn express(&self, positions: &[(AxisId, u32)]) -> Expr {
        let runs = positions.chunk_by(|a, b| a.0 == b.0);
        Expr::sum(
            runs.map(|run| {
                let axis = run[0].0;
                let whole = run.len() == self.axis(axis).size
                    && run.iter().enumerate().all(|(i, &(_, index))| i == index as usize);
                if whole { Expr::Axis(axis) } else { Expr::Index(axis, run.iter().map(|&(_, index)| index).collect()) }
            })
            .collect(),
        )
    }

    /// Makes two dimensions of one size the same by merging the coordinates that meet at each position.
    pub(super) fn join_positions(&mut self, left: &Expr, right: &Expr) {
        let (left, right) = (self.positions(left), self.positions(right));
        self.merge(left.into_iter().zip(right));
    }

    /// Divides an indexed axis: the larger side keeps its coordinates, the other is pinned.
    pub(super) fn factor_index(&mut self, axis: AxisId, indices: &Arc<[u32]>, inner: usize) -> (Expr, Expr) {
        let outer = indices.len() / inner;
        if inner >= outer {
            let first = indices[..inner].to_vec();
            let pairs = (inner..indices.len()).map(|p| ((axis, first[p % inner]), (axis, indices[p])));
            self.merge(pairs);
            (self.pinned(outer), Expr::Index(axis, first.into()))
        } else {
            let first: Vec<u32> = indices.iter().copied().step_by(inner).collect();
            let pairs = (0..indices.len()).map(|p| ((axis, first[p / inner]), (axis, indices[p])));
            self.merge(pairs);
            (Expr::Index(axis, first.into()), self.pinned(inner))
        }
    }

    /// Makes coordinates one: the variables that they belong to are bound to a new one that has a coordinate for each
    /// class. Classes with a pinned coordinate go to a variable of their own, so that they pin no other.
    fn merge(&mut self, pairs: impl Iterator<Item = ((AxisId, u32), (AxisId, u32))>) {
        let pairs: Vec<_> = pairs.filter(|(a, b)| a != b).collect();
        if pairs.is_empty() {
            return;
        }
        let mut start = BTreeMap::new();
        for axis in pairs.iter().flat_map(|(a, b)| [a.0, b.0]) {
            start.insert(axis, 0);
        }
        let mut total = 0;
        for (axis, start) in &mut start {
            *start = total;
            total += self.axis(*axis).size;
        }
        let mut leader: Vec<usize> = (0..total).collect();
        for (a, b) in pairs {
            let (a, b) = (find(&mut leader, start[&a.0] + a.1 as usize), find(&mut leader, start[&b.0] + b.1 as usize));
            leader[a.max(b)] = a.min(b);
        }
        let leaders: Vec<usize> = (0..total).map(|at| find(&mut leader, at)).collect();
        let mut pinned = vec![false; total];
        for (axis, start) in &start {
            if self.axis(*axis).pin.is_some() {
                for at in *start..start + self.axis(*axis).size {
                    pinned[leaders[at]] = true;
                }
            }
        }
        let (mut class, mut sizes) = (vec![0; total], [0_usize; 2]);
        for at in (0..total).filter(|&at| leaders[at] == at) {
            let size = &mut sizes[usize::from(pinned[at])];
            class[at] = *size as u32;
            *size += 1;
        }
        let variables = sizes.map(|size| self.fresh_axis(size));
        for (axis, start) in start {
            let positions: Vec<_> = leaders[start..start + self.axis(axis).size]
                .iter()
                .map(|&at| (variables[usize::from(pinned[at])], class[at]))
                .collect();
            let e = self.express(&positions);
            self.bind(axis, &e);
        }
    }
}

fn find(leader: &mut [usize], mut at: usize) -> usize {
    while leader[at] != at {
        leader[at] = leader[leader[at]];
        at = leader[at];
    }
    at
}
