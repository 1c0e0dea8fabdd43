//! IDX: the form of the MNIST files, a header of sizes and the bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// No file that is read here is larger; the largest of Fashion-MNIST holds 47 MB.
const LARGEST_BYTES: u64 = 1 << 30;

/// An array of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The elements, the last dimension varying fastest.
    pub data: Vec<u8>,
}

/// Reads an array of bytes with so many dimensions; a file whose name ends in `.gz` is unpacked on the way.
///
/// However large a damaged header claims the array to be, no more memory is taken than the file fills.
pub fn read_idx(file: &Path, dimensions: usize) -> Result<Idx, DataError> {
    let reader = File::open(file).map_err(|source| DataError::Open { file: file.into(), source })?;
    let reader = BufReader::new(reader);
    if file.extension().is_some_and(|extension| extension == "gz") {
        parse(file, dimensions, MultiGzDecoder::new(reader))
    } else {
        parse(file, dimensions, reader)
    }
}

fn parse(file: &Path, dimensions: usize, mut reader: impl Read) -> Result<Idx, DataError> {
    let mut word = |what: &'static str| {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map(|()| u32::from_be_bytes(bytes)).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => DataError::Header { file: file.into(), what },
            _ => DataError::Read { file: file.into(), source },
        })
    };
    // Two zero bytes, the element type (8: unsigned byte), the number of dimensions.
    let expected = 0x0800 | dimensions as u32;
    let found = word("the magic number")?;
    if found != expected {
        return Err(DataError::Magic { file: file.into(), found, expected });
    }
    let shape = (0..dimensions).map(|_| word("a size").map(|size| size as usize)).collect::<Result<Vec<_>, _>>()?;
    let bytes = shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size as u64));
    let expected = bytes.filter(|&bytes| bytes <= LARGEST_BYTES).ok_or_else(|| DataError::TooLarge {
        file: file.into(),
        shape: shape.clone(),
        limit_bytes: LARGEST_BYTES,
    })?;

    let mut data = Vec::new();
    reader.take(expected + 1).read_to_end(&mut data).map_err(|source| DataError::Read { file: file.into(), source })?;
    if data.len() as u64 == expected {
        Ok(Idx { shape, data })
    } else {
        Err(DataError::Length { file: file.into(), shape, expected, longer: data.len() as u64 > expected })
    }
}

/// Why the data cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be opened.
    #[error(
        "cannot open {}: {source}; `cargo xtask data` brings the full set, `--data DIR` names another folder",
        file.display()
    )]
    Open {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read or unpacked.
    #[error("cannot read {}: {source}; it is damaged or not complete, bring it again", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file ends in its header.
    #[error("{} ends before {what} of its header; it is not complete, bring it again", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A file is not what its name says.
    #[error("{} begins with 0x{found:08x}, where its kind begins with 0x{expected:08x}: not an IDX file of such data", file.display())]
    Magic {
        /// The file.
        file: PathBuf,
        /// The magic number it begins with.
        found: u32,
        /// The magic number of such a file.
        expected: u32,
    },
    /// A header claims more than is reasonable.
    #[error("the header of {} claims {shape:?} bytes, more than the limit of {limit_bytes}: it is damaged", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The sizes of the header.
        shape: Vec<usize>,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// A file is shorter or longer than its header says.
    #[error(
        "{} holds {} than the {expected} bytes that its header's sizes {shape:?} make: it is damaged",
        file.display(),
        if *longer { "more" } else { "less" }
    )]
    Length {
        /// The file.
        file: PathBuf,
        /// The sizes of the header.
        shape: Vec<usize>,
        /// The bytes that they make.
        expected: u64,
        /// Whether there are more.
        longer: bool,
    },
    /// Images and labels do not belong together.
    #[error(
        "{} holds {images} images and {} holds {labels} labels: they do not belong together",
        images_file.display(),
        labels_file.display()
    )]
    Counts {
        /// The file of the images.
        images_file: PathBuf,
        /// How many it holds.
        images: usize,
        /// The file of the labels.
        labels_file: PathBuf,
        /// How many it holds.
        labels: usize,
    },
    /// There is nothing in a file.
    #[error("{} holds no pixels", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A label is none.
    #[error("label {index} of {} is {label}, where the classes are 0 to {}", file.display(), classes - 1)]
    Label {
        /// The file.
        file: PathBuf,
        /// Which label.
        index: usize,
        /// What it is.
        label: u8,
        /// How many classes there are.
        classes: u8,
    },
}
