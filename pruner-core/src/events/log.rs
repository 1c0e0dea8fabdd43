//! Logs of events, a line of JSON each.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::{Event, History};

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no event.
    #[error("{}, line {line}: no event of a run of pruning: {source}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// There is no event in it.
    #[error("{} has no events: name the log that a run of iterative pruning wrote", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// The events of a log. A last line that is cut off in the middle, as a run leaves it that was killed, is left out.
pub fn read_log(file: &Path) -> Result<History, LogError> {
    let failed = |source| LogError::Io { file: file.to_owned(), source };
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let (mut events, mut text) = (Vec::new(), String::new());
    for line in 1.. {
        text.clear();
        if reader.read_line(&mut text).map_err(failed)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Event>(&text) {
            Ok(event) => events.push(event),
            Err(source) if source.is_eof() && !text.ends_with('\n') => break,
            Err(source) => return Err(LogError::Line { file: file.to_owned(), line, source }),
        }
    }
    if events.is_empty() {
        return Err(LogError::Empty { file: file.to_owned() });
    }
    Ok(History::new(events))
}
