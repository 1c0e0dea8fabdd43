//! Files, folders and standard output, with errors that name them.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", file.display())]
    Write {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something is not the JSON that is expected.
    #[error("{place}: {source}")]
    Json {
        /// The file, its line, or what else is read.
        place: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl FileError {
    /// Makes the error of a file that cannot be read.
    pub(crate) fn read(file: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { file: file.as_ref().to_owned(), source }
    }

    /// Makes the error of a file that cannot be written.
    pub(crate) fn write(file: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write { file: file.as_ref().to_owned(), source }
    }

    /// Makes the error of a place that has something else than what is expected.
    pub(crate) fn json(place: impl Display) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Json { place: place.to_string(), source }
    }
}

/// The text of a file.
pub(crate) fn read(file: impl AsRef<Path>) -> Result<String, FileError> {
    fs::read_to_string(&file).map_err(FileError::read(file))
}

/// The text of a file; `None` where there is no file.
pub(crate) fn read_if_there(file: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(FileError::read(file)),
    }
}

/// Writes a file in place of what it holds.
pub(crate) fn write(file: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<(), FileError> {
    fs::write(&file, contents).map_err(FileError::write(file))
}

/// Writes a value as JSON in lines.
pub(crate) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), FileError> {
    write(file, serde_json::to_string_pretty(value).map_err(FileError::json(file.display()))? + "\n")
}

/// Makes a folder and those that it is in, unless they are there.
pub(crate) fn create_dir(dir: impl AsRef<Path>) -> Result<(), FileError> {
    fs::create_dir_all(&dir).map_err(FileError::write(dir))
}

/// Writes a line to standard output.
pub(crate) fn say(output: &mut dyn Write, line: &str) -> Result<(), FileError> {
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(FileError::write("standard output"))
}

/// The values of a file of JSON lines, none where there is no file. What a run that was ended wrote of its last line, which has no end,
/// is left out.
pub(crate) fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, FileError> {
    let text = read_if_there(file)?.unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let value = |(index, line)| {
        serde_json::from_str(line).map_err(FileError::json(format_args!("{}, line {}", file.display(), index + 1)))
    };
    whole.lines().enumerate().map(value).collect()
}

/// Adds a JSON line to a file, in place of what an ended run wrote of another.
pub(crate) fn append(file: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let line = serde_json::to_string(value).map_err(FileError::json(file.display()))? + "\n";
    let write = || -> io::Result<()> {
        let text = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text?,
        };
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            File::options().write(true).open(file)?.set_len(whole as u64)?;
        }
        OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())
    };
    write().map_err(FileError::write(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_file_and_line() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (file, missing) = (dir.path().join("rows.jsonl"), dir.path().join("missing/file"));
        write(&file, "1\n2\nx\n").expect("the file can be written");
        let place = |file: &Path| file.display().to_string();
        for (error, beginning) in [
            (read(&missing).expect_err("it is not there"), format!("cannot read {}: ", place(&missing))),
            (write(&missing, "").expect_err("it has no folder"), format!("cannot write {}: ", place(&missing))),
            (create_dir(&file).expect_err("it is a file"), format!("cannot write {}: ", place(&file))),
            (lines::<u32>(&file).expect_err("x is no number"), format!("{}, line 3: ", place(&file))),
        ] {
            assert!(error.to_string().starts_with(&beginning), "{error}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_left_out_and_written_over() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("rows.jsonl");
        assert_eq!(lines::<u32>(&file).expect("there is no file"), [0; 0]);
        write(&file, "1\n23").expect("the file can be written");
        assert_eq!(lines::<u32>(&file).expect("the last line is left out"), [1]);
        append(&file, &4).expect("the file can be written");
        assert_eq!(read(&file).expect("it is there"), "1\n4\n");
    }
}
