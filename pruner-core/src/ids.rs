//! Typed ids: which node, value, axis or group is meant, printed as in the text form of a graph.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
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
    )*};
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
