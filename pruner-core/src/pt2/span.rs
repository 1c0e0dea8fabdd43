//! Parts of a JSON text with the places where they stand, so that they can be edited there.

use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// What was parsed, and its text.
#[derive(Clone, Debug)]
pub(super) struct Spanned<'a, T> {
    text: &'a str,
    /// What the text says.
    pub(super) value: T,
}

impl<T> Spanned<'_, T> {
    /// Where it stands in `whole`, the text that it was parsed from.
    pub(super) fn place(&self, whole: &str) -> Range<usize> {
        let start = self.text.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        start..start + self.text.len()
    }
}

impl<'de: 'a, 'a, T: Deserialize<'a>> Deserialize<'de> for Spanned<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let value =
            serde_json::from_str(text).map_err(|error| D::Error::custom(format_args!("{error} in its part")))?;
        Ok(Self { text, value })
    }
}
