//! How results are shown: as tables to people, as JSON to programs.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, absolute};

use anyhow::{Context as _, ensure};
use clap::builder::styling::{AnsiColor, Style};
use pruner::files::{persist, temporary};
use pruner::text::{Column, Table, wrapped};
use serde::Serialize;

use super::numbers::human;

/// The form in which a command shows its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// The width of the terminal; `None` in a pipe, where nothing is left out.
fn width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// A table without rows; its headings are bold on a terminal.
pub(crate) fn table(columns: &[(&str, Column)]) -> Table {
    let headings: Vec<_> = columns.iter().map(|(heading, _)| painted(heading, Style::new().bold())).collect();
    let columns: Vec<_> = headings.iter().zip(columns).map(|(heading, (_, column))| (&**heading, *column)).collect();
    Table::new(&columns)
}

/// How good what a word says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Fair,
    Bad,
}

/// A word in the colour of its tone.
pub(crate) fn toned(word: &str, tone: Tone) -> String {
    let colour = match tone {
        Tone::Good => AnsiColor::Green,
        Tone::Fair => AnsiColor::Yellow,
        Tone::Bad => AnsiColor::Red,
    };
    painted(word, colour.on_default())
}

fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// A number in a table: rounded and with a unit on a terminal, all of its digits in a pipe.
pub(crate) fn count(number: u64) -> String {
    if width().is_some() { human(number) } else { number.to_string() }
}

/// A shape in a table, without blanks: `64x3x7x7`, and `-` for a scalar.
pub(crate) fn shape(sizes: &[usize]) -> String {
    if sizes.is_empty() {
        return "-".to_owned();
    }
    sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// Prints what takes the width of the terminal as its precision: a table, a report.
pub(crate) fn print_fitted(shown: &impl fmt::Display) -> io::Result<()> {
    let text = width().map_or_else(|| shown.to_string(), |width| format!("{shown:.width$}"));
    write(text.trim_end_matches('\n'))
}

/// Prints lines of text, broken between words where they are longer than the terminal is wide.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let lines: Vec<_> = text.lines().map(|line| wrapped(line, width(), 0, 2)).collect();
    write(&lines.join("\n"))
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(write(&serde_json::to_string_pretty(value)?)?)
}

/// Prints a text and ends its line, without colours where there should be none. A reader that has seen enough, as `head`,
/// is no error.
pub(crate) fn write(text: &str) -> io::Result<()> {
    match writeln!(anstream::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes a value to a file as JSON: whole, or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let mut file = temporary(path).with_context(place)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.write_all(b"\n").and_then(|()| persist(file, path)).with_context(place)
}

/// That files can be written, each in a folder that is there and under a name of its own: what is done before any work, so
/// that a command which fails has written nothing.
pub(crate) fn check_files<'p>(
    read: impl IntoIterator<Item = &'p Path>,
    written: impl IntoIterator<Item = &'p Path>,
) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    let read: BTreeSet<_> = read.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
    for path in written {
        let place = path.display();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(!path.is_dir(), "{place}: it is a folder; name a file");
        ensure!(folder.is_dir(), "{place}: there is no folder `{}`; make it first", folder.display());
        let regular = path.symlink_metadata().map_or(true, |found| found.is_file());
        ensure!(regular, "{place}: it is no regular file, and is not replaced; name another file");
        let overwrites = path.canonicalize().is_ok_and(|path| read.contains(&path));
        ensure!(!overwrites, "{place}: the command reads this file; name another one to write to");
        temporary(path).map_err(|error| anyhow::anyhow!("{place}: no file can be made there: {}", error.kind()))?;
        ensure!(names.insert(absolute(path)?), "{place}: two options name this file; give each its own");
    }
    Ok(())
}

/// Says on standard error what a command does in spite of.
pub(crate) fn warn(warning: &str) {
    let style = AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{style}warning:{style:#} {warning}");
}
