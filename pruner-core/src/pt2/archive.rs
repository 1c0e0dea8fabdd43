//! The archive as a zip of stored entries: which there are, and where their bytes are.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::error::Pt2Error;
use super::map::Map;

/// The longest entry that is parsed: programs of the largest networks take some tens of megabytes.
const JSON_BYTES_MAX: usize = 128 << 20;

/// The deepest nesting of an entry that is parsed.
const JSON_DEPTH_MAX: usize = 120;

/// The most entries of an archive.
const ENTRIES_MAX: usize = 1 << 20;

/// An archive whose entries have been found, none of them read yet.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    map: Map,
    /// The folder that all entries are in.
    root: String,
    /// The names below the root, in the order of the file.
    names: Vec<String>,
    places: BTreeMap<String, Range<usize>>,
    replaced: BTreeMap<String, Replacement>,
}

/// Bytes in the place of an entry's.
#[derive(Debug)]
pub(super) enum Replacement {
    /// These.
    Owned(Vec<u8>),
    /// A part of another file.
    Mapped(Arc<Map>, Range<usize>),
}

impl Archive {
    /// Maps a file and finds its entries.
    pub(super) fn open(path: &Path) -> Result<Self, Pt2Error> {
        let map = Map::open(path).map_err(|source| Pt2Error::Io { path: path.to_owned(), source })?;
        let damaged = |what: String| Pt2Error::Archive { path: path.to_owned(), what };
        let (root, entries) = entries(map.bytes()).map_err(damaged)?;
        let names = entries.iter().map(|(name, _)| name.clone()).collect();
        let archive = Self {
            path: path.to_owned(),
            map,
            root,
            names,
            places: entries.into_iter().collect(),
            replaced: BTreeMap::new(),
        };
        archive.check_marks()?;
        Ok(archive)
    }

    /// The names of the entries below the root, in the order of the file.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The folder that all entries are in.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// The bytes of an entry.
    pub(super) fn bytes(&self, name: &str) -> Result<&[u8], Pt2Error> {
        match self.replaced.get(name) {
            Some(Replacement::Owned(bytes)) => return Ok(bytes),
            Some(Replacement::Mapped(map, place)) => return Ok(&map.bytes()[place.clone()]),
            None => {}
        }
        let place = self.places.get(name).ok_or_else(|| Pt2Error::entry(name, "the archive has none of this name"))?;
        Ok(&self.map.bytes()[place.clone()])
    }

    /// Gives an entry other bytes, as many as it has.
    pub(super) fn replace(&mut self, name: String, replacement: Replacement) {
        self.replaced.insert(name, replacement);
    }

    /// An entry that is parsed: of bounded length and nesting.
    pub(super) fn json(&self, name: &str) -> Result<&str, Pt2Error> {
        let bytes = self.bytes(name)?;
        if bytes.len() > JSON_BYTES_MAX {
            return Err(Pt2Error::entry(name, format!("{} bytes, more than {JSON_BYTES_MAX}", bytes.len())));
        }
        if depth(bytes) > JSON_DEPTH_MAX {
            return Err(Pt2Error::entry(name, format!("nested deeper than {JSON_DEPTH_MAX} levels")));
        }
        std::str::from_utf8(bytes).map_err(|_| Pt2Error::entry(name, "no UTF-8 text"))
    }

    /// The name of the one program.
    pub(super) fn model(&self) -> Result<String, Pt2Error> {
        let model = |name: &'_ String| Some(name.strip_prefix("models/")?.strip_suffix(".json")?.to_owned());
        let mut models = self.names.iter().filter_map(model);
        let error = |what: String| Pt2Error::Archive { path: self.path.clone(), what };
        let first = models.next().ok_or_else(|| error("it has no `models/….json`".to_owned()))?;
        if let Some(second) = models.next() {
            return Err(error(format!("it has several programs, `{first}` and `{second}`, and one is read")));
        }
        Ok(first)
    }

    /// That the archive says of itself that it is one, of a version that is known.
    fn check_marks(&self) -> Result<(), Pt2Error> {
        for (name, expected) in [("archive_format", "pt2"), ("archive_version", "0"), ("byteorder", "little")] {
            let found = self.bytes(name)?;
            if found.trim_ascii() != expected.as_bytes() {
                let found = String::from_utf8_lossy(&found[..found.len().min(16)]).into_owned();
                return Err(Pt2Error::entry(name, format!("`{found}`, where only `{expected}` is read")));
            }
        }
        Ok(())
    }
}

/// The name of an entry, and where its bytes are.
type Entry = (String, Range<usize>);

/// The root folder, and where the bytes of each entry are.
fn entries(bytes: &[u8]) -> Result<(String, Vec<Entry>), String> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let listed = listed(bytes, zip.central_directory_start());
    if zip.len() > ENTRIES_MAX || listed != zip.len() {
        return Err(format!("it lists {listed} entries, of which {} can be told apart", zip.len()));
    }
    let mut root: Option<String> = None;
    let mut entries = Vec::with_capacity(zip.len());
    for index in 0..zip.len() {
        let file = zip.by_index_raw(index).map_err(|error| error.to_string())?;
        let name = std::str::from_utf8(file.name_raw()).map_err(|_| "a name is no UTF-8".to_owned())?.to_owned();
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0', ':']);
        if !name.split('/').all(plain) {
            return Err(format!("the entry name `{}` is no plain path", name.escape_debug()));
        }
        let (folder, rest) = name.split_once('/').ok_or_else(|| format!("entry `{name}` is in no root folder"))?;
        if root.get_or_insert_with(|| folder.to_owned()) != folder {
            return Err(format!("entry `{name}` is outside of the root folder"));
        }
        if file.compression() != CompressionMethod::Stored || file.encrypted() {
            return Err(format!("entry `{name}` is compressed or encrypted, and only stored entries can be mapped"));
        }
        let start = file.data_start().ok_or_else(|| format!("entry `{name}` has no bytes"))?;
        let end = start.checked_add(file.size()).filter(|&end| end <= bytes.len() as u64);
        match end {
            Some(end) if file.size() == file.compressed_size() => {
                entries.push((rest.to_owned(), start as usize..end as usize));
            }
            _ => return Err(format!("entry `{name}` is said to be longer than the file")),
        }
    }
    let mut places: Vec<_> = entries.iter().map(|(_, place)| place).filter(|place| !place.is_empty()).collect();
    places.sort_unstable_by_key(|place| place.start);
    if places.windows(2).any(|pair| pair[1].start < pair[0].end) {
        return Err("two entries have bytes in common".to_owned());
    }
    Ok((root.ok_or("it has no entries")?, entries))
}

/// The records of the central directory, those of the same name each for itself.
fn listed(bytes: &[u8], start: u64) -> usize {
    let mut at = usize::try_from(start).unwrap_or(usize::MAX);
    let mut count = 0;
    while let Some(record) = bytes.get(at..).and_then(|rest| rest.get(..46)) {
        if !record.starts_with(b"PK\x01\x02") {
            break;
        }
        let length = |at: usize| usize::from(u16::from_le_bytes([record[at], record[at + 1]]));
        at += 46 + length(28) + length(30) + length(32);
        count += 1;
    }
    count
}

/// How deep brackets are nested outside of strings.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
