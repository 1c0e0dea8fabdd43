//! What is read of a program and of the lists of stored tensors; fields that are not named here are left alone.
//!
//! Names are those of `torch._export.serde.schema`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::span::Spanned;

/// The major version of the schema that is read, and the latest minor version that is known.
pub(super) const ACCEPTED: (u64, u64) = (8, 17);

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) schema_version: SchemaVersion,
}

#[derive(Debug, Deserialize)]
pub(super) struct SchemaVersion {
    pub(super) major: u64,
    pub(super) minor: u64,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct ExportedProgram<'a> {
    pub(super) graph_module: GraphModule<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct GraphModule<'a> {
    pub(super) graph: Graph<'a>,
    pub(super) signature: Signature<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Graph<'a> {
    pub(super) inputs: Vec<Argument<'a>>,
    pub(super) outputs: Vec<Argument<'a>>,
    pub(super) nodes: Vec<Spanned<'a, Node<'a>>>,
    pub(super) tensor_values: BTreeMap<String, TensorMeta<'a>>,
    pub(super) sym_int_values: Spanned<'a, BTreeMap<String, SymInt>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Node<'a> {
    pub(super) target: Spanned<'a, String>,
    pub(super) inputs: Spanned<'a, Vec<NamedArgument<'a>>>,
    pub(super) outputs: Vec<Argument<'a>>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct NamedArgument<'a> {
    pub(super) name: String,
    pub(super) arg: Spanned<'a, Argument<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

#[allow(clippy::enum_variant_names, reason = "they are named as in the schema")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", bound(deserialize = "'de: 'a"))]
pub(super) enum Argument<'a> {
    AsNone(IgnoredAny),
    AsTensor(Named),
    AsTensors(Vec<Named>),
    AsOptionalTensor(OptionalTensor),
    AsOptionalTensors(Vec<OptionalTensor>),
    AsNestedTensors(Vec<Vec<Named>>),
    AsInt(i64),
    AsInts(Vec<i64>),
    AsIntLists(Vec<Vec<i64>>),
    AsFloat(Float),
    AsFloats(Vec<Float>),
    AsString(String),
    AsStrings(Vec<String>),
    AsBool(bool),
    AsBools(Vec<bool>),
    AsSymInt(SymIntArgument),
    AsSymInts(Vec<SymIntArgument>),
    AsSymFloat(SymFloatArgument),
    AsSymFloats(IgnoredAny),
    AsSymBool(SymBoolArgument),
    AsSymBools(IgnoredAny),
    AsScalarType(u32),
    AsMemoryFormat(u32),
    AsLayout(u32),
    AsDevice(Device),
    AsGraph(SubGraph<'a>),
    AsCustomObj(IgnoredAny),
    AsOperator(String),
    AsComplex(IgnoredAny),
    AsStringToArgument(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OptionalTensor {
    AsTensor(Named),
    AsNone(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymIntArgument {
    AsName(String),
    AsInt(i64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymFloatArgument {
    AsName(IgnoredAny),
    AsFloat(Float),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymBoolArgument {
    AsName(IgnoredAny),
    AsBool(bool),
}

/// A number, or the name of one that JSON lacks.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "FloatText")]
pub(super) struct Float(pub(super) f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum FloatText {
    Number(f64),
    Name(String),
}

impl TryFrom<FloatText> for Float {
    type Error = String;

    fn try_from(text: FloatText) -> Result<Self, String> {
        match text {
            FloatText::Number(number) => Ok(Self(number)),
            FloatText::Name(name) => match name.as_str() {
                "Infinity" => Ok(Self(f64::INFINITY)),
                "-Infinity" => Ok(Self(f64::NEG_INFINITY)),
                "NaN" => Ok(Self(f64::NAN)),
                _ => Err(format!("`{name}` is no number")),
            },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Device {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) index: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct SubGraph<'a> {
    pub(super) graph: Box<Graph<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct TensorMeta<'a> {
    pub(super) dtype: u32,
    pub(super) requires_grad: bool,
    pub(super) sizes: Vec<Spanned<'a, SymInt>>,
    pub(super) strides: Vec<Spanned<'a, SymInt>>,
    pub(super) storage_offset: Spanned<'a, SymInt>,
    pub(super) layout: u32,
}

/// A size: a number, or an expression with the value that it had when the program was exported.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymInt {
    AsInt(i64),
    AsExpr(SymExpr),
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct SymExpr {
    pub(super) expr_str: String,
    #[serde(default)]
    pub(super) hint: Option<Hint>,
}

#[allow(clippy::enum_variant_names, reason = "they are named as in the schema")]
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hint {
    AsInt(i64),
    AsBool(IgnoredAny),
    AsFloat(IgnoredAny),
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Signature<'a> {
    pub(super) input_specs: Vec<InputSpec<'a>>,
    pub(super) output_specs: Vec<OutputSpec<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", bound(deserialize = "'de: 'a"))]
pub(super) enum InputSpec<'a> {
    UserInput { arg: Argument<'a> },
    Parameter { arg: Named, parameter_name: String },
    Buffer { arg: Named, buffer_name: String, persistent: bool },
    TensorConstant { arg: Named, tensor_constant_name: String },
    CustomObj { custom_obj_name: String },
    Token {},
    ConstantInput {},
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", bound(deserialize = "'de: 'a"))]
pub(super) enum OutputSpec<'a> {
    UserOutput { arg: Argument<'a> },
    LossOutput { arg: Named },
    BufferMutation { arg: Named, buffer_name: String },
    ParameterMutation { arg: Named, parameter_name: String },
    UserInputMutation { arg: Named, user_input_name: String },
    GradientToParameter { arg: Named },
    GradientToUserInput { arg: Named },
    Token {},
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct PayloadConfig<'a> {
    pub(super) config: BTreeMap<String, PayloadMeta<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct PayloadMeta<'a> {
    pub(super) path_name: String,
    pub(super) use_pickle: bool,
    #[serde(default)]
    pub(super) tensor_meta: Option<TensorMeta<'a>>,
}
