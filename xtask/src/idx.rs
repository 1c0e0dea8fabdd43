//! The IDX format of MNIST and its kin, for unsigned bytes.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

/// The dimensions and the values, the last dimension varying fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idx {
    dims: Vec<usize>,
    values: Vec<u8>,
}

impl Idx {
    pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let (magic, mut rest) = bytes.split_at_checked(4).context("an IDX file starts with four bytes")?;
        ensure!(magic[..3] == [0, 0, 8], "an IDX file of unsigned bytes starts with 0 0 8, not {magic:?}");
        let mut dims = Vec::new();
        for _ in 0..magic[3] {
            let (dim, after) = rest.split_first_chunk::<4>().context("an IDX file ends in its header")?;
            dims.push(u32::from_be_bytes(*dim) as usize);
            rest = after;
        }
        let expected = dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim));
        ensure!(expected == Some(rest.len()), "an IDX file of dimensions {dims:?} holds {} values", rest.len());
        Ok(Self { dims, values: rest.to_vec() })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, self.dims.len() as u8];
        bytes.extend(self.dims.iter().flat_map(|dim| (*dim as u32).to_be_bytes()));
        bytes.extend(&self.values);
        bytes
    }

    /// The places of the first `count` of every value, in order: of labels, a balanced subset.
    pub(crate) fn first_of_each(&self, count: usize) -> anyhow::Result<Vec<usize>> {
        let mut seen = BTreeMap::<u8, usize>::new();
        let mut places = Vec::new();
        for (place, value) in self.values.iter().enumerate() {
            let seen = seen.entry(*value).or_default();
            *seen += 1;
            if *seen <= count {
                places.push(place);
            }
        }
        let short = seen.iter().find(|(_, seen)| **seen < count);
        ensure!(short.is_none(), "label {short:?} (label, times) is there less than {count} times");
        Ok(places)
    }

    /// The items at `places` of the first dimension.
    pub(crate) fn select(&self, places: &[usize]) -> anyhow::Result<Self> {
        let (_, item) = self.dims.split_first().context("an IDX file without dimensions has no items")?;
        let item: usize = item.iter().product();
        let mut values = Vec::with_capacity(places.len() * item);
        for place in places {
            let of = self
                .values
                .get(place * item..(place + 1) * item)
                .with_context(|| format!("there is no item {place}"))?;
            values.extend(of);
        }
        let mut dims = self.dims.clone();
        dims[0] = places.len();
        Ok(Self { dims, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Idx {
        Idx { dims: vec![7], values: vec![1, 0, 1, 1, 0, 0, 1] }
    }

    #[test]
    fn what_is_written_is_read() {
        let images = Idx { dims: vec![2, 1, 3], values: (0..6).collect() };
        assert_eq!(images.to_bytes()[..8], [0, 0, 8, 3, 0, 0, 0, 2]);
        assert_eq!(Idx::parse(&images.to_bytes()).expect("it is whole"), images);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let whole = labels().to_bytes();
        for broken in [&whole[..3], &whole[..6], &whole[..whole.len() - 1], &[0, 0, 13, 1][..]] {
            Idx::parse(broken).expect_err("it is broken");
        }
        let huge = [[0, 0, 8, 3], [0xff; 4], [0xff; 4], [0xff; 4]].concat();
        Idx::parse(&huge).expect_err("it holds nothing");
    }

    #[test]
    fn a_subset_has_as_many_of_each_in_the_order_of_the_whole() {
        let places = labels().first_of_each(2).expect("there are three");
        assert_eq!(places, [0, 1, 2, 4]);
        assert_eq!(labels().select(&places).expect("they are there").values, [1, 0, 1, 0]);
        labels().first_of_each(4).expect_err("there are three zeros");
    }
}
