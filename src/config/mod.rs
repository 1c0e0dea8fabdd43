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

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pruner_core::pruner::Settings;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use data::{Calibration, Data, DataError};

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
    /// The file is neither TOML nor JSON, by its ending.
    #[error("{}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A key is unknown.
    #[error("unknown key `{key}`{}", .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// The known one that is most like it.
        nearest: Option<String>,
    },
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
        map.remove("$schema");
        check_keys(&map)?;
        map.entry("importance").or_insert_with(|| "magnitude".into());
        map.entry("scheduler").or_insert_with(|| "one-shot".into());
        let files = FILES.into_iter().filter_map(|key| Some((key.to_owned(), map.remove(key)?))).collect();
        let Files { model, weights, output, calibration } = parsed(Value::Object(files))?;
        Ok(Self { model, weights, output, calibration, settings: parsed(Value::Object(map))? })
    }
}

/// The keys and values of a file: JSON where its name ends so, else TOML.
pub fn read_map(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    let read = if path.extension().is_some_and(|ending| ending == "json") {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    read.map_err(|message| ConfigError::Syntax { path: path.to_owned(), message: message.trim_end().to_owned() })
}

/// The JSON schema of a config, with the options of every plugin that is linked.
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    // What is left out has a default here.
    schema.remove("required");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("$schema".to_owned(), serde_json::json!({ "type": "string" }));
    }
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
    const SIMILAR: f64 = 0.6;
    let schema = schema();
    let known: BTreeSet<&str> = match schema.get("properties") {
        Some(Value::Object(properties)) => properties.keys().map(String::as_str).collect(),
        _ => BTreeSet::new(),
    };
    let Some(key) = map.keys().find(|key| !known.contains(key.as_str())) else { return Ok(()) };
    let similar = known.iter().map(|name| (strsim::normalized_damerau_levenshtein(key, name), *name));
    let nearest = similar.filter(|(similarity, _)| *similarity >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0));
    Err(ConfigError::UnknownKey { key: key.clone(), nearest: nearest.map(|(_, name)| name.to_owned()) })
}

/// What a part of a config says; an error names the key.
fn parsed<T: DeserializeOwned>(value: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (key, message) = (error.path().to_string(), error.inner().to_string());
        ConfigError::Value { key, message }
    })
}
