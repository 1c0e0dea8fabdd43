//! p-norms.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Which p-norm; a config says 1, 2 or `"inf"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Norm {
    /// Σ abs(x).
    One,
    /// √Σ x².
    #[default]
    Two,
    /// max abs(x).
    Max,
}

impl JsonSchema for Norm {
    fn schema_name() -> Cow<'static, str> {
        "Norm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [1, 2, "inf"] })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "p is 1, 2 or \"inf\"")]
enum Written {
    Number(u64),
    Float(f64),
    Text(String),
}

impl From<Norm> for Written {
    fn from(norm: Norm) -> Self {
        match norm {
            Norm::One => Self::Number(1),
            Norm::Two => Self::Number(2),
            Norm::Max => Self::Text("inf".to_owned()),
        }
    }
}

impl TryFrom<Written> for Norm {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(1) | Written::Float(1.0) => Ok(Self::One),
            Written::Number(2) | Written::Float(2.0) => Ok(Self::Two),
            Written::Float(f64::INFINITY) => Ok(Self::Max),
            Written::Text(text) if text == "inf" => Ok(Self::Max),
            Written::Number(number) => Err(format!("p is 1, 2 or \"inf\", not {number}")),
            Written::Float(number) => Err(format!("p is 1, 2 or \"inf\", not {number}")),
            Written::Text(text) => Err(format!("p is 1, 2 or \"inf\", not \"{text}\"")),
        }
    }
}
