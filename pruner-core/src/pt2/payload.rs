//! Stored tensors: views of bytes of the archive, and what is left of them.

use std::io::{self, Write};

use super::codes::{self, STRIDED};
use super::error::Pt2Error;
use super::schema::{PayloadMeta, SymInt};
use super::span::Spanned;
use super::strides;
use crate::graph::TensorMeta;

/// How often a stored tensor may repeat its bytes.
const REPEATED_MAX: i64 = 1 << 24;

/// A tensor as its bytes are laid out in an entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    /// The entry that holds the bytes, shared by tensors that are one.
    pub entry: String,
    /// The shape and element type.
    pub meta: TensorMeta,
    /// The elements between neighbours in each dimension.
    pub strides: Vec<i64>,
    /// The elements before the first.
    pub offset: i64,
    /// Whether it takes gradients.
    pub requires_grad: bool,
}

impl StoredTensor {
    /// The view that metadata describes, if it is inside of the `bytes` of its entry.
    pub(super) fn new(name: &str, payload: &PayloadMeta, entry: String, bytes: usize) -> Result<Self, Pt2Error> {
        let wrong = |what: String| Pt2Error::tensor(name, what);
        if payload.use_pickle {
            return Err(Pt2Error::Pickle { name: name.to_owned() });
        }
        let meta = payload.tensor_meta.as_ref().ok_or_else(|| wrong("it has no metadata".to_owned()))?;
        let dtype = codes::dtype(meta.dtype).ok_or_else(|| wrong(format!("unknown element type {}", meta.dtype)))?;
        if meta.layout != STRIDED {
            return Err(wrong(format!("layout {}, and only dense tensors are read", meta.layout)));
        }
        let fixed = |size: &SymInt| match size {
            SymInt::AsInt(size) if *size >= 0 => Ok(*size),
            other => Err(wrong(format!("the size, stride or offset {other:?} is none of a stored tensor"))),
        };
        let list =
            |sizes: &[Spanned<SymInt>]| sizes.iter().map(|size| fixed(&size.value)).collect::<Result<Vec<_>, _>>();
        let (shape, strides) = (list(&meta.sizes)?, list(&meta.strides)?);
        if shape.len() != strides.len() {
            return Err(wrong(format!("{} sizes and {} strides", shape.len(), strides.len())));
        }
        let (offset, requires_grad) = (fixed(&meta.storage_offset.value)?, meta.requires_grad);
        let tensor = Self { entry, meta: TensorMeta { shape, dtype }, strides, offset, requires_grad };
        let needed = tensor.extent().and_then(|elements| elements.checked_mul(dtype.bytes() as i64));
        match needed {
            Some(needed) if needed as u64 <= bytes as u64 => Ok(tensor),
            Some(needed) => Err(wrong(format!("it needs {needed} bytes of `{}`, which has {bytes}", tensor.entry))),
            None => Err(wrong(format!("the shape {:?} is impossible", tensor.meta.shape))),
        }
    }

    /// The elements up to its last one; `None` where they cannot be counted, or where it has more than bytes can hold.
    fn extent(&self) -> Option<i64> {
        let count = self.meta.shape.iter().try_fold(1_i64, |count, &size| count.checked_mul(size))?;
        if count == 0 {
            return Some(0);
        }
        let dims = self.meta.shape.iter().zip(&self.strides);
        let last = dims.clone().try_fold(self.offset, |last, (&size, &stride)| {
            last.checked_add(size.checked_sub(1)?.checked_mul(stride)?)
        })?;
        // What is repeated from few bytes takes no more room than this where it is spelt out.
        let repeated =
            dims.filter(|(_, stride)| **stride == 0).try_fold(1_i64, |all, (&size, _)| all.checked_mul(size))?;
        (repeated <= REPEATED_MAX).then_some(last.checked_add(1)?)
    }

    /// The tensor that is left with `positions` of each dimension, laid out without gaps.
    pub(super) fn cut(&self, positions: &[Option<Vec<u32>>]) -> Self {
        let sizes = self.meta.shape.iter().zip(positions);
        let shape: Vec<_> = sizes.map(|(&size, stay)| stay.as_ref().map_or(size, |stay| stay.len() as i64)).collect();
        let order: Vec<i64> = self.strides.clone();
        let strides = strides::dense(&shape, &order);
        let meta = TensorMeta { shape, dtype: self.meta.dtype };
        Self { entry: self.entry.clone(), meta, strides, offset: 0, requires_grad: self.requires_grad }
    }

    /// The bytes that the tensor of [`cut`](Self::cut) takes.
    pub(super) fn cut_bytes(&self, positions: &[Option<Vec<u32>>]) -> u64 {
        let cut = self.cut(positions);
        cut.extent().unwrap_or(0) as u64 * self.meta.dtype.bytes() as u64
    }

    /// Writes what is left of the tensor in `bytes`, as [`cut`](Self::cut) lays it out.
    pub(super) fn gather(&self, bytes: &[u8], positions: &[Option<Vec<u32>>], out: &mut dyn Write) -> io::Result<()> {
        if self.cut(positions).extent() == Some(0) {
            return Ok(());
        }
        let mut order = strides::inner_to_outer(&self.meta.shape, &self.strides);
        // The stride of a dimension of size 1 says nothing.
        order.retain(|&dim| self.strides[dim] != 0 && self.meta.shape[dim] != 1);
        self.write(&order, bytes, positions, out)
    }

    /// Writes what is left of the tensor in `bytes` row by row, whatever its layout.
    pub(super) fn rows(&self, bytes: &[u8], positions: &[Option<Vec<u32>>], out: &mut dyn Write) -> io::Result<()> {
        if self.cut(positions).extent() == Some(0) {
            return Ok(());
        }
        let order: Vec<usize> = (0..self.meta.shape.len()).rev().filter(|&dim| self.meta.shape[dim] != 1).collect();
        self.write(&order, bytes, positions, out)
    }

    /// Writes what is left, the dimensions in `order` from the one that varies fastest.
    fn write(
        &self,
        order: &[usize],
        bytes: &[u8],
        positions: &[Option<Vec<u32>>],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let size = self.meta.dtype.bytes() as i64;
        // What is whole and without gaps is one block.
        let mut block = 1;
        let mut loops = Vec::new();
        for &dim in order {
            let (length, stride) = (self.meta.shape[dim], self.strides[dim]);
            match &positions[dim] {
                None if loops.is_empty() && stride == block => block *= length,
                stay => loops.push((stay.as_deref(), length, stride)),
            }
        }
        let block = (block * size) as usize;
        let runs = Runs { bytes, block, size };
        runs.write(&loops, self.offset * size, out)
    }
}

impl StoredTensor {
    /// Whether its elements lie row by row in as many bytes as there are of its entry.
    pub(super) fn is_plain(&self, bytes: usize) -> bool {
        let mut elements = 1;
        let row_by_row = self.meta.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let next = size == 1 || stride == elements;
            elements *= size;
            next
        });
        self.offset == 0 && row_by_row && bytes as u64 == elements as u64 * self.meta.dtype.bytes() as u64
    }

    /// The bytes with the elements of the tensor from `rows`, which has them row by row; `None` where elements that share memory, as those
    /// of an expanded tensor do, are given different values.
    pub(super) fn scatter(&self, bytes: &[u8], rows: &[u8]) -> Option<Vec<u8>> {
        self.scatter_left(bytes, &vec![None; self.meta.shape.len()], rows)
    }

    /// As [`scatter`](Self::scatter), of what is left of the tensor.
    pub(super) fn scatter_left(&self, bytes: &[u8], positions: &[Option<Vec<u32>>], rows: &[u8]) -> Option<Vec<u8>> {
        let mut scattered = bytes.to_vec();
        let size = self.meta.dtype.bytes();
        let mut whole = vec![0_i64; self.meta.shape.len()];
        let mut each = |f: &mut dyn FnMut(&mut [u8], &[u8])| {
            self.cut(positions).each_index(|number, index| {
                for ((whole, &at), stay) in whole.iter_mut().zip(index).zip(positions) {
                    *whole = stay.as_ref().map_or(at, |stay| i64::from(stay[at as usize]));
                }
                let at = self.place(&whole) as usize * size;
                f(&mut scattered[at..at + size], &rows[number * size..][..size]);
            });
        };
        each(&mut |element, given| element.copy_from_slice(given));
        let mut are_given = true;
        each(&mut |element, given| are_given &= element == given);
        are_given.then_some(scattered)
    }

    /// Calls `f` with the number of every element, row by row, and its index.
    fn each_index(&self, mut f: impl FnMut(usize, &[i64])) {
        if self.meta.shape.contains(&0) {
            return;
        }
        let mut index = vec![0_i64; self.meta.shape.len()];
        for number in 0.. {
            f(number, &index);
            let mut dims = index.iter_mut().zip(&self.meta.shape).rev();
            let next = dims.find_map(|(at, &length)| {
                *at = if *at + 1 == length { 0 } else { *at + 1 };
                (*at != 0).then_some(())
            });
            if next.is_none() {
                return;
            }
        }
    }

    /// The place of an element among those of its entry.
    fn place(&self, index: &[i64]) -> i64 {
        self.offset + index.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum::<i64>()
    }

    /// The bytes with zeros at every position that does not stay.
    pub(super) fn masked(&self, bytes: &[u8], positions: &[Option<Vec<u32>>]) -> Vec<u8> {
        let mut masked = bytes.to_vec();
        let size = self.meta.dtype.bytes();
        let stays: Vec<_> = positions
            .iter()
            .zip(&self.meta.shape)
            .map(|(stay, &length)| {
                let mut stays = vec![stay.is_none(); length as usize];
                stay.iter().flatten().for_each(|&at| stays[at as usize] = true);
                stays
            })
            .collect();
        self.each_index(|_, index| {
            if index.iter().zip(&stays).any(|(&at, stays)| !stays[at as usize]) {
                masked[self.place(index) as usize * size..][..size].fill(0);
            }
        });
        masked
    }
}

/// The positions that stay of a dimension, its length, and its stride.
type Loop<'a> = (Option<&'a [u32]>, i64, i64);

/// Where blocks of bytes are written from.
struct Runs<'a> {
    bytes: &'a [u8],
    block: usize,
    /// The bytes of an element.
    size: i64,
}

impl Runs<'_> {
    /// Writes all blocks of `loops`, the outermost last.
    fn write(&self, loops: &[Loop<'_>], start: i64, out: &mut dyn Write) -> io::Result<()> {
        let Some((&(stay, length, stride), inner)) = loops.split_last() else {
            return self.copy(start, self.block, out);
        };
        let stride = stride * self.size;
        let count = stay.map_or(length as usize, <[u32]>::len);
        let position = |at: usize| stay.map_or(at as i64, |stay| i64::from(stay[at]));
        if !inner.is_empty() || stride != self.block as i64 {
            return (0..count).try_for_each(|at| self.write(inner, start + position(at) * stride, out));
        }
        // Neighbours that stay are copied at once.
        let mut at = 0;
        while at < count {
            let first = position(at);
            let mut run = 1;
            while at + run < count && position(at + run) == first + run as i64 {
                run += 1;
            }
            self.copy(start + first * stride, run * self.block, out)?;
            at += run;
        }
        Ok(())
    }

    fn copy(&self, start: i64, len: usize, out: &mut dyn Write) -> io::Result<()> {
        let part = usize::try_from(start).ok().and_then(|start| self.bytes.get(start..start.checked_add(len)?));
        out.write_all(part.ok_or_else(|| io::Error::other("a stored tensor reaches beyond its bytes"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Dtype;

    fn tensor(shape: &[i64], strides: &[i64], offset: i64) -> StoredTensor {
        let meta = TensorMeta { shape: shape.to_vec(), dtype: Dtype::U8 };
        StoredTensor { entry: "weight_0".to_owned(), meta, strides: strides.to_vec(), offset, requires_grad: true }
    }

    #[track_caller]
    fn check(tensor: &StoredTensor, positions: &[Option<Vec<u32>>], expected: &[u8]) {
        let bytes: Vec<u8> = (0..24).collect();
        let mut found = Vec::new();
        tensor.gather(&bytes, positions, &mut found).expect("it is inside");
        assert_eq!(found, expected);
        assert_eq!(tensor.cut_bytes(positions), expected.len() as u64);
    }

    #[test]
    fn all_dimensions_are_cut_at_once() {
        let whole = tensor(&[4, 6], &[6, 1], 0);
        check(&whole, &[Some(vec![0, 2]), Some(vec![1, 2, 5])], &[1, 2, 5, 13, 14, 17]);
        check(&whole, &[Some(vec![1, 2]), None], &(6..18).collect::<Vec<_>>());
        check(&whole, &[None, None], &(0..24).collect::<Vec<_>>());
        check(&whole, &[Some(vec![]), None], &[]);
    }

    #[test]
    fn what_is_left_is_put_back_where_it_was() {
        let whole = tensor(&[4, 6], &[6, 1], 0);
        let positions = [Some(vec![0, 2]), Some(vec![1, 5])];
        let bytes: Vec<u8> = (0..24).collect();
        let mut expected = bytes.clone();
        (expected[1], expected[5], expected[13], expected[17]) = (90, 91, 92, 93);
        assert_eq!(whole.scatter_left(&bytes, &positions, &[90, 91, 92, 93]), Some(expected));
    }

    #[test]
    fn elements_that_share_memory_take_one_value_and_not_several() {
        let expanded = tensor(&[3, 2], &[0, 1], 1);
        assert_eq!(expanded.scatter(&[9, 0, 0, 9], &[7, 8, 7, 8, 7, 8]), Some(vec![9, 7, 8, 9]));
        assert_eq!(expanded.scatter(&[9, 0, 0, 9], &[7, 8, 7, 8, 7, 6]), None);
        assert_eq!(expanded.scatter_left(&[9, 0, 0, 9], &[Some(vec![1]), None], &[7, 6]), Some(vec![9, 7, 6, 9]));
    }

    #[test]
    fn the_order_of_memory_stays() {
        let transposed = tensor(&[6, 4], &[1, 6], 0);
        check(&transposed, &[Some(vec![0, 5]), Some(vec![1, 3])], &[6, 11, 18, 23]);
        assert_eq!(transposed.cut(&[Some(vec![0, 5]), None]).strides, [1, 2]);
    }

    #[test]
    fn gaps_and_offsets_go_and_what_is_expanded_is_written_once() {
        check(&tensor(&[2, 2], &[6, 2], 1), &[None, Some(vec![0])], &[1, 7]);
        check(&tensor(&[2, 2], &[6, 2], 1), &[None, None], &[1, 3, 7, 9]);
        check(&tensor(&[1, 4], &[i64::MAX, 1], 2), &[None, Some(vec![0, 3])], &[2, 5]);
        check(&tensor(&[3, 4], &[0, 1], 2), &[None, Some(vec![0, 3])], &[2, 5]);
    }
}
