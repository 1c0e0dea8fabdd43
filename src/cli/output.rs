//! How results are shown: as tables to people, as JSON to programs.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use anyhow::Context as _;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use pruner::files::{persist, temporary};
use serde::Serialize;

/// The form in which a command shows its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Table,
    Json,
}

/// A table with a row of headings: ruled and fitted to a terminal, plain columns of full width in a pipe.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.set_header(headings.iter().copied());
    if io::stdout().is_terminal() {
        table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
    }
    table
}

/// How good what a cell says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Fair,
    Bad,
}

/// A cell in the colour of its tone, on a terminal that is not told to have none.
pub(crate) fn cell(text: impl ToString, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return cell;
    }
    cell.fg(match tone {
        Tone::Good => Color::Green,
        Tone::Fair => Color::Yellow,
        Tone::Bad => Color::Red,
    })
}

/// Prints a table, the blanks at the ends of its lines left out.
pub(crate) fn print_table(table: &Table) -> io::Result<()> {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    print(&lines.join("\n"))
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Writes a value to a file as JSON: whole, or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let mut file = temporary(path).with_context(place)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.write_all(b"\n").and_then(|()| persist(file, path)).with_context(place)
}

/// Prints a text and ends its line. A reader that has seen enough, as `head`, is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
