//! Edits of a text, made where its parts stand; all else stays byte for byte.

use std::ops::Range;

/// Replacements and insertions, in any order.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Puts a text in the place of another.
    pub(super) fn replace(&mut self, place: Range<usize>, with: impl Into<String>) {
        self.0.push((place, with.into()));
    }

    /// Puts a text before what stands at `at`, behind what was put there before.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.0.push((at..at, text.into()));
    }

    /// Adds to the end of the JSON list or object at `place`.
    pub(super) fn append(&mut self, text: &str, place: &Range<usize>, added: &str) {
        let inside = text.get(place.start + 1..place.end.saturating_sub(1)).unwrap_or_default();
        let comma = if inside.trim().is_empty() { "" } else { ", " };
        self.insert(place.end.saturating_sub(1), format!("{comma}{added}"));
    }

    /// The text with all edits made. Where two overlap, the first is made.
    pub(super) fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(place, _)| (place.start, place.end));
        let mut edited = String::with_capacity(text.len());
        let mut at = 0;
        for (place, with) in self.0 {
            if place.start >= at {
                edited.push_str(text.get(at..place.start).unwrap_or_default());
                edited.push_str(&with);
                at = place.end;
            }
        }
        edited.push_str(text.get(at..).unwrap_or_default());
        edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_edited_stays() {
        let text = r#"{"a": [1, 2],  "b": []}"#;
        let mut edits = Edits::default();
        edits.append(text, &(20..22), "3");
        edits.append(text, &(6..12), "4");
        edits.append(text, &(6..12), "5");
        edits.replace(7..8, "0");
        edits.insert(7, "9, ");
        assert_eq!(edits.apply(text), r#"{"a": [9, 0, 2, 4, 5],  "b": [3]}"#);
    }
}
