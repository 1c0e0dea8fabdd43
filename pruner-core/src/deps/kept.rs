//! What is left of a network after cuts: sizes, positions and layouts of any dimension, evaluated from its expression.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::deps::expr::Expr;
use crate::deps::layout::Layout;
use crate::deps::{Analysis, AxisGroup, Group as _};
use crate::ids::{AxisId, GroupId, ValueId};
use crate::ops::Term;

/// The layout of each axis variable that occurs in a dimension, by variable.
type Layouts = Vec<(AxisId, Layout)>;

/// The coordinates of each group that are left, by their numbers before the first cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// The coordinates left of each axis variable that was cut, ascending.
    left: BTreeMap<AxisId, Vec<u32>>,
    /// Sizes of network inputs that are not those of the graph, such as another batch.
    resized: BTreeMap<AxisId, usize>,
}

impl Kept {
    /// Everything is left.
    pub fn all() -> Self {
        Self::default()
    }

    /// Whether everything is left, in the sizes of the graph.
    pub(super) fn is_all(&self) -> bool {
        self.left.is_empty() && self.resized.is_empty()
    }

    /// Takes coordinates of a group away; those that are gone already stay so.
    pub fn remove(&mut self, analysis: &Analysis, group: GroupId, coordinates: &[u32]) {
        let left = self.left_of(analysis, group);
        let mut gone = coordinates.to_vec();
        gone.sort_unstable();
        let mut gone = gone.into_iter().peekable();
        left.retain(|&coordinate| {
            while gone.next_if(|&next| next < coordinate).is_some() {}
            gone.peek() != Some(&coordinate)
        });
    }

    /// As [`remove`](Self::remove), for few coordinates of many.
    pub(super) fn remove_each(&mut self, analysis: &Analysis, group: GroupId, coordinates: &[u32]) {
        let left = self.left_of(analysis, group);
        for coordinate in coordinates {
            if let Ok(at) = left.binary_search(coordinate) {
                left.remove(at);
            }
        }
    }

    /// Puts coordinates of a group back; those that are there already stay so.
    pub(super) fn restore(&mut self, analysis: &Analysis, group: GroupId, coordinates: &[u32]) {
        let left = self.left_of(analysis, group);
        for &coordinate in coordinates {
            if let Err(at) = left.binary_search(&coordinate) {
                left.insert(at, coordinate);
            }
        }
    }

    /// The coordinates left of each group that was cut.
    pub fn groups(&self, analysis: &Analysis) -> BTreeMap<GroupId, Vec<u32>> {
        let cut = |group: &AxisGroup| Some((group.id(), self.of(group.axis())?.to_vec()));
        analysis.groups().iter().filter_map(cut).collect()
    }

    /// What [`groups`](Self::groups) gave.
    ///
    /// # Errors
    ///
    /// Which group cannot have been left like that.
    pub fn of_groups(analysis: &Analysis, left: &BTreeMap<GroupId, Vec<u32>>) -> Result<Self, String> {
        let mut kept = Self::all();
        for (&id, left) in left {
            let group = analysis.groups().get(id.index()).filter(|group| group.pin().is_none());
            let group = group.ok_or_else(|| format!("the network has no group {id} that could be cut"))?;
            let ascend = left.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascend || left.is_empty() || left.last().is_some_and(|&last| last as usize >= group.initial_size()) {
                return Err(format!("group {id} has {} coordinates, of which others are left", group.initial_size()));
            }
            kept.left.insert(group.axis(), left.clone());
        }
        Ok(kept)
    }

    fn left_of(&mut self, analysis: &Analysis, group: GroupId) -> &mut Vec<u32> {
        let group = &analysis.groups()[group.index()];
        self.left.entry(group.axis()).or_insert_with(|| group.all_coordinates())
    }

    /// Gives a network input another size; `false` where the axis is part of others and cannot follow.
    pub fn resize_input(&mut self, analysis: &Analysis, input: ValueId, dim: usize, size: usize) -> bool {
        let Some(Expr::Axis(axis)) = analysis.dims(input).get(dim) else { return false };
        self.resized.insert(*axis, size).is_none_or(|before| before == size)
    }

    /// The coordinates left of an axis variable; `None` where it was not cut.
    pub(super) fn of(&self, axis: AxisId) -> Option<&[u32]> {
        self.left.get(&axis).map(Vec::as_slice)
    }

    /// The size of a dimension.
    pub fn size(&self, analysis: &Analysis, e: &Expr) -> usize {
        match e {
            Expr::Axis(axis) => match (self.of(*axis), self.resized.get(axis)) {
                (Some(left), _) => left.len(),
                (None, Some(&size)) => size,
                (None, None) => analysis.axis_size(*axis),
            },
            Expr::Product(elements) => elements.iter().map(|e| self.size(analysis, e)).product(),
            Expr::Sum(elements) => elements.iter().map(|e| self.size(analysis, e)).sum(),
            Expr::Index(axis, indices) => match self.of(*axis) {
                Some(left) => indices.iter().filter(|index| left.binary_search(index).is_ok()).count(),
                None => indices.len(),
            },
        }
    }

    /// The positions left of a dimension, counted as before the first cut and ascending; `None` where all are.
    pub fn positions(&self, analysis: &Analysis, e: &Expr) -> Option<Vec<u32>> {
        if let Expr::Axis(axis) = e {
            return self.of(*axis).map(<[u32]>::to_vec);
        }
        let mut cut = false;
        e.each_axis(&mut |axis| cut |= self.left.contains_key(&axis));
        cut.then(|| {
            let mut positions = Vec::new();
            self.add_positions(analysis, e, 0, &mut positions);
            positions
        })
    }

    /// Adds the positions left of a part that begins at `start` of a dimension, and gives where it ends.
    fn add_positions(&self, analysis: &Analysis, e: &Expr, start: u32, positions: &mut Vec<u32>) -> u32 {
        match e {
            Expr::Axis(axis) => {
                let end = start + analysis.axis_size(*axis) as u32;
                match self.of(*axis) {
                    Some(left) => positions.extend(left.iter().map(|at| start + at)),
                    None => positions.extend(start..end),
                }
                end
            }
            Expr::Sum(elements) => {
                elements.iter().fold(start, |start, e| self.add_positions(analysis, e, start, positions))
            }
            Expr::Index(..) | Expr::Product(_) => {
                let mask = self.mask(analysis, e);
                positions.extend((start..).zip(&mask).filter_map(|(at, &kept)| kept.then_some(at)));
                start + mask.len() as u32
            }
        }
    }

    /// For every position of a dimension, whether it is left.
    fn mask(&self, analysis: &Analysis, e: &Expr) -> Vec<bool> {
        let of = |axis: AxisId| {
            let size = analysis.axis_size(axis);
            self.of(axis).map_or_else(
                || vec![true; size],
                |left| {
                    let mut mask = vec![false; size];
                    for &coordinate in left {
                        mask[coordinate as usize] = true;
                    }
                    mask
                },
            )
        };
        match e {
            Expr::Axis(axis) => of(*axis),
            Expr::Index(axis, indices) => {
                let mask = of(*axis);
                indices.iter().map(|&index| mask[index as usize]).collect()
            }
            Expr::Sum(elements) => elements.iter().flat_map(|e| self.mask(analysis, e)).collect(),
            Expr::Product(elements) => elements.iter().fold(vec![true], |outer, e| {
                let inner = self.mask(analysis, e);
                outer.iter().flat_map(|&o| inner.iter().map(move |&i| o && i)).collect()
            }),
        }
    }

    /// The layout of each axis variable in a dimension, in terms of the positions and coordinates that are left.
    pub(super) fn layouts(&self, analysis: &Analysis, e: &Expr) -> Layouts {
        let mut layouts = Layouts::new();
        self.add_layouts(analysis, e, &mut layouts);
        layouts
    }

    /// Adds the layouts of the variables of a dimension, and gives the positions that are left of it.
    fn add_layouts(&self, analysis: &Analysis, e: &Expr, layouts: &mut Layouts) -> usize {
        let first = layouts.len();
        match e {
            Expr::Axis(axis) => {
                let size = self.of(*axis).map_or_else(|| analysis.axis_size(*axis), <[u32]>::len);
                layouts.push((*axis, Layout::Identity(size)));
                size
            }
            Expr::Index(axis, indices) => {
                let table = self.of(*axis).map_or_else(
                    || indices.clone(),
                    |left| indices.iter().filter_map(|index| Some(left.binary_search(index).ok()? as u32)).collect(),
                );
                let size = table.len();
                layouts.push((*axis, Layout::Table(table)));
                size
            }
            Expr::Sum(elements) => {
                let parts = self.add_parts(analysis, elements, layouts);
                let len = parts.iter().map(|part| part.size).sum();
                let mut start = 0;
                for Part { size, of } in parts {
                    change(&mut layouts[of], |layout| layout.placed(start, len));
                    start += size;
                }
                join(layouts, first);
                len
            }
            Expr::Product(elements) => {
                let parts = self.add_parts(analysis, elements, layouts);
                let size = |parts: &[Part]| parts.iter().map(|part| part.size).product();
                for (index, part) in parts.iter().enumerate() {
                    let (outer, inner) = (size(&parts[..index]), size(&parts[index + 1..]));
                    change(&mut layouts[part.of.clone()], |layout| layout.repeated(outer, inner));
                }
                join(layouts, first);
                size(&parts)
            }
        }
    }

    fn add_parts(&self, analysis: &Analysis, elements: &[Expr], layouts: &mut Layouts) -> Vec<Part> {
        let mut parts = Vec::with_capacity(elements.len());
        for element in elements {
            let first = layouts.len();
            let size = self.add_layouts(analysis, element, layouts);
            parts.push(Part { size, of: first..layouts.len() });
        }
        parts
    }

    /// The size of a term of a rule whose factors stand for `factors`.
    pub(super) fn term_size(&self, analysis: &Analysis, term: &Term, factors: &[Expr]) -> usize {
        match term {
            Term::Factor(index) => self.size(analysis, &factors[*index]),
            Term::Product(terms) => terms.iter().map(|term| self.term_size(analysis, term, factors)).product(),
            Term::Sum(terms) => terms.iter().map(|term| self.term_size(analysis, term, factors)).sum(),
            Term::Index(index, indices) => {
                let mask = self.mask(analysis, &factors[*index]);
                indices.iter().filter(|&&index| mask[index as usize]).count()
            }
        }
    }
}

/// An element of a sum or a product: the positions that are left of it, and which layouts are of its variables.
struct Part {
    size: usize,
    of: Range<usize>,
}

fn change(layouts: &mut [(AxisId, Layout)], change: impl Fn(Layout) -> Layout) {
    for (_, layout) in layouts {
        *layout = change(std::mem::replace(layout, Layout::Identity(0)));
    }
}

/// Sorts the layouts from `first` on by their variables, and makes those of one variable one.
fn join(layouts: &mut Layouts, first: usize) {
    if layouts[first..].is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    let mut several = layouts.split_off(first);
    several.sort_by_key(|(axis, _)| *axis);
    let of_one = |same: &[(AxisId, Layout)]| match same {
        [one] => one.clone(),
        _ => (same[0].0, Layout::joined(same.iter().map(|(_, layout)| layout))),
    };
    layouts.extend(several.chunk_by(|a, b| a.0 == b.0).map(of_one));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deps::axes::Axes;
    use crate::graph::{Graph, TensorMeta};

    const SIZES: [usize; 4] = [2, 3, 1, 4];

    /// An analysis whose variables have these sizes.
    fn analysis() -> Analysis {
        let mut graph = Graph::new();
        let meta = TensorMeta::f32([2]);
        let weight = graph.add_parameter("w", meta.clone());
        let result = graph.call("aten::relu", vec![("self", weight.into())], meta);
        graph.set_outputs(vec![result]);
        let mut analysis = Analysis::new(&graph).expect("the graph is sound");
        let mut axes = Axes::default();
        for size in SIZES {
            axes.fresh(size);
        }
        analysis.axes = axes.into_axes();
        analysis
    }

    fn dims() -> impl Strategy<Value = Expr> {
        let axis = (0..SIZES.len()).prop_map(AxisId::new);
        let index = (axis.clone(), prop::collection::vec(any::<prop::sample::Index>(), 0..4));
        let leaf = prop_oneof![
            3 => axis.prop_map(Expr::Axis),
            1 => index.prop_map(|(axis, at)| {
                Expr::Index(axis, at.iter().map(|at| at.index(SIZES[axis.index()]) as u32).collect())
            }),
        ];
        leaf.prop_recursive(3, 12, 3, |element| {
            let elements = prop::collection::vec(element, 0..4);
            prop_oneof![elements.clone().prop_map(Expr::sum), elements.prop_map(Expr::product)]
        })
    }

    /// The coordinate of each position before the first cut: the definition of a layout, spelt out.
    fn table(e: &Expr, axis: AxisId) -> Vec<u32> {
        match e {
            Expr::Axis(own) if *own == axis => (0..SIZES[axis.index()] as u32).collect(),
            Expr::Axis(other) => vec![Layout::NONE; SIZES[other.index()]],
            Expr::Index(own, indices) if *own == axis => indices.to_vec(),
            Expr::Index(_, indices) => vec![Layout::NONE; indices.len()],
            Expr::Sum(elements) => elements.iter().flat_map(|e| table(e, axis)).collect(),
            Expr::Product(elements) => elements.iter().fold(vec![Layout::NONE], |outer, e| {
                let inner = table(e, axis);
                outer.iter().flat_map(|&o| inner.iter().map(move |&i| o.min(i))).collect()
            }),
        }
    }

    proptest! {
        #[test]
        fn a_layout_is_its_table_at_the_positions_that_are_left(
            e in dims(),
            cut in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), SIZES.len()),
        ) {
            let analysis = analysis();
            let mut kept = Kept::all();
            for (axis, cut) in cut.iter().enumerate().filter(|(_, cut)| cut[0]) {
                let left = (0..SIZES[axis]).filter(|&at| !cut[at]).map(|at| at as u32).collect();
                kept.left.insert(AxisId::new(axis), left);
            }
            let layouts = kept.layouts(&analysis, &e);
            for axis in (0..SIZES.len()).map(AxisId::new) {
                let left = kept.of(axis).map_or_else(|| (0..SIZES[axis.index()] as u32).collect(), <[u32]>::to_vec);
                let all = table(&e, axis);
                let positions = kept.positions(&analysis, &e).unwrap_or_else(|| (0..all.len() as u32).collect());
                let mask = kept.mask(&analysis, &e);
                prop_assert!(positions.iter().copied().eq((0..).zip(mask).filter(|(_, kept)| *kept).map(|(at, _)| at)));
                let expected: Vec<_> = positions
                    .iter()
                    .map(|&at| Some(all[at as usize]).filter(|&at| at != Layout::NONE))
                    .map(|at| at.map(|at| left.binary_search(&at).expect("its coordinate is left") as u32))
                    .collect();
                let found = layouts.iter().find(|(own, _)| *own == axis);
                prop_assert_eq!(found.is_some(), e.contains(axis));
                if let Some((_, layout)) = found {
                    prop_assert_eq!(layout.coordinates().collect::<Vec<_>>(), expected);
                }
            }
        }
    }
}
