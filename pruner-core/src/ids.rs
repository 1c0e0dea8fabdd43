//! Typed ids: which node, value, axis or group is meant, printed as in the text form of a graph and stored so too.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The id of the `index`th of its kind.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("fewer than 2^32 of a kind fit in memory"))
            }

            /// The place of what it names among its kind.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let error = || IdError { text: text.to_owned(), example: concat!($prefix, "0") };
                let digits = text.strip_prefix($prefix).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
                digits.and_then(|digits| digits.parse().ok()).map(Self).ok_or_else(error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no id; one is written like `{example}`")]
pub struct IdError {
    text: String,
    example: &'static str,
}

ids! {
    /// A node of a graph: one application of an operation.
    NodeId, "n";
    /// A value of a graph: an input, a parameter, a buffer, a constant or a result of a node.
    ValueId, "v";
    /// An axis variable of the analysis.
    AxisId, "a";
    /// A group: axes that are cut together.
    GroupId, "g";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stored_as_it_is_printed() {
        let text = serde_json::to_string(&GroupId::new(12)).expect("it is written");
        assert_eq!(text, "\"g12\"");
        assert_eq!(serde_json::from_str::<GroupId>(&text).expect("it is read"), GroupId::new(12));
    }

    #[test]
    fn a_text_that_is_no_id_is_refused_with_an_example() {
        for text in ["12", "n12", "g", "g-1", "g+1", "g99999999999", "gx", ""] {
            let error = text.parse::<GroupId>().expect_err("it is no group");
            assert_eq!(error.to_string(), format!("`{text}` is no id; one is written like `g0`"));
        }
    }
}
