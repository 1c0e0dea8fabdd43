//! Folders of results, one for every machine: what it is, and rows as JSON lines that a later run goes on from.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SkipError;
use super::options::Scale;
use super::row::Row;
use crate::machine::Machine;

const ABOUT: &str = "about.json";
const ROWS: &str = "rows.jsonl";

/// Where and how results were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The machine.
    pub machine: Machine,
    /// How much was trained and judged by.
    pub scale: Scale,
}

/// All that was measured on a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// Where and how.
    pub about: About,
    /// What was measured.
    pub rows: Vec<Row>,
}

/// A folder that rows are added to.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    pub(super) results: Results,
}

impl Store {
    /// Goes on with a folder, or begins it.
    pub(super) fn open(dir: PathBuf, about: About) -> Result<Self, SkipError> {
        fs::create_dir_all(&dir).map_err(|source| SkipError::Write { file: dir.clone(), source })?;
        let found = read(&dir)?;
        let results = match found {
            Some(found) if found.about == about => found,
            Some(found) if !found.rows.is_empty() => return Err(SkipError::About { dir }),
            _ => {
                let file = dir.join(ABOUT);
                let text = serde_json::to_string_pretty(&about).map_err(|source| SkipError::Json {
                    file: file.clone(),
                    line: 1,
                    source,
                })?;
                fs::write(&file, text + "\n").map_err(|source| SkipError::Write { file, source })?;
                Results { about, rows: Vec::new() }
            }
        };
        Ok(Self { dir, results })
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: Row) -> Result<(), SkipError> {
        let file = self.dir.join(ROWS);
        let line =
            serde_json::to_string(&row).map_err(|source| SkipError::Json { file: file.clone(), line: 0, source })?;
        let open = OpenOptions::new().create(true).append(true).open(&file);
        let written = open.and_then(|mut out| writeln!(out, "{line}"));
        written.map_err(|source| SkipError::Write { file, source })?;
        self.results.rows.push(row);
        Ok(())
    }
}

/// The results of every machine, in the order of the names of their folders.
pub(super) fn read_all(dir: &Path) -> Result<Vec<Results>, SkipError> {
    let failed = |source| SkipError::Read { file: dir.to_owned(), source };
    let mut folders = match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.iter().filter_map(|folder| read(folder).transpose()).collect()
}

/// The results in a folder; `None` where there are none.
fn read(dir: &Path) -> Result<Option<Results>, SkipError> {
    let text = |name: &str| match fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SkipError::Read { file: dir.join(name), source }),
    };
    let Some(about) = text(ABOUT)? else { return Ok(None) };
    let json = |name: &str, line, source| SkipError::Json { file: dir.join(name), line, source };
    let about = serde_json::from_str(&about).map_err(|source| json(ABOUT, source.line(), source))?;
    let rows = text(ROWS)?.unwrap_or_default();
    let row = |(index, line): (usize, &str)| serde_json::from_str(line).map_err(|source| json(ROWS, index + 1, source));
    let rows = rows.lines().enumerate().map(row).collect::<Result<_, _>>()?;
    Ok(Some(Results { about, rows }))
}
