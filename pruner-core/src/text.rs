//! Text for people: columns and lines that fit a width.

use std::fmt;

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use textwrap::{Options, WordSplitter};

/// What stands before every column.
const GAP: usize = 2;

/// The least that is left of a name that is too long.
const SHORTEST: usize = 8;

/// How the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Flush left.
    Left,
    /// Flush right, as numbers do.
    Right,
    /// Flush left, and where the table is too wide the end of it, which tells most of a name.
    Name,
    /// Flush left, and where the table is too wide on lines of its own below its row.
    Note,
}

/// Rows of text in columns below a row of headings.
///
/// A precision, as in `{table:.80}`, is the width that its lines fit in. Escape sequences of colours take no room.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these headings, without rows.
    pub fn new(columns: &[(&str, Column)]) -> Self {
        let headings = columns.iter().map(|&(heading, _)| heading.to_owned()).collect();
        Self { columns: columns.iter().map(|&(_, column)| column).collect(), rows: vec![headings] }
    }

    /// Adds a row, which has a cell for every column.
    pub fn push(&mut self, row: impl Into<Vec<String>>) {
        self.rows.push(row.into());
    }

    /// Whether there is a row below the headings.
    pub fn has_rows(&self) -> bool {
        self.rows.len() > 1
    }

    /// The longest line where there is room for all.
    pub fn width(&self) -> usize {
        self.widths().iter().map(|width| width + GAP).sum()
    }

    fn widths(&self) -> Vec<usize> {
        let widest =
            |column: usize| self.rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or_default();
        (0..self.columns.len()).map(widest).collect()
    }

    /// The widths of the columns in a table that is too wide: notes have none, and names share what the others leave.
    fn narrowed(&self, limit: usize) -> Vec<usize> {
        let mut widths = self.widths();
        for (width, column) in widths.iter_mut().zip(&self.columns) {
            if *column == Column::Note {
                *width = 0;
            }
        }
        let taken: usize = widths.iter().filter(|width| **width > 0).map(|width| width + GAP).sum();
        let names = || (0..widths.len()).filter(|&column| self.columns[column] == Column::Name);
        let wanted: usize = names().map(|column| widths[column]).sum();
        let room = (wanted + limit).saturating_sub(taken);
        if room < wanted {
            for column in names().collect::<Vec<_>>() {
                widths[column] = (widths[column] * room / wanted).max(SHORTEST);
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    /// Each line ends with a line break and not with spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = f.precision().filter(|limit| *limit < self.width());
        let widths = limit.map_or_else(|| self.widths(), |limit| self.narrowed(limit));
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            let mut notes = Vec::new();
            for ((cell, &column), &room) in row.iter().zip(&self.columns).zip(&widths) {
                if limit.is_some() && column == Column::Note {
                    notes.push(cell);
                    continue;
                }
                let cell = if column == Column::Name { end_of(cell, room) } else { cell.clone() };
                let side = if column == Column::Right { Alignment::Right } else { Alignment::Left };
                line.extend([&*" ".repeat(GAP), &pad_str(&cell, room, side, None)]);
            }
            let line = line.trim_end();
            writeln!(f, "{}", truncate_str(line, limit.unwrap_or(usize::MAX), "…"))?;
            // The headings of notes say nothing where these are no columns.
            for note in notes.into_iter().filter(|note| index > 0 && !note.is_empty()) {
                writeln!(f, "{}", wrapped(note, limit, 3 * GAP, 3 * GAP))?;
            }
        }
        Ok(())
    }
}

/// A text in lines that fit `limit`, broken between words: the first after `indent` blanks, the others after `hanging`.
pub fn wrapped(text: &str, limit: Option<usize>, indent: usize, hanging: usize) -> String {
    let Some(limit) = limit else { return " ".repeat(indent) + text };
    let blanks = [indent, hanging].map(|count| " ".repeat(count));
    let options = Options::new(limit).initial_indent(&blanks[0]).subsequent_indent(&blanks[1]).break_words(false);
    let lines = textwrap::wrap(text, options.word_splitter(WordSplitter::NoHyphenation));
    lines.iter().map(|line| truncate_str(line, limit, "…")).collect::<Vec<_>>().join("\n")
}

/// The last characters of a text that is longer than `room`.
fn end_of(text: &str, room: usize) -> String {
    let width = measure_text_width(text);
    if width <= room {
        return text.to_owned();
    }
    let gone = width + 1 - room.max(1);
    format!("…{}", text.chars().skip(gone).collect::<String>())
}

/// A count with its thousands apart.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, rest) = digits.split_at(first.min(digits.len()));
    rest.as_bytes().chunks(3).fold(head.to_owned(), |text, three| text + "," + &String::from_utf8_lossy(three))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [("layer", Column::Name), ("size", Column::Right), ("why", Column::Note)];
        let mut table = Table::new(&columns);
        table.push(["encoder.layers.0.mlp".to_owned(), "7".to_owned(), "\u{1b}[31mno\u{1b}[0m axis of it".to_owned()]);
        table.push(["head".to_owned(), "12345".to_owned(), String::new()]);
        table
    }

    #[test]
    fn a_table_without_a_limit_has_a_line_for_every_row() {
        let wide = "  layer                  size  why
  encoder.layers.0.mlp      7  \u{1b}[31mno\u{1b}[0m axis of it
  head                  12345
";
        assert_eq!(table().to_string(), wide);
        assert_eq!(format!("{:.44}", table()), wide);
    }

    #[test]
    fn notes_go_below_their_rows_before_names_lose_their_beginnings() {
        let below = "  layer                  size
  encoder.layers.0.mlp      7
      \u{1b}[31mno\u{1b}[0m axis of it
  head                  12345
";
        assert_eq!(format!("{:.43}", table()), below);
        let cut = "  layer        size
  …ers.0.mlp      7
      \u{1b}[31mno\u{1b}[0m axis of it
  head        12345
";
        assert_eq!(format!("{:.19}", table()), cut);
        assert!(format!("{:.9}", table()).lines().all(|line| measure_text_width(line) <= 9));
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", None, 0, 2), "one two three");
        assert_eq!(wrapped("one two three", Some(7), 0, 2), "one two\n  three");
        assert_eq!(wrapped("one incomprehensible", Some(7), 0, 2), "one\n  inco…");
    }
}
