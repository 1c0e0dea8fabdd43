//! The program of an archive, from a graph.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::super::arguments;
use super::super::codes::{self, KEYWORD, POSITIONAL, STRIDED};
use super::super::error::Pt2Error;
use super::super::nodes::{SET_GRAD, target};
use super::super::schema::ACCEPTED;
use super::super::strides;
use super::names::{Names, operation};
use super::{Layout, Returned, Source};
use crate::graph::{Graph, Node, Origin, TensorMeta};
use crate::ids::{NodeId, ValueId};

/// The version of torch whose programs these are.
const TORCH: &str = "2.11.0";

/// The program as the schema has it.
pub(super) fn json(graph: &Graph, source: &dyn Source) -> Result<Json, Pt2Error> {
    let mut program = Program { graph, source, names: Names::new(graph)?, last_uses: last_uses(graph) };
    let inputs = program.inputs();
    let input_specs: Vec<Json> = inputs.iter().map(|&input| program.input_spec(input)).collect();
    let nodes: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
    let body = program.body(&inputs, &nodes, graph.outputs())?;
    let output_spec = |&value: &ValueId| json!({ "user_output": { "arg": program.tensor(value) } });
    let output_specs: Vec<Json> = graph.outputs().iter().map(output_spec).collect();
    let arguments: Vec<&str> = graph.inputs().iter().map(|&input| program.names.value(input)).collect();
    let keywords = json!({ "type": "builtins.dict", "context": "[]", "children_spec": [] });
    let taken = tuple(&[tuple(&vec![leaf(); arguments.len()]), keywords]);
    let returned = if let [_] = graph.outputs() { leaf() } else { tuple(&vec![leaf(); graph.outputs().len()]) };
    Ok(json!({
        "graph_module": {
            "graph": body,
            "signature": { "input_specs": input_specs, "output_specs": output_specs },
            "module_call_graph": [{
                "fqn": "",
                "signature": {
                    "inputs": [],
                    "outputs": [],
                    "in_spec": json!([1, taken]).to_string(),
                    "out_spec": json!([1, returned]).to_string(),
                    "forward_arg_names": arguments,
                },
            }],
            "metadata": {},
            "treespec_namedtuple_fields": {},
        },
        "opset_version": { "aten": 10 },
        "range_constraints": {},
        "schema_version": { "major": ACCEPTED.0, "minor": ACCEPTED.1 },
        "verifiers": ["TRAINING"],
        "torch_version": TORCH,
        "guards_code": [],
    }))
}

/// How arguments and results are put together from tensors: a tensor, and a tuple of such.
fn leaf() -> Json {
    json!({ "type": null, "context": null, "children_spec": [] })
}

fn tuple(of: &[Json]) -> Json {
    json!({ "type": "builtins.tuple", "context": "null", "children_spec": of })
}

/// The metadata of a tensor as the schema has it.
pub(super) fn meta(meta: &TensorMeta, layout: &Layout) -> Json {
    let sizes = |sizes: &[i64]| sizes.iter().map(|size| json!({ "as_int": size })).collect::<Vec<_>>();
    json!({
        "dtype": codes::dtype_code(meta.dtype),
        "sizes": sizes(&meta.shape),
        "requires_grad": layout.requires_grad,
        "device": { "type": "cpu", "index": null },
        "strides": sizes(&layout.strides),
        "storage_offset": { "as_int": 0 },
        "layout": STRIDED,
    })
}

/// How a value lies in memory: what is stored or given, row by row.
pub(super) fn layout(graph: &Graph, value: ValueId, source: &dyn Source) -> Layout {
    let mut layout = source.layout(value);
    let shape = graph.shape(value);
    if !matches!(graph.value(value).origin, Origin::Node { .. }) || layout.strides.len() != shape.len() {
        layout.strides = strides::dense(shape, &vec![1; shape.len()]);
    }
    layout
}

/// The last node that reads each value; the outputs are read after all nodes.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.values().len()];
    for (id, node) in graph.nodes() {
        node.inputs().for_each(|value| last[value.index()] = id.index());
    }
    graph.outputs().iter().for_each(|value| last[value.index()] = usize::MAX);
    last
}

/// A program being written.
struct Program<'a> {
    graph: &'a Graph,
    source: &'a dyn Source,
    names: Names,
    last_uses: Vec<usize>,
}

impl Program<'_> {
    /// The inputs of the program: what is stored, then those of the graph.
    fn inputs(&self) -> Vec<ValueId> {
        let of = |origin: Origin| self.graph.stored().filter(move |(_, value)| value.origin == origin);
        let stored = [Origin::Parameter, Origin::Buffer, Origin::Constant].into_iter().flat_map(of);
        stored.map(|(id, _)| id).chain(self.graph.inputs().iter().copied()).collect()
    }

    fn input_spec(&self, input: ValueId) -> Json {
        let value = self.graph.value(input);
        let (arg, name) = (json!({ "name": self.names.value(input) }), &value.name);
        match value.origin {
            Origin::Parameter => json!({ "parameter": { "arg": arg, "parameter_name": name } }),
            Origin::Buffer => json!({ "buffer": { "arg": arg, "buffer_name": name, "persistent": true } }),
            Origin::Constant => json!({ "tensor_constant": { "arg": arg, "tensor_constant_name": name } }),
            Origin::Input | Origin::Node { .. } => json!({ "user_input": { "arg": self.tensor(input) } }),
        }
    }

    fn tensor(&self, value: ValueId) -> Json {
        json!({ "as_tensor": { "name": self.names.value(value) } })
    }

    /// A graph of nodes, those without gradients in sub-graphs.
    fn body(&mut self, inputs: &[ValueId], nodes: &[NodeId], outputs: &[ValueId]) -> Result<Json, Pt2Error> {
        let mut written = Vec::new();
        let graph = self.graph;
        for run in nodes.chunk_by(|&a, &b| graph.node(a).no_grad == graph.node(b).no_grad) {
            if graph.node(run[0]).no_grad {
                written.push(self.without_gradients(run)?);
            } else {
                written.extend(self.nodes(run)?);
            }
        }
        Ok(self.scope(inputs, nodes, outputs, &written))
    }

    /// A graph of nodes that are written already.
    fn scope(&self, inputs: &[ValueId], nodes: &[NodeId], outputs: &[ValueId], written: &[Json]) -> Json {
        let results = nodes.iter().flat_map(|&node| self.graph.node(node).results.iter().copied());
        let values: Map<String, Json> = (inputs.iter().copied().chain(results))
            .map(|value| {
                let layout = layout(self.graph, value, self.source);
                (self.names.value(value).to_owned(), meta(&self.graph.value(value).meta, &layout))
            })
            .collect();
        let tensors = |values: &[ValueId]| values.iter().map(|&value| self.tensor(value)).collect::<Vec<_>>();
        json!({
            "inputs": tensors(inputs),
            "outputs": tensors(outputs),
            "nodes": written,
            "tensor_values": values,
            "sym_int_values": {},
            "sym_bool_values": {},
            "sym_float_values": {},
            "is_single_tensor_return": false,
            "custom_obj_values": {},
        })
    }

    /// A node that runs others without gradients.
    fn without_gradients(&mut self, nodes: &[NodeId]) -> Result<Json, Pt2Error> {
        let made: BTreeSet<ValueId> =
            nodes.iter().flat_map(|&node| self.graph.node(node).results.iter().copied()).collect();
        let read: BTreeSet<ValueId> = nodes.iter().flat_map(|&node| self.graph.node(node).inputs()).collect();
        let inputs: Vec<ValueId> = read.difference(&made).copied().collect();
        let end = nodes.last().map_or(0, |node| node.index());
        let outputs: Vec<ValueId> = made.iter().copied().filter(|value| self.last_uses[value.index()] > end).collect();
        let written = self.nodes(nodes)?;
        let graph = self.scope(&inputs, nodes, &outputs, &written);
        let argument = |arg: Json| json!({ "name": "", "arg": arg, "kind": POSITIONAL });
        let mut arguments = vec![argument(json!({ "as_bool": false }))];
        arguments.push(argument(json!({ "as_graph": { "name": self.names.free("submod"), "graph": graph } })));
        arguments.extend(inputs.iter().map(|&input| argument(self.tensor(input))));
        let results: Vec<Json> = outputs.iter().map(|&output| self.tensor(output)).collect();
        let name = self.names.free("wrap_with_set_grad_enabled");
        Ok(node(SET_GRAD, &arguments, &results, &name, Some(false)))
    }

    fn nodes(&mut self, nodes: &[NodeId]) -> Result<Vec<Json>, Pt2Error> {
        nodes.iter().filter_map(|&id| self.node(id).transpose()).collect()
    }

    /// A node; nothing where one only reads a size.
    fn node(&mut self, id: NodeId) -> Result<Option<Json>, Pt2Error> {
        let called = self.graph.node(id);
        let wrong = |what: String| Pt2Error::program(self.graph.describe(id), what);
        let call = self.source.call(called)?;
        if called.results.is_empty() && call.returned.contains(&Returned::Other) {
            return Ok(None);
        }
        let name_of = |value: ValueId| Some(self.names.value(value).to_owned());
        let mut inputs = Vec::new();
        for (name, argument) in &called.arguments {
            let arg =
                arguments::json(argument, &name_of).ok_or_else(|| wrong(format!("argument `{name}` has no name")))?;
            let kind = if call.keywords.contains(name) { KEYWORD } else { POSITIONAL };
            inputs.push(json!({ "name": name, "arg": arg, "kind": kind }));
        }
        let results = self.results(called, &call.returned).map_err(wrong)?;
        let name = match called.results[..] {
            [one] if call.returned == [Returned::Tensor] => self.names.value(one).to_owned(),
            _ => self.names.free(operation(&called.op)),
        };
        Ok(Some(node(&target(called), &inputs, &results, &name, None)))
    }

    /// The results of a node, lists of them together.
    fn results(&self, node: &Node, returned: &[Returned]) -> Result<Vec<Json>, String> {
        let mut results = node.results.iter();
        let mut next =
            || results.next().copied().ok_or_else(|| format!("it has {} results, too few", node.results.len()));
        let mut written = Vec::new();
        for &what in returned {
            written.push(match what {
                Returned::Tensor => self.tensor(next()?),
                Returned::Tensors(count) => {
                    let names = (0..count).map(|_| Ok(json!({ "name": self.names.value(next()?) })));
                    json!({ "as_tensors": names.collect::<Result<Vec<_>, String>>()? })
                }
                Returned::Other => return Err("it returns what is no tensor".to_owned()),
            });
        }
        match results.next() {
            Some(_) => Err(format!("it has {} results, too many", node.results.len())),
            None => Ok(written),
        }
    }
}

fn node(target: &str, inputs: &[Json], outputs: &[Json], name: &str, single: Option<bool>) -> Json {
    json!({
        "target": target,
        "inputs": inputs,
        "outputs": outputs,
        "metadata": {},
        "is_hop_single_tensor_return": single,
        "name": name,
    })
}
