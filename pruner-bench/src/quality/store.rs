//! A folder of results: files of JSON lines that a run adds to and a later run goes on from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::QualityError;
use super::models::Model;
use super::options::Scale;
use super::row::{Cell, Dense, Encoded, Row};
use crate::files::{self, FileError};

/// What is known of where and how results were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// How much was trained and judged by.
    pub scale: Scale,
    /// The threads that cells were measured on, each by one thread of libtorch.
    pub threads: usize,
    /// The versions of what was run, `libtorch` among them.
    pub versions: BTreeMap<String, String>,
}

/// All that was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Where and how; nothing before the first run.
    pub about: Option<About>,
    /// The networks before pruning; the last of a model and a seed replaces an earlier one.
    pub dense: Vec<Dense>,
    /// The cells of the table; a later row of a cell replaces an earlier one.
    pub rows: Vec<Row>,
    /// The sentence encoder.
    pub encoder: Vec<Encoded>,
}

impl Results {
    /// The networks of a model, one for every seed.
    pub fn dense(&self, model: Model) -> Vec<Dense> {
        let of_model = self.dense.iter().filter(|dense| dense.model == model);
        let by_seed: BTreeMap<u64, Dense> = of_model.map(|dense| (dense.seed, *dense)).collect();
        by_seed.into_values().collect()
    }

    /// The last row of a cell.
    pub fn row(&self, cell: &Cell) -> Option<&Row> {
        self.rows.iter().rfind(|row| row.cell == *cell)
    }
}

/// The folder.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    results: Results,
}

const ABOUT: &str = "about.json";
const DENSE: &str = "dense.jsonl";
const CELLS: &str = "cells.jsonl";
const ENCODER: &str = "encoder.jsonl";

impl Store {
    /// Opens a folder, which is made where it is missing, with the results that it holds.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, QualityError> {
        let dir = dir.into();
        files::create_dir(&dir)?;
        let file = dir.join(ABOUT);
        let about = files::read_if_there(&file)?.map(|text| serde_json::from_str(&text)).transpose();
        let results = Results {
            about: about.map_err(FileError::json(file.display()))?,
            dense: files::lines(&dir.join(DENSE))?,
            rows: files::lines(&dir.join(CELLS))?,
            encoder: files::lines(&dir.join(ENCODER))?,
        };
        Ok(Self { dir, results })
    }

    /// What it holds.
    pub fn results(&self) -> &Results {
        &self.results
    }

    /// Says where and how results are measured from now on. Results of another scale do not mix; versions of what this run goes without
    /// stay.
    pub fn set_about(&mut self, mut about: About) -> Result<(), QualityError> {
        if let Some(found) = &self.results.about {
            if found.scale != about.scale {
                return Err(QualityError::Scale { dir: self.dir.clone() });
            }
            for (name, version) in &found.versions {
                about.versions.entry(name.clone()).or_insert_with(|| version.clone());
            }
        }
        files::write_json(&self.dir.join(ABOUT), &about)?;
        self.results.about = Some(about);
        Ok(())
    }

    /// Adds a network.
    pub fn add_dense(&mut self, dense: Dense) -> Result<(), QualityError> {
        files::append(&self.dir.join(DENSE), &dense)?;
        self.results.dense.push(dense);
        Ok(())
    }

    /// Adds a cell.
    pub fn add_row(&mut self, row: Row) -> Result<(), QualityError> {
        files::append(&self.dir.join(CELLS), &row)?;
        self.results.rows.push(row);
        Ok(())
    }

    /// Adds a cut of the sentence encoder.
    pub fn add_encoded(&mut self, encoded: Encoded) -> Result<(), QualityError> {
        files::append(&self.dir.join(ENCODER), &encoded)?;
        self.results.encoder.push(encoded);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::quality::tests::{cell, row};

    #[test]
    fn a_run_goes_on_from_what_an_ended_one_wrote() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut store = Store::open(folder.path()).expect("the folder can be written");
        let rows = [row(cell("magnitude", 50), 0.8), row(cell("random", 50), 0.3)];
        store.add_row(rows[0].clone()).expect("the folder can be written");
        let file = folder.path().join(CELLS);
        let mut text = fs::read_to_string(&file).expect("a row was written");
        text.push_str("{\"model\":\"cn");
        fs::write(&file, text).expect("the file can be written");

        let mut store = Store::open(folder.path()).expect("the unfinished line is left out");
        assert_eq!(store.results().rows, rows[..1]);
        store.add_row(rows[1].clone()).expect("the folder can be written");
        let store = Store::open(folder.path()).expect("all lines are whole");
        assert_eq!(store.results().rows, rows);
        assert_eq!(store.results().row(&rows[1].cell), Some(&rows[1]));
        assert_eq!(store.results().row(&cell("random", 70)), None);
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(CELLS), "{}\n").expect("the file can be written");
        let error = Store::open(folder.path()).expect_err("it is no row").to_string();
        assert!(error.contains("cells.jsonl, line 1"), "{error}");
    }

    #[test]
    fn results_of_another_scale_do_not_mix() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut store = Store::open(folder.path()).expect("the folder can be written");
        let about = |scale| About { scale, threads: 2, versions: BTreeMap::default() };
        store.set_about(about(Scale::FULL)).expect("it is the first");
        store.set_about(about(Scale::FULL)).expect("it is the same");
        store.set_about(about(Scale::QUICK)).expect_err("it is another scale");
    }
}
