//! One file that says what a run prunes, by what and how far: for the command `pruner prune --config` and for programs that embed the
//! library.
//!
//! In TOML, all keys but those that are needed left out:
//!
//! ```toml
//! model = "model.pt2"
//! output = "small.pt2"
//! importance = { importance = "taylor", terms = "per-weight" }
//! scheduler = "cubic"
//! steps = 4
//! seed = 1
//!
//! [limits]
//! scope = "global"
//! round_to = 8
//! ignore = ["head"]
//!
//! [calibration]
//! data = "samples.safetensors"
//! loss = "cross-entropy"
//! ```
//!
//! [`schema`] has every key; editors complete and check by it.

mod data;
mod file;

use std::io;
use std::path::{Path, PathBuf};

use pruner_core::pruner::Settings;
use pruner_core::registry::{nearest, with_nearest};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use data::{Calibration, Data, DataError};
pub use file::read_map;

/// What a run prunes, by what and how far.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Config {
    /// The model, a `.pt2` of torch.export. Default: null, named elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Weights in safetensors, in the place of the model's own of these names. Default: null, its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// The cut model. Default: null, named elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The data that criteria are computed from. Default: null, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// By what it prunes and how far.
    #[serde(flatten)]
    pub settings: Settings,
}

/// The keys beside those of [`Settings`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    model: Option<PathBuf>,
    weights: Option<PathBuf>,
    output: Option<PathBuf>,
    calibration: Option<Calibration>,
}

/// The most steps that a config may have.
const MAX_STEPS: usize = 10_000;

const FILES: [&str; 4] = ["model", "weights", "output", "calibration"];

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no config in TOML or JSON, by its ending.
    #[error("{}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A key is unknown.
    #[error(
        "unknown key `{key}`{}, expected one of `{}`",
        .nearest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default(), .known.join("`, `")
    )]
    UnknownKey {
        /// The key.
        key: String,
        /// The known one that is most like it.
        nearest: Option<String>,
        /// Those that are known.
        known: Vec<String>,
    },
    /// More steps than are made at once.
    #[error(
        "steps is {0}; a config has at most {MAX_STEPS}, since the command makes all of them at once, with no training between"
    )]
    Steps(usize),
    /// Both a budget and a ratio are given.
    #[error("both budget and limits.target_ratio say how much goes; leave one of them out")]
    TwoTargets,
    /// A value is wrong.
    #[error("{key}: {message}")]
    Value {
        /// The key, with those that it is below.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Config {
    /// Reads a config: JSON where the name of the file ends so, else TOML. Files that it names are relative to its folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self::from_map(read_map(path)?)?.below(path.parent().unwrap_or(Path::new(""))))
    }

    /// With the files that it names taken as relative to a folder.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        let data = self.calibration.as_mut().map(|calibration| &mut calibration.data);
        let files = [&mut self.model, &mut self.weights, &mut self.output];
        for file in files.into_iter().flatten().chain(data) {
            *file = folder.join(&*file);
        }
        self
    }

    /// The config of keys and values. `importance` is `magnitude` and `scheduler` is `one-shot` where they are left out.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, ConfigError> {
        // What tells an editor where the schema is.
        if map.remove("$schema").is_some_and(|schema| !schema.is_string()) {
            return Err(ConfigError::value("$schema", "it is the address of the schema, a string"));
        }
        map.values_mut().for_each(whole);
        check_keys(&map)?;
        let given = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
        if given(map.get("budget")) && given(map.get("limits").and_then(|limits| limits.get("target_ratio"))) {
            return Err(ConfigError::TwoTargets);
        }
        map.entry("importance").or_insert_with(|| "magnitude".into());
        map.entry("scheduler").or_insert_with(|| "one-shot".into());
        let files = FILES.into_iter().filter_map(|key| Some((key.to_owned(), map.remove(key)?))).collect();
        let Files { model, weights, output, calibration } = parsed(Value::Object(files))?;
        let settings: Settings = parsed(Value::Object(map))?;
        if settings.steps > MAX_STEPS {
            return Err(ConfigError::Steps(settings.steps));
        }
        if calibration.as_ref().is_some_and(|calibration| calibration.batch_size == 0) {
            return Err(ConfigError::value("calibration.batch_size", "it is 0; at least 1 sample is run at a time"));
        }
        Ok(Self { model, weights, output, calibration, settings })
    }
}

impl ConfigError {
    fn value(key: &str, message: &str) -> Self {
        Self::Value { key: key.to_owned(), message: message.to_owned() }
    }
}

/// Writes whole numbers without a fraction, as `3` for `3.0`: to JSON and its schemas they are the same.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|of| number.is_f64() && of.fract() == 0.0);
            match whole {
                Some(whole) if (0.0..2_f64.powi(64)).contains(&whole) => *number = (whole as u64).into(),
                Some(whole) if (-2_f64.powi(63)..0.0).contains(&whole) => *number = (whole as i64).into(),
                _ => {}
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole),
        Value::Object(map) => map.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The JSON schema of a config, with the options of every plugin that is linked.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    // What is left out has a default here.
    schema.remove("required");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("$schema".to_owned(), json!({ "type": "string" }));
        for (key, maximum) in [("steps", Value::from(MAX_STEPS)), ("seed", u64::MAX.into())] {
            if let Some(property) = properties.get_mut(key).and_then(Value::as_object_mut) {
                property.insert("maximum".to_owned(), maximum);
            }
        }
    }
    let two_targets = json!({
        "required": ["budget", "limits"],
        "properties": { "budget": { "type": "object" }, "limits": { "required": ["target_ratio"] } },
    });
    schema.insert("not".to_owned(), two_targets);
    RecursiveTransform(describe_plainly).transform(&mut schema);
    schema
}

/// Makes the documentation of a field what an editor shows: without links into this library, a paragraph a line.
fn describe_plainly(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|paragraph| without_links(&paragraph.replace('\n', " ")));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

/// A text with code in the place of links to it: `[`x`](y)` and `[`x`]` become `x` in its ticks.
fn without_links(mut text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    while let Some((before, (code, after))) =
        text.split_once("[`").and_then(|(before, link)| Some((before, link.split_once("`]")?)))
    {
        plain.extend([before, "`", code, "`"]);
        let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
        text = target.map_or(after, |(_, rest)| rest);
    }
    plain + text
}

/// That all keys are known ones.
fn check_keys(map: &Map<String, Value>) -> Result<(), ConfigError> {
    let schema = schema();
    let known = schema.get("properties").and_then(Value::as_object);
    let known = || known.into_iter().flat_map(Map::keys).map(String::as_str);
    match map.keys().find(|key| known().all(|known| known != *key)) {
        Some(key) => {
            let nearest = nearest(key, known()).map(str::to_owned);
            Err(ConfigError::UnknownKey { key: key.clone(), nearest, known: known().map(str::to_owned).collect() })
        }
        None => Ok(()),
    }
}

/// What a part of a config says; an error names the key.
fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (key, message) = (error.path().to_string(), with_nearest(error.inner().to_string()));
        ConfigError::Value { key, message }
    })
}
