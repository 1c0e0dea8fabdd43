//! A file mapped into memory: read page by page, when it is looked at.

use std::fs::File;
use std::io;
use std::path::Path;

/// A file that is read where it is.
#[derive(Debug)]
pub(super) struct Map(Option<memmap2::Mmap>);

impl Map {
    /// Maps the file at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        if file.metadata()?.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the mapping is private to the process and read-only. Only another process that cuts the file short
        // meanwhile could make reading fail, which no reader of a mapping can prevent.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(Some(map)))
    }

    /// The contents.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
