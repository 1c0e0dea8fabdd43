//! Writing an archive: its entries one after another, each from bytes or a stream.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::error::Pt2Error;
use crate::files::{persist, temporary};

/// What PyTorch aligns the bytes of an entry to, so that tensors can be mapped.
const ALIGNMENT: u16 = 64;

/// What writes the bytes of an entry.
pub(super) type Stream<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// What an entry of the new archive holds.
pub(super) enum Contents<'a> {
    /// These bytes.
    Bytes(Cow<'a, [u8]>),
    /// As many bytes as the first says, which the second writes.
    Stream(u64, Stream<'a>),
}

impl<'a> From<&'a [u8]> for Contents<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Contents<'_> {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes().into())
    }
}

/// The name of an entry, and what it holds.
pub(super) type Entry<'a> = (&'a str, Contents<'a>);

/// Writes an archive of entries below the folder `root`. The file is there whole or, after an error, not at all.
pub(super) fn write<'a>(
    path: &Path,
    root: &str,
    entries: impl IntoIterator<Item = Result<Entry<'a>, Pt2Error>>,
) -> Result<(), Pt2Error> {
    let failed = |source: io::Error| Pt2Error::Io { path: path.to_owned(), source };
    let mut file = temporary(path).map_err(failed)?;
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 20, file.as_file_mut()));
    for entry in entries {
        let (name, contents) = entry?;
        write_entry(&mut zip, &format!("{root}/{name}"), &contents).map_err(failed)?;
    }
    let inner = zip.finish().map_err(io::Error::from).map_err(failed)?;
    inner.into_inner().map_err(|error| failed(error.into_error()))?;
    persist(file, path).map_err(failed)
}

/// Writes an entry, its bytes aligned.
pub(super) fn write_entry<W: Write + io::Seek>(
    zip: &mut ZipWriter<W>,
    name: &str,
    contents: &Contents,
) -> io::Result<()> {
    let bytes = match contents {
        Contents::Bytes(bytes) => bytes.len() as u64,
        Contents::Stream(bytes, _) => *bytes,
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(bytes >= u64::from(u32::MAX));
    zip.start_file(name, options)?;
    match contents {
        Contents::Bytes(bytes) => zip.write_all(bytes),
        Contents::Stream(_, stream) => {
            let mut buffered = BufWriter::with_capacity(1 << 16, zip);
            stream(&mut buffered)?;
            buffered.flush()
        }
    }
}
