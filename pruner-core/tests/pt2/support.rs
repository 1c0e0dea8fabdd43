//! Archives of the tests: read, taken apart and put together otherwise.

use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::pt2::{Mode, Pt2, Pt2Error, StoredTensor};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// All archives that `make.py` makes.
pub(crate) const ARCHIVES: [&str; 4] = ["residual", "transformer", "modes", "functional"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pt2").join(name).with_extension("pt2")
}

/// The bytes of an archive.
pub(crate) fn archive(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the archive is checked in")
}

/// An archive, read.
pub(crate) fn open(name: &str) -> Pt2 {
    Pt2::open(&path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// An archive that is analysed, and a folder to write to.
pub(crate) struct Case {
    pub(crate) folder: TempDir,
    pub(crate) model: Pt2,
    pub(crate) analysis: Analysis,
}

impl Case {
    pub(crate) fn of(name: &str) -> Self {
        let (folder, model) = (tempfile::tempdir().expect("a temporary folder"), open(name));
        let analysis = Analysis::new(model.graph()).expect("the graph is sound");
        Self { folder, model, analysis }
    }

    fn write(&self, kept: &Kept, mode: Mode) -> PathBuf {
        let path = self.folder.path().join("written.pt2");
        self.model.write(&self.analysis, kept, mode, &path).expect("it can be written");
        path
    }

    /// The bytes of what is left.
    pub(crate) fn written(&self, kept: &Kept, mode: Mode) -> Vec<u8> {
        std::fs::read(self.write(kept, mode)).expect("it was written")
    }

    /// What is left, read again.
    pub(crate) fn rewritten(&self, kept: &Kept, mode: Mode) -> Pt2 {
        Pt2::open(&self.write(kept, mode)).expect("what is written can be read")
    }
}

/// The entries of an archive, each with its bytes.
pub(crate) fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("it is a zip");
    let count = zip.len();
    let read = |index| {
        let mut file = zip.by_index(index).expect("it is there");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("it is whole");
        (file.name().to_owned(), bytes)
    };
    (0..count).map(read).collect()
}

/// The bytes of the entry whose name ends so.
pub(crate) fn entry(bytes: &[u8], name: &str) -> Vec<u8> {
    entries(bytes).into_iter().find(|(other, _)| other.ends_with(name)).expect("the entry is there").1
}

/// An archive of entries.
pub(crate) fn zipped(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).expect("names differ");
        zip.write_all(bytes).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}

/// An archive with another text in one entry.
pub(crate) fn json(name: &str, entry: &str, text: &str) -> Vec<u8> {
    let mut entries = entries(&archive(name));
    let found = entries.iter_mut().find(|(other, _)| other.ends_with(entry)).expect("the entry is there");
    found.1 = text.as_bytes().to_vec();
    zipped(&entries, CompressionMethod::Stored)
}

/// An archive with a text in one entry replaced where it stands first.
#[track_caller]
pub(crate) fn replaced(name: &str, at: &str, from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(entry(&archive(name), at)).expect("JSON is text");
    assert!(text.contains(from), "`{from}` is in {at}");
    json(name, at, &text.replacen(from, to, 1))
}

fn read_bytes(bytes: &[u8]) -> Result<Pt2, Pt2Error> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("it can be written");
    Pt2::open(file.path())
}

/// An archive of bytes, read.
#[track_caller]
pub(crate) fn read(bytes: &[u8]) -> Pt2 {
    read_bytes(bytes).expect("the archive is sound")
}

/// What is wrong with an archive.
#[track_caller]
pub(crate) fn error(bytes: &[u8]) -> String {
    read_bytes(bytes).expect_err("the archive is wrong").to_string()
}

/// What is left where the last half of every group that can be cut is gone.
pub(crate) fn halved(analysis: &Analysis) -> Kept {
    let mut kept = Kept::all();
    for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.size() > 1) {
        let gone: Vec<u32> = (group.size() as u32 / 2..group.size() as u32).collect();
        kept.remove(analysis, group.id(), &gone);
    }
    kept
}

/// The bytes of an element.
pub(crate) fn element<'b>(tensor: &StoredTensor, bytes: &'b [u8], index: &[i64]) -> &'b [u8] {
    let at = tensor.offset + index.iter().zip(&tensor.strides).map(|(at, stride)| at * stride).sum::<i64>();
    let size = tensor.meta.dtype.bytes();
    &bytes[at as usize * size..][..size]
}

/// Calls `visit` with every index of a shape.
pub(crate) fn each_index(shape: &[i64], mut visit: impl FnMut(&[i64])) {
    let count: i64 = shape.iter().product();
    for number in 0..count {
        let mut rest = number;
        let mut index = vec![0; shape.len()];
        for (at, size) in index.iter_mut().zip(shape).rev() {
            (*at, rest) = (rest % size, rest / size);
        }
        visit(&index);
    }
}
