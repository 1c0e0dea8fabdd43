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
        let (blocks, table) = match self {
            Self::Identity(len) => (Blocks::of(*len), &[][..]),
            Self::Blocks(blocks) => (*blocks, &[][..]),
            Self::Table(table) => (Blocks::of(0), &table[..]),
        };
        let spelt_out = table.iter().copied().enumerate().filter(|&(_, coordinate)| coordinate != Self::NONE);
        blocks.places().chain(spelt_out)
    }

    /// How many coordinates there are, from 0 on, and how many positions each of them has; `None` for a table, which may
    /// have some coordinates and not others.
    pub fn regular(&self) -> Option<(usize, usize)> {
        match self {
            Self::Identity(len) => Some((*len, 1)),
            Self::Blocks(blocks) => match blocks.outer * blocks.inner {
                0 => Some((0, 0)),
                positions => Some((blocks.size, positions)),
            },
            Self::Table(_) => None,
        }
    }

    /// The layout in a dimension of `len` positions, of which those from `start` on are this one's and the others belong
    /// to other groups.
    #[must_use]
    pub fn placed(self, start: usize, len: usize) -> Self {
        debug_assert!(start + self.len() <= len, "a part is inside of the whole");
        let blocks = match self {
            Self::Identity(size) => Blocks::of(size),
            Self::Blocks(blocks) => blocks,
            Self::Table(table) if table.len() == len => return Self::Table(table),
            Self::Table(table) => {
                let mut whole = vec![Self::NONE; len];
                whole[start..start + table.len()].copy_from_slice(&table);
                return Self::Table(whole.into());
            }
        };
        Blocks { len, start: start + blocks.start, ..blocks }.into()
    }

    /// The layout in a product of `outer` positions, this dimension and `inner` positions, row-major.
    #[must_use]
    pub fn repeated(self, outer: usize, inner: usize) -> Self {
        let blocks = match &self {
            Self::Identity(size) => Some(Blocks::of(*size)),
            Self::Blocks(blocks) => Some(*blocks),
            Self::Table(_) => None,
        };
        match blocks.and_then(|blocks| blocks.repeated(outer, inner)) {
            Some(blocks) => blocks.into(),
            None => {
                let table: Vec<_> = self
                    .coordinates()
                    .flat_map(|coordinate| std::iter::repeat_n(coordinate.unwrap_or(Self::NONE), inner))
                    .collect();
                Self::Table(table.repeat(outer).into())
            }
        }
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
