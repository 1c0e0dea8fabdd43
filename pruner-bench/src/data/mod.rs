//! Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): images of clothes in ten classes.

mod idx;

use std::path::Path;

use tch::{Device, Kind, Tensor};

pub use idx::{DataError, Idx, read_idx};

use crate::rng::Rng;

/// Mean and standard deviation of the pixels of the full training set, in `[0, 1]`.
const MEAN: f64 = 0.2860;
const DEVIATION: f64 = 0.3530;

/// The classes are numbered from 0.
const CLASSES: u8 = 10;

/// The images to learn from and those to judge by.
#[derive(Debug)]
pub struct FashionMnist {
    /// The images to learn from.
    pub train: Split,
    /// The images to judge by.
    pub test: Split,
}

impl FashionMnist {
    /// Reads the four files `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz`, `t10k-images-idx3-ubyte.gz` and
    /// `t10k-labels-idx1-ubyte.gz` of a folder; unpacked ones, without `.gz`, are read too.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        Ok(Self { train: Split::load(dir, "train")?, test: Split::load(dir, "t10k")? })
    }

    /// The same on a device.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self { train: self.train.to_device(device), test: self.test.to_device(device) }
    }
}

/// Images and the class of each.
#[derive(Debug)]
pub struct Split {
    /// Of shape `[len, 1, height, width]`, less the mean of the training set's pixels and divided by their deviation.
    pub images: Tensor,
    /// Of shape `[len]`.
    pub labels: Tensor,
}

impl Split {
    fn load(dir: &Path, name: &str) -> Result<Self, DataError> {
        let (images_file, images) = read_either(dir, &format!("{name}-images-idx3-ubyte"), 3)?;
        let (labels_file, labels) = read_either(dir, &format!("{name}-labels-idx1-ubyte"), 1)?;
        if images.shape[0] != labels.shape[0] {
            let (images, labels) = (images.shape[0], labels.shape[0]);
            return Err(DataError::Counts { images_file, images, labels_file, labels });
        }
        if images.data.is_empty() {
            return Err(DataError::Empty { file: images_file });
        }
        if let Some(index) = labels.data.iter().position(|&label| label >= CLASSES) {
            let label = labels.data[index];
            return Err(DataError::Label { file: labels_file, index, label, classes: CLASSES });
        }
        let shape: Vec<i64> = images.shape.iter().map(|&size| size as i64).collect();
        let pixels = Tensor::from_slice(&images.data).to_kind(Kind::Float) / 255.0;
        Ok(Self {
            images: ((pixels - MEAN) / DEVIATION).view([shape[0], 1, shape[1], shape[2]]),
            labels: Tensor::from_slice(&labels.data).to_kind(Kind::Int64),
        })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.size()[0] as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same on a device.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        Self { images: self.images.to_device(device), labels: self.labels.to_device(device) }
    }

    /// The first `len` images, or all if there are fewer; shares their memory.
    #[must_use]
    pub fn first(&self, len: usize) -> Self {
        let len = len.min(self.len()) as i64;
        Self { images: self.images.narrow(0, 0, len), labels: self.labels.narrow(0, 0, len) }
    }

    /// All images and labels once, in an order that depends on `seed` alone, `batch_size` at a time; the last batch may
    /// be smaller. `batch_size` is not 0.
    pub fn batches(&self, seed: u64, batch_size: usize) -> impl ExactSizeIterator<Item = (Tensor, Tensor)> + '_ {
        let order = Rng::new(seed).permutation(self.len());
        let order = Tensor::from_slice(&order).to_device(self.labels.device());
        starts(self.len(), batch_size).map(move |(start, len)| {
            let index = order.narrow(0, start, len);
            (self.images.index_select(0, &index), self.labels.index_select(0, &index))
        })
    }

    /// All images and labels once, in their own order, without a copy.
    pub fn in_order(&self, batch_size: usize) -> impl ExactSizeIterator<Item = (Tensor, Tensor)> + '_ {
        starts(self.len(), batch_size)
            .map(|(start, len)| (self.images.narrow(0, start, len), self.labels.narrow(0, start, len)))
    }
}

/// Where each batch begins and how long it is.
fn starts(len: usize, batch_size: usize) -> impl ExactSizeIterator<Item = (i64, i64)> {
    (0..len.div_ceil(batch_size)).map(move |batch| {
        let start = batch * batch_size;
        (start as i64, batch_size.min(len - start) as i64)
    })
}

fn read_either(dir: &Path, name: &str, dimensions: usize) -> Result<(std::path::PathBuf, Idx), DataError> {
    let packed = dir.join(format!("{name}.gz"));
    let plain = dir.join(name);
    let file = if !packed.exists() && plain.exists() { plain } else { packed };
    let idx = read_idx(&file, dimensions)?;
    Ok((file, idx))
}

#[cfg(test)]
mod tests;
