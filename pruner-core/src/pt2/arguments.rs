//! Arguments of nodes: from the schema to the graph, and back.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value as Json, json};

use super::codes;
use super::schema::{Argument as Arg, Named, OptionalTensor, SymBoolArgument, SymFloatArgument, SymIntArgument};
use crate::graph::Argument;
use crate::ids::ValueId;

/// The names of a program or sub-graph, and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) values: BTreeMap<String, ValueId>,
    /// The values that symbolic sizes had when the program was exported.
    pub(super) sizes: HashMap<String, Option<i64>>,
}

impl Names {
    fn value(&self, name: &str) -> Result<ValueId, String> {
        let found = self.values.get(name).copied();
        found.ok_or_else(|| format!("reads the value `{name}`, which nothing before it makes"))
    }

    fn values(&self, names: &[Named]) -> Result<Vec<Option<ValueId>>, String> {
        names.iter().map(|named| self.value(&named.name).map(Some)).collect()
    }

    fn size(&self, size: &SymIntArgument) -> Result<i64, String> {
        let name = match size {
            SymIntArgument::AsInt(size) => return Ok(*size),
            SymIntArgument::AsName(name) => name,
        };
        match self.sizes.get(name) {
            Some(Some(hint)) => Ok(*hint),
            Some(None) => Err(format!(
                "reads the size `{name}`, which depends on data: export the model so that all sizes follow from its inputs"
            )),
            None => Err(format!("reads the size `{name}`, which nothing before it makes")),
        }
    }

    /// The argument as a graph has it, and the names of the symbolic sizes in it.
    pub(super) fn argument(&self, arg: &Arg) -> Result<(Argument, Vec<Option<String>>), String> {
        let plain = |argument| Ok((argument, Vec::new()));
        match arg {
            Arg::AsTensor(named) | Arg::AsOptionalTensor(OptionalTensor::AsTensor(named)) => {
                plain(Argument::Value(self.value(&named.name)?))
            }
            Arg::AsTensors(names) => plain(Argument::Values(self.values(names)?)),
            Arg::AsNestedTensors(lists) => {
                let lists: Result<Vec<_>, _> = lists.iter().map(|names| self.values(names)).collect();
                plain(Argument::Values(lists?.concat()))
            }
            Arg::AsOptionalTensors(tensors) => {
                let one = |tensor: &OptionalTensor| match tensor {
                    OptionalTensor::AsTensor(named) => self.value(&named.name).map(Some),
                    OptionalTensor::AsNone(_) => Ok(None),
                };
                plain(Argument::Values(tensors.iter().map(one).collect::<Result<_, _>>()?))
            }
            Arg::AsInt(value) => plain(Argument::Int(*value)),
            Arg::AsInts(values) => plain(Argument::Ints(values.clone())),
            Arg::AsIntLists(lists) => plain(Argument::Ints(lists.concat())),
            Arg::AsFloat(value) | Arg::AsSymFloat(SymFloatArgument::AsFloat(value)) => plain(Argument::Float(value.0)),
            Arg::AsFloats(values) => plain(Argument::Floats(values.iter().map(|value| value.0).collect())),
            Arg::AsString(text) | Arg::AsOperator(text) => plain(Argument::Str(text.clone())),
            Arg::AsStrings(texts) => plain(Argument::Str(texts.join(","))),
            Arg::AsBool(value) | Arg::AsSymBool(SymBoolArgument::AsBool(value)) => plain(Argument::Bool(*value)),
            Arg::AsBools(values) => plain(Argument::Bools(values.clone())),
            Arg::AsSymInt(size) => {
                let argument = Argument::Int(self.size(size)?);
                Ok((argument, symbols(std::slice::from_ref(size))))
            }
            Arg::AsSymInts(sizes) => {
                let values: Result<Vec<_>, _> = sizes.iter().map(|size| self.size(size)).collect();
                Ok((Argument::Ints(values?), symbols(sizes)))
            }
            Arg::AsScalarType(code) => {
                let dtype = codes::dtype(*code).ok_or_else(|| format!("unknown element type {code}"))?;
                plain(Argument::Dtype(dtype))
            }
            Arg::AsMemoryFormat(code) => {
                let format = codes::memory_format(*code).ok_or_else(|| format!("unknown memory format {code}"))?;
                plain(Argument::MemoryFormat(format))
            }
            Arg::AsLayout(codes::STRIDED) => plain(Argument::Layout(0)),
            Arg::AsLayout(code) => Err(format!("layout {code}, and only dense tensors are read")),
            Arg::AsDevice(device) => {
                let index = device.index.map(|index| format!(":{index}")).unwrap_or_default();
                plain(Argument::Device(format!("{}{index}", device.r#type)))
            }
            // What has no place in a graph says nothing of axes.
            Arg::AsNone(_)
            | Arg::AsOptionalTensor(OptionalTensor::AsNone(_))
            | Arg::AsSymFloat(_)
            | Arg::AsSymFloats(_)
            | Arg::AsSymBool(_)
            | Arg::AsSymBools(_)
            | Arg::AsGraph(_)
            | Arg::AsCustomObj(_)
            | Arg::AsComplex(_)
            | Arg::AsStringToArgument(_) => plain(Argument::None),
        }
    }
}

fn symbols(sizes: &[SymIntArgument]) -> Vec<Option<String>> {
    let name = |size: &SymIntArgument| match size {
        SymIntArgument::AsName(name) => Some(name.clone()),
        SymIntArgument::AsInt(_) => None,
    };
    let names: Vec<_> = sizes.iter().map(name).collect();
    if names.iter().all(Option::is_none) { Vec::new() } else { names }
}

/// The tensors that an argument of the outputs of a node or graph names.
pub(super) fn tensors<'a>(arg: &'a Arg<'_>) -> Vec<&'a str> {
    let optional = |tensor: &'a OptionalTensor| match tensor {
        OptionalTensor::AsTensor(named) => Some(named.name.as_str()),
        OptionalTensor::AsNone(_) => None,
    };
    match arg {
        Arg::AsTensor(named) => vec![&named.name],
        Arg::AsTensors(names) => names.iter().map(|named| named.name.as_str()).collect(),
        Arg::AsNestedTensors(lists) => lists.iter().flatten().map(|named| named.name.as_str()).collect(),
        Arg::AsOptionalTensor(tensor) => optional(tensor).into_iter().collect(),
        Arg::AsOptionalTensors(tensors) => tensors.iter().filter_map(optional).collect(),
        _ => Vec::new(),
    }
}

/// An argument of a graph as the schema has it; `name` says what a value is called.
pub(super) fn json(argument: &Argument, name: &dyn Fn(ValueId) -> Option<String>) -> Option<Json> {
    let float = |value: f64| match value {
        _ if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => json!(value),
    };
    Some(match argument {
        Argument::None => json!({ "as_none": true }),
        Argument::Value(id) => json!({ "as_tensor": { "name": name(*id)? } }),
        Argument::Values(ids) if ids.iter().all(Option::is_some) => {
            let names: Option<Vec<_>> = ids.iter().map(|id| Some(json!({ "name": name((*id)?)? }))).collect();
            json!({ "as_tensors": names? })
        }
        Argument::Values(ids) => {
            let one = |id: &Option<ValueId>| match id {
                Some(id) => Some(json!({ "as_tensor": { "name": name(*id)? } })),
                None => Some(json!({ "as_none": true })),
            };
            json!({ "as_optional_tensors": ids.iter().map(one).collect::<Option<Vec<_>>>()? })
        }
        Argument::Bool(value) => json!({ "as_bool": value }),
        Argument::Int(value) => json!({ "as_int": value }),
        Argument::Float(value) => json!({ "as_float": float(*value) }),
        Argument::Str(text) => json!({ "as_string": text }),
        Argument::Bools(values) => json!({ "as_bools": values }),
        Argument::Ints(values) => json!({ "as_ints": values }),
        Argument::Floats(values) => {
            json!({ "as_floats": values.iter().map(|value| float(*value)).collect::<Vec<_>>() })
        }
        Argument::Dtype(dtype) => json!({ "as_scalar_type": codes::dtype_code(*dtype) }),
        Argument::MemoryFormat(format) => json!({ "as_memory_format": codes::memory_format_code(*format) }),
        Argument::Layout(_) => json!({ "as_layout": codes::STRIDED }),
        Argument::Device(device) => {
            let (kind, index) =
                device.split_once(':').map_or((device.as_str(), None), |(kind, index)| (kind, Some(index)));
            json!({ "as_device": { "type": kind, "index": index.and_then(|index| index.parse::<i64>().ok()) } })
        }
    })
}
