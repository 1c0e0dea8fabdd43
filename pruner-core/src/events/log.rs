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

/// The events of a log, of several runs in one those of the last. A last line that is cut off in the middle, as a run leaves it that was
/// killed, is left out.
pub fn read_log(file: &Path) -> Result<History, LogError> {
    let failed = |source| LogError::Io { file: file.to_owned(), source };
    let mut reader = BufReader::new(File::open(file).map_err(failed)?);
    let (mut events, mut text) = (Vec::new(), Vec::new());
    for line in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Event>(&text) {
            Ok(event) => {
                if matches!(event, Event::Started { .. }) {
                    events.clear();
                }
                events.push(event);
            }
            Err(_) if !text.ends_with(b"\n") && !events.is_empty() => break,
            Err(source) => return Err(LogError::Line { file: file.to_owned(), line, source }),
        }
    }
    if events.is_empty() {
        return Err(LogError::Empty { file: file.to_owned() });
    }
    Ok(History::new(events))
}
