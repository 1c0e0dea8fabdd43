//! Element types, named as in safetensors.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! dtypes {
    ($($name:ident, $text:literal, $code:literal, $bytes:literal;)*) => {
        /// The type of the elements of a tensor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each is named for itself")]
        pub enum Dtype { $(#[serde(rename = $text)] $name,)* }

        impl Dtype {
            /// The type of a `ScalarType` in libtorch's numbering.
            pub fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The `ScalarType` in libtorch's numbering.
            pub fn code(self) -> i64 {
                match self { $(Self::$name => $code,)* }
            }

            /// The bytes of one element.
            pub fn bytes(self) -> usize {
                match self { $(Self::$name => $bytes,)* }
            }
        }

        impl fmt::Display for Dtype {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)* })
            }
        }

        impl FromStr for Dtype {
            type Err = UnknownDtype;

            fn from_str(text: &str) -> Result<Self, UnknownDtype> {
                match text { $($text => Ok(Self::$name),)* _ => Err(UnknownDtype(text.to_owned())) }
            }
        }
    };
}

dtypes! {
    U8, "u8", 0, 1;
    I8, "i8", 1, 1;
    I16, "i16", 2, 2;
    I32, "i32", 3, 4;
    I64, "i64", 4, 8;
    F16, "f16", 5, 2;
    F32, "f32", 6, 4;
    F64, "f64", 7, 8;
    C32, "c32", 8, 4;
    C64, "c64", 9, 8;
    C128, "c128", 10, 16;
    Bool, "bool", 11, 1;
    BF16, "bf16", 15, 2;
    F8E5M2, "f8_e5m2", 23, 1;
    F8E4M3, "f8_e4m3", 24, 1;
    F8E5M2Fnuz, "f8_e5m2fnuz", 25, 1;
    F8E4M3Fnuz, "f8_e4m3fnuz", 26, 1;
    U16, "u16", 27, 2;
}

impl Dtype {
    /// Whether the elements are real floating-point numbers, which alone can be trained.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }
}

/// A name that is no element type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown element type `{0}`")]
pub struct UnknownDtype(String);
