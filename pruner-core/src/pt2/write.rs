//! A new archive: entries that a cut changes are written anew, all others byte for byte.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::archive::Archive;
use super::error::Pt2Error;
use crate::files::{persist, temporary};

/// What PyTorch aligns the bytes of an entry to, so that tensors can be mapped.
const ALIGNMENT: u16 = 64;

/// What writes the bytes of an entry.
pub(super) type Stream<'a> = Box<dyn Fn(&mut dyn Write) -> io::Result<()> + 'a>;

/// What an entry of the new archive holds.
pub(super) enum Contents<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// This text.
    Text(String),
    /// As many bytes as the first says, which the second writes.
    Stream(u64, Stream<'a>),
}

/// Writes an archive with the entries of another, their contents chosen by `contents`. The file is there whole or, after
/// an error, not at all.
pub(super) fn write<'a>(
    archive: &'a Archive,
    path: &Path,
    contents: &dyn Fn(&str) -> Result<Contents<'a>, Pt2Error>,
) -> Result<(), Pt2Error> {
    let failed = |source: io::Error| Pt2Error::Io { path: path.to_owned(), source };
    let mut file = temporary(path).map_err(failed)?;
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 20, file.as_file_mut()));
    for name in archive.names() {
        let contents = contents(name)?;
        write_entry(&mut zip, &format!("{}/{name}", archive.root()), &contents).map_err(failed)?;
    }
    let inner = zip.finish().map_err(io::Error::from).map_err(failed)?;
    inner.into_inner().map_err(|error| failed(error.into_error()))?;
    persist(file, path).map_err(failed)
}

fn write_entry<W: Write + io::Seek>(zip: &mut ZipWriter<W>, name: &str, contents: &Contents) -> io::Result<()> {
    let bytes = match contents {
        Contents::Bytes(bytes) => bytes.len() as u64,
        Contents::Text(text) => text.len() as u64,
        Contents::Stream(bytes, _) => *bytes,
    };
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .with_alignment(ALIGNMENT)
        .large_file(bytes >= u64::from(u32::MAX));
    zip.start_file(name, options)?;
    match contents {
        Contents::Bytes(bytes) => zip.write_all(bytes),
        Contents::Text(text) => zip.write_all(text.as_bytes()),
        Contents::Stream(_, stream) => {
            let mut buffered = BufWriter::with_capacity(1 << 16, zip);
            stream(&mut buffered)?;
            buffered.flush()
        }
    }
}
