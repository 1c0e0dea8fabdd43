//! Layouts: where in a dimension the coordinates of a group are.

use std::sync::Arc;

/// Which coordinate of a group each position of a dimension belongs to.
///
/// Layouts are equal if every position has the same coordinate in both, whatever form they have.
#[derive(Clone, Debug)]
pub enum Layout {
    /// Position `i` is coordinate `i`.
    Identity(usize),
    /// The coordinates in order, at regular places.
    Blocks(Blocks),
    /// The coordinate of each position; [`Layout::NONE`] where the position belongs to another group.
    Table(Arc<[u32]>),
}

/// A layout that takes no more room in a long dimension than in a short one, such as that of one of many concatenated
/// parts, or of one factor of a product. [`Layout::placed`] and [`Layout::repeated`] make it.
///
/// A block is the coordinates `0..size` in order, each `inner` positions long. There are `outer` of them, one every
/// `period` positions from `start` on; the other positions of the dimension belong to other groups.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    len: usize,
    start: usize,
    outer: usize,
    period: usize,
    size: usize,
    inner: usize,
}

impl Layout {
    /// The entry of a table at a position that belongs to another group.
    pub const NONE: u32 = u32::MAX;

    /// The positions of the dimension.
    pub fn len(&self) -> usize {
        match self {
            Self::Identity(len) => *len,
            Self::Blocks(blocks) => blocks.len,
            Self::Table(table) => table.len(),
        }
    }

    /// Whether the dimension has no positions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The coordinate of each position, `None` where it belongs to another group.
    pub fn coordinates(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        let mut places = self.places().peekable();
        (0..self.len()).map(move |position| Some(places.next_if(|&(at, _)| at == position)?.1))
    }

    /// The positions that belong to the group, ascending, each with its coordinate.
    ///
    /// It passes over what belongs to other groups, which in a concatenation is nearly all.
    pub fn places(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let table = if let Self::Table(table) = self { &table[..] } else { &[] };
        let spelt_out = table.iter().copied().enumerate().filter(|&(_, coordinate)| coordinate != Self::NONE);
        self.blocks().into_iter().flat_map(Blocks::places).chain(spelt_out)
    }

    /// Whether the position belongs to the group.
    pub fn has(&self, position: usize) -> bool {
        if let Self::Table(table) = self {
            return table.get(position).is_some_and(|&coordinate| coordinate != Self::NONE);
        }
        self.blocks().is_some_and(|Blocks { start, outer, period, size, inner, .. }| {
            let behind = position.checked_sub(start).filter(|_| period > 0);
            behind.is_some_and(|at| at / period < outer && at % period < size * inner)
        })
    }

    /// The layout as blocks, unless it is spelt out.
    fn blocks(&self) -> Option<Blocks> {
        match self {
            Self::Identity(size) => Some(Blocks::of(*size)),
            Self::Blocks(blocks) => Some(*blocks),
            Self::Table(_) => None,
        }
    }

    /// How many coordinates there are, from 0 on, and how many positions each of them has; `None` for a table, which may
    /// have some coordinates and not others.
    pub fn regular(&self) -> Option<(usize, usize)> {
        let Blocks { outer, size, inner, .. } = self.blocks()?;
        Some(if outer * inner == 0 { (0, 0) } else { (size, outer * inner) })
    }

    /// How many positions of a coordinate follow each other wherever it occurs; 1 for a table.
    pub fn run(&self) -> usize {
        self.blocks().map_or(1, |blocks| blocks.inner)
    }

    /// Where the coordinates begin that follow each other in one stretch, in order; how many they are, and how many positions each has. `None`
    /// where they are at several places or spelt out.
    pub fn stretch(&self) -> Option<(usize, usize, usize)> {
        let Blocks { start, outer, size, inner, .. } = self.blocks()?;
        (outer == 1).then_some((start, size, inner))
    }

    /// The layout in a dimension of `len` positions, of which those from `start` on are this one's and the others belong
    /// to other groups.
    #[must_use]
    pub fn placed(self, start: usize, len: usize) -> Self {
        debug_assert!(start + self.len() <= len, "a part is inside of the whole");
        if let Some(blocks) = self.blocks() {
            return Blocks { len, start: start + blocks.start, ..blocks }.into();
        }
        if self.len() == len {
            return self;
        }
        let mut whole = vec![Self::NONE; len];
        self.places().for_each(|(position, coordinate)| whole[start + position] = coordinate);
        Self::Table(whole.into())
    }

    /// The layout in a product of `outer` positions, this dimension and `inner` positions, row-major.
    #[must_use]
    pub fn repeated(self, outer: usize, inner: usize) -> Self {
        if let Some(blocks) = self.blocks().and_then(|blocks| blocks.repeated(outer, inner)) {
            return blocks.into();
        }
        let entries = self.coordinates().map(|coordinate| coordinate.unwrap_or(Self::NONE));
        let block: Vec<_> = entries.flat_map(|entry| std::iter::repeat_n(entry, inner)).collect();
        Self::Table(block.repeat(outer).into())
    }

    /// The layout that has the places of all of `layouts`, which are of one dimension.
    ///
    /// Where one position has several coordinates, it has the least of them.
    pub(super) fn joined<'a>(layouts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut table = Vec::new();
        for layout in layouts {
            table.resize(layout.len(), Self::NONE);
            layout.places().for_each(|(position, coordinate)| table[position] = coordinate.min(table[position]));
        }
        Self::Table(table.into())
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.places().eq(other.places())
    }
}

impl Eq for Layout {}

impl From<Blocks> for Layout {
    fn from(blocks: Blocks) -> Self {
        let Blocks { len, start, outer, size, inner, .. } = blocks;
        if (start, outer, size, inner) == (0, 1, len, 1) { Self::Identity(len) } else { Self::Blocks(blocks) }
    }
}

impl Blocks {
    /// All positions of a dimension in order.
    fn of(size: usize) -> Self {
        Self { len: size, start: 0, outer: 1, period: size, size, inner: 1 }
    }

    fn places(self) -> impl Iterator<Item = (usize, u32)> {
        (0..self.outer).flat_map(move |outer| {
            let start = self.start + outer * self.period;
            (0..self.size)
                .flat_map(move |coordinate| std::iter::repeat_n(coordinate as u32, self.inner))
                .enumerate()
                .map(move |(at, coordinate)| (start + at, coordinate))
        })
    }

    /// As [`Layout::repeated`]; `None` where the blocks would not be at equal distances.
    fn repeated(self, outer: usize, inner: usize) -> Option<Self> {
        let mut blocks = Self {
            len: self.len * inner,
            start: self.start * inner,
            period: self.period * inner,
            inner: self.inner * inner,
            ..self
        };
        if outer != 1 {
            if blocks.outer == 1 {
                blocks.period = blocks.len;
            } else if blocks.outer * blocks.period != blocks.len {
                return None;
            }
            blocks.outer *= outer;
            blocks.len *= outer;
        }
        Some(blocks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is done to a layout.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        /// Positions of other groups before and behind it.
        Placed(usize, usize),
        /// Positions outside and inside of it.
        Repeated(usize, usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            (0_usize..4, 0_usize..4).prop_map(|(before, behind)| Move::Placed(before, behind)),
            (0_usize..4, 0_usize..4).prop_map(|(outer, inner)| Move::Repeated(outer, inner)),
        ];
        prop::collection::vec(one, 0..5)
    }

    /// The layout, and the same spelt out at every move.
    fn play(size: usize, moves: &[Move]) -> (Layout, Vec<u32>) {
        let mut layout = Layout::Identity(size);
        let mut table: Vec<u32> = (0..size as u32).collect();
        for step in moves {
            (layout, table) = match *step {
                Move::Placed(before, behind) => {
                    let none = |count| vec![Layout::NONE; count];
                    let len = before + table.len() + behind;
                    (layout.placed(before, len), [none(before), table, none(behind)].concat())
                }
                Move::Repeated(outer, inner) => {
                    let block: Vec<_> = table.iter().flat_map(|&at| vec![at; inner]).collect();
                    (layout.repeated(outer, inner), block.repeat(outer))
                }
            };
        }
        (layout, table)
    }

    fn check(layout: &Layout, table: &[u32]) {
        let spelt_out = Layout::Table(table.into());
        let expected: Vec<_> = table.iter().map(|&at| Some(at).filter(|&at| at != Layout::NONE)).collect();
        for layout in [layout, &spelt_out] {
            assert_eq!(layout.coordinates().collect::<Vec<_>>(), expected);
            assert_eq!(layout.len(), expected.len());
            let places: Vec<_> = (0..).zip(&expected).filter_map(|(at, found)| Some((at, (*found)?))).collect();
            assert_eq!(layout.places().collect::<Vec<_>>(), places);
            let has: Vec<_> = (0..expected.len()).map(|position| layout.has(position)).collect();
            assert_eq!(has, expected.iter().map(Option::is_some).collect::<Vec<_>>());
            assert!(!layout.has(expected.len()));
        }
        assert_eq!(*layout, spelt_out);
        assert_eq!(spelt_out, *layout);
        if let Some((start, size, inner)) = layout.stretch() {
            let stretch = (0..size * inner).map(|at| (start + at, (at / inner) as u32));
            assert!(layout.places().eq(stretch));
        }
        if let Some((coordinates, positions)) = layout.regular() {
            let mut found: Vec<_> = expected.iter().flatten().copied().collect();
            found.sort_unstable();
            assert_eq!(found, (0..coordinates as u32).flat_map(|at| vec![at; positions]).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn a_layout_has_the_coordinates_of_its_table(size in 0_usize..5, moves in moves()) {
            let (layout, table) = play(size, &moves);
            check(&layout, &table);
        }

        #[test]
        fn layouts_are_equal_where_their_tables_are(
            a in (0_usize..3, moves()),
            b in (0_usize..3, moves()),
        ) {
            let ((a, of_a), (b, of_b)) = (play(a.0, &a.1), play(b.0, &b.1));
            prop_assert_eq!(a == b, of_a == of_b);
        }

        #[test]
        fn joined_layouts_have_the_places_of_each(size in 1_usize..4, starts in prop::collection::vec(0_usize..8, 1..4)) {
            let layouts: Vec<_> = starts.iter().map(|&start| Layout::Identity(size).placed(start, 12)).collect();
            let mut expected = vec![None; 12];
            for (at, coordinate) in layouts.iter().flat_map(Layout::places) {
                expected[at] = Some(expected[at].map_or(coordinate, |other: u32| other.min(coordinate)));
            }
            prop_assert_eq!(Layout::joined(&layouts).coordinates().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_layout_of_the_whole_dimension_is_the_identity() {
        for whole in [Layout::Identity(4).placed(0, 4), Layout::Identity(4).repeated(1, 1)] {
            assert!(matches!(whole, Layout::Identity(4)), "{whole:?}");
        }
    }

    #[test]
    fn concatenations_and_products_are_not_spelt_out() {
        let heads = Layout::Identity(3).repeated(1, 2);
        check(&heads, &[0, 0, 1, 1, 2, 2]);
        let queries = Layout::Identity(2).placed(0, 6).repeated(2, 1);
        check(&queries, &[[0, 1].as_slice(), &[Layout::NONE; 4]].concat().repeat(2));
        let among_others = queries.clone().placed(1, 20);
        for layout in [heads, queries, among_others] {
            assert!(matches!(layout, Layout::Blocks(_)), "{layout:?}");
        }
    }

    #[test]
    fn blocks_at_unequal_distances_are_spelt_out() {
        let layout = Layout::Identity(1).repeated(2, 1).placed(0, 3).repeated(2, 1);
        check(&layout, &[0, 0, Layout::NONE, 0, 0, Layout::NONE]);
        assert!(matches!(layout, Layout::Table(_)), "{layout:?}");
    }
}
