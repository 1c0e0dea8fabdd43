//! Folders of results, one for every machine: what it is, and rows as JSON lines that a later run goes on from.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::SkipError;
use super::options::Scale;
use super::row::Row;
use crate::files::{self, FileError};
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
        files::create_dir(&dir)?;
        let results = match read(&dir)? {
            Some(found) if found.about == about => found,
            Some(found) if !found.rows.is_empty() => return Err(SkipError::About { dir }),
            _ => {
                files::write_json(&dir.join(ABOUT), &about)?;
                Results { about, rows: Vec::new() }
            }
        };
        Ok(Self { dir, results })
    }

    /// Adds a row.
    pub(super) fn add(&mut self, row: Row) -> Result<(), SkipError> {
        files::append(&self.dir.join(ROWS), &row)?;
        self.results.rows.push(row);
        Ok(())
    }
}

/// The results of every machine, in the order of the names of their folders.
pub(super) fn read_all(dir: &Path) -> Result<Vec<Results>, SkipError> {
    let mut folders = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
            .map_err(FileError::read(dir))?,
    };
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.iter().filter_map(|folder| read(folder).transpose()).collect()
}

/// The results in a folder; `None` where there are none.
fn read(dir: &Path) -> Result<Option<Results>, SkipError> {
    let file = dir.join(ABOUT);
    let Some(about) = files::read_if_there(&file)? else { return Ok(None) };
    let about = serde_json::from_str(&about).map_err(|source| {
        let line = source.line();
        FileError::json(format_args!("{}, line {line}", file.display()))(source)
    })?;
    Ok(Some(Results { about, rows: files::lines(&dir.join(ROWS))? }))
}
