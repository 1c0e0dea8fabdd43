//! The keys and values of a file, in TOML or JSON.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ConfigError;

/// The keys and values of a file: JSON where its name ends so, else TOML.
pub fn read_map(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    let json = path.extension().is_some_and(|ending| ending == "json");
    let read = if json { of_json(&text) } else { of_toml(&text) };
    read.map_err(|message| ConfigError::Syntax { path: path.to_owned(), message: message.trim_end().to_owned() })
}

fn of_json(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Once(Value::Object(map))) => Ok(map),
        Ok(_) => Err("a config is an object of keys and values".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn of_toml(text: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
    // JSON has only finite numbers, and would make null of others.
    for (key, value) in &table {
        check_finite(key, value)?;
    }
    table.try_into().map_err(|error: toml::de::Error| error.to_string())
}

/// That all numbers below a key are finite.
fn check_finite(key: &str, value: &toml::Value) -> Result<(), String> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => {
            let text = if number.is_infinite() { ", or \"inf\" in quotes where that is a choice" } else { "" };
            Err(format!("`{key}` is {}; give a finite number{text}", number.to_string().to_lowercase()))
        }
        toml::Value::Array(values) => {
            values.iter().enumerate().try_for_each(|(index, value)| check_finite(&format!("{key}[{index}]"), value))
        }
        toml::Value::Table(table) => {
            table.iter().try_for_each(|(below, value)| check_finite(&format!("{key}.{below}"), value))
        }
        _ => Ok(()),
    }
}

/// A value in whose objects each key is given once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Once(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Once(value))) = entries.next_entry::<String, _>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` is given twice; leave one of them out")));
            }
            map.insert(key, value);
        }
        Ok(map.into())
    }
}
