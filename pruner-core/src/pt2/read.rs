//! From the program of an archive to a graph: what is stored, what goes in, what comes out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::archive::Archive;
use super::arguments::{Names, tensors};
use super::codes;
use super::error::Pt2Error;
use super::payload::StoredTensor;
use super::schema::{self, ACCEPTED, ExportedProgram, Head, InputSpec, OutputSpec};
use super::sites::{MetaSite, Scope, Sites};
use super::stored::{StoredList, size_site, size_sites};
use crate::graph::verify::verify;
use crate::graph::{Argument, Graph, Origin, TensorMeta};
use crate::ids::ValueId;

/// The longest dimension: the analysis counts its positions.
const SIZE_MAX: i64 = 1 << 28;

/// A graph, where the things of it stand in the program, and the tensors that it reads.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) graph: Graph,
    pub(super) sites: Sites,
    pub(super) stored: BTreeMap<ValueId, StoredTensor>,
    /// The value of each parameter, buffer and constant by its name; several names may be of one.
    pub(super) variables: BTreeMap<String, ValueId>,
    /// What of the program the graph does not say.
    pub(super) warnings: Vec<String>,
}

/// Reads the program `text`, which is the entry `entry`.
pub(super) fn read(text: &str, entry: &str, lists: &[StoredList]) -> Result<Program, Pt2Error> {
    let json = |source| Pt2Error::Json { entry: entry.to_owned(), source };
    let version = serde_json::from_str::<Head>(text).map_err(json)?.schema_version;
    if version.major != ACCEPTED.0 {
        return Err(Pt2Error::Schema { major: version.major, minor: version.minor });
    }
    if version.minor > ACCEPTED.1 {
        tracing::warn!("{entry}: schema version {}.{} is newer than this program", version.major, version.minor);
    }
    let program: ExportedProgram = serde_json::from_str(text).map_err(json)?;
    let mut reader = Reader::new(text, lists);
    reader.program(&program)?;
    let Reader { graph, sites, stored, variables, warnings, .. } = reader;
    verify(&graph).map_err(|error| Pt2Error::program("graph", error.to_string()))?;
    Ok(Program { graph, sites, stored, variables, warnings })
}

/// The folders of stored tensors.
pub(super) fn lists(archive: &Archive, model: &str) -> Result<Vec<StoredList>, Pt2Error> {
    ["weights", "constants"].iter().map(|folder| StoredList::read(archive, folder, model)).collect()
}

/// A program being read.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    lists: &'a [StoredList],
    pub(super) graph: Graph,
    pub(super) sites: Sites,
    stored: BTreeMap<ValueId, StoredTensor>,
    /// The value of each stored tensor: tensors that are one in the archive are one in the graph.
    views: HashMap<String, ValueId>,
    variables: BTreeMap<String, ValueId>,
    /// Whether what is read runs without gradients.
    pub(super) no_grad: bool,
    pub(super) warnings: Vec<String>,
    /// The entries whose bytes belong to several tensors that are not the same.
    shared: BTreeSet<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, lists: &'a [StoredList]) -> Self {
        let mut first: HashMap<&str, &StoredTensor> = HashMap::new();
        let mut shared = BTreeSet::new();
        for stored in lists.iter().flat_map(|list| list.tensors.values()) {
            if *first.entry(&stored.tensor.entry).or_insert(&stored.tensor) != &stored.tensor {
                shared.insert(stored.tensor.entry.as_str());
            }
        }
        Self {
            text,
            lists,
            graph: Graph::new(),
            sites: Sites::default(),
            stored: BTreeMap::new(),
            views: HashMap::new(),
            variables: BTreeMap::new(),
            no_grad: false,
            warnings: Vec::new(),
            shared,
        }
    }

    fn program(&mut self, program: &ExportedProgram) -> Result<(), Pt2Error> {
        let (graph, signature) = (&program.graph_module.graph, &program.graph_module.signature);
        let (inputs, outputs) = (&signature.input_specs, &signature.output_specs);
        for (what, specs, count) in
            [("inputs", inputs.len(), graph.inputs.len()), ("outputs", outputs.len(), graph.outputs.len())]
        {
            if specs != count {
                return Err(Pt2Error::program(what, format!("the graph has {count}, and the signature {specs}")));
            }
        }
        let mut bound = Vec::new();
        for spec in inputs {
            bound.extend(self.input(graph, spec)?);
        }
        let shared: Vec<_> = self.stored.iter().filter(|(_, tensor)| self.shared.contains(&*tensor.entry)).collect();
        let shared: Vec<_> = shared.into_iter().map(|(value, _)| *value).collect();
        for value in shared {
            (0..self.graph.shape(value).len()).for_each(|dim| self.pin(value, dim));
        }
        let names = self.scope(graph, bound)?;
        let mut results = Vec::new();
        for spec in outputs {
            self.output(spec, &names, &mut results)?;
        }
        self.graph.set_outputs(results);
        Ok(())
    }

    /// The name and value of an input of the program, if it is a tensor.
    fn input(&mut self, graph: &schema::Graph, spec: &InputSpec) -> Result<Option<(String, ValueId)>, Pt2Error> {
        let (name, value) = match spec {
            InputSpec::UserInput { arg } => {
                let Some(&name) = tensors(arg).first() else { return Ok(None) };
                (name, self.graph.add_input(name, meta(graph, name)?))
            }
            InputSpec::Parameter { arg, parameter_name } => {
                (arg.name.as_str(), self.stored(graph, &arg.name, parameter_name, Origin::Parameter, "weights")?)
            }
            InputSpec::Buffer { arg, buffer_name, persistent } => {
                let folder = if *persistent { "weights" } else { "constants" };
                (arg.name.as_str(), self.stored(graph, &arg.name, buffer_name, Origin::Buffer, folder)?)
            }
            InputSpec::TensorConstant { arg, tensor_constant_name } => {
                (arg.name.as_str(), self.stored(graph, &arg.name, tensor_constant_name, Origin::Constant, "constants")?)
            }
            InputSpec::CustomObj { custom_obj_name } => {
                return Err(Pt2Error::Pickle { name: custom_obj_name.clone() });
            }
            InputSpec::Token {} | InputSpec::ConstantInput {} => return Ok(None),
        };
        Ok(Some((name.to_owned(), value)))
    }

    /// The value of a stored tensor: a new one, unless it is the same tensor as one before.
    fn stored(
        &mut self,
        graph: &schema::Graph,
        name: &str,
        variable: &str,
        origin: Origin,
        folder: &str,
    ) -> Result<ValueId, Pt2Error> {
        let list = &self.lists[usize::from(folder != "weights")];
        let missing = || Pt2Error::tensor(variable, format!("`{}` does not list it", list.entry));
        let tensor = &list.tensors.get(variable).ok_or_else(missing)?.tensor;
        let expected = meta(graph, name)?;
        if tensor.meta != expected {
            let what = format!("it is stored as {}, and the program takes {expected}", tensor.meta);
            return Err(Pt2Error::tensor(variable, what));
        }
        let view = format!("{tensor:?}");
        let value = if let Some(&value) = self.views.get(&view) {
            value
        } else {
            let value = self.graph.add_value(variable, origin, expected);
            self.views.insert(view, value);
            self.stored.insert(value, tensor.clone());
            value
        };
        self.variables.insert(variable.to_owned(), value);
        Ok(value)
    }

    /// Reads a program or sub-graph in which the names in `bound` are known.
    pub(super) fn scope(&mut self, graph: &schema::Graph, bound: Vec<(String, ValueId)>) -> Result<Names, Pt2Error> {
        let sizes = &graph.sym_int_values;
        let mut names = Names {
            sizes: sizes.value.iter().map(|(name, size)| (name.clone(), size.hint())).collect(),
            ..Names::default()
        };
        let mut taken: BTreeSet<String> = graph.tensor_values.keys().chain(sizes.value.keys()).cloned().collect();
        taken.extend(graph.nodes.iter().filter_map(|node| node.value.name.clone()));
        let scope = self.sites.scopes.len();
        self.sites.scopes.push(Scope {
            names: HashMap::new(),
            symbols: sizes.value.clone(),
            symbols_place: sizes.place(self.text),
            taken,
        });
        for (name, value) in bound {
            self.bind(graph, &mut names, &name, value)?;
        }
        for node in &graph.nodes {
            self.node(graph, scope, &mut names, node)?;
        }
        for (name, value) in &names.values {
            self.sites.scopes[scope].names.insert(*value, name.clone());
            if let Some(meta) = graph.tensor_values.get(name) {
                self.sites.metas.push(MetaSite {
                    value: *value,
                    sizes: size_sites(&meta.sizes, self.text),
                    strides: size_sites(&meta.strides, self.text),
                    offset: size_site(&meta.storage_offset, self.text),
                });
            }
        }
        Ok(names)
    }

    /// Gives a value a name, under which its metadata must say the same.
    pub(super) fn bind(
        &self,
        graph: &schema::Graph,
        names: &mut Names,
        name: &str,
        value: ValueId,
    ) -> Result<(), Pt2Error> {
        let (known, found) = (&self.graph.value(value).meta, meta(graph, name)?);
        if *known != found {
            return Err(Pt2Error::program(format!("value `{name}`"), format!("it is {known} and also {found}")));
        }
        match names.values.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(Pt2Error::program(format!("value `{name}`"), "it is made twice")),
        }
    }

    fn output(&mut self, spec: &OutputSpec, names: &Names, results: &mut Vec<ValueId>) -> Result<(), Pt2Error> {
        let find = |name: &str| {
            let missing = || Pt2Error::program("outputs", format!("no node makes the value `{name}`"));
            names.values.get(name).copied().ok_or_else(missing)
        };
        match spec {
            OutputSpec::UserOutput { arg } => {
                for name in tensors(arg) {
                    results.push(find(name)?);
                }
            }
            OutputSpec::LossOutput { arg }
            | OutputSpec::GradientToParameter { arg }
            | OutputSpec::GradientToUserInput { arg } => results.push(find(&arg.name)?),
            OutputSpec::BufferMutation { arg, buffer_name: name }
            | OutputSpec::ParameterMutation { arg, parameter_name: name } => {
                let missing = || Pt2Error::program("outputs", format!("`{name}` is changed, which is no input"));
                let variable = self.variables.get(name).copied().ok_or_else(missing)?;
                self.write_back(variable, find(&arg.name)?);
            }
            OutputSpec::UserInputMutation { arg, user_input_name } => {
                self.write_back(find(user_input_name)?, find(&arg.name)?);
            }
            OutputSpec::Token {} => {}
        }
        Ok(())
    }

    /// What the end of the program does to a variable: it takes the elements of a result.
    fn write_back(&mut self, variable: ValueId, result: ValueId) {
        if variable != result {
            let meta = self.graph.value(variable).meta.clone();
            let arguments = [("self", variable.into()), ("src", result.into())];
            let arguments = arguments.map(|(name, argument)| (name.to_owned(), argument)).to_vec();
            let node = self.graph.add_node("aten::copy_", "", arguments, vec![meta]);
            self.graph.node_mut(node).no_grad = true;
            self.sites.nodes.push(None);
        }
    }

    /// Says that a size is read as a number, so that nothing of the dimension may be cut.
    pub(super) fn pin(&mut self, value: ValueId, dim: usize) {
        let arguments = vec![("self".to_owned(), value.into()), ("dim".to_owned(), Argument::Int(dim as i64))];
        self.graph.add_node("aten::sym_size", "int", arguments, Vec::new());
        self.sites.nodes.push(None);
    }
}

/// The shape and element type that a program gives for a value.
pub(super) fn meta(graph: &schema::Graph, name: &str) -> Result<TensorMeta, Pt2Error> {
    let wrong = |what: String| Pt2Error::program(format!("value `{name}`"), what);
    let meta = graph.tensor_values.get(name).ok_or_else(|| wrong("it has no metadata".to_owned()))?;
    let dtype = codes::dtype(meta.dtype).ok_or_else(|| wrong(format!("unknown element type {}", meta.dtype)))?;
    if meta.sizes.len() != meta.strides.len() {
        return Err(wrong(format!("{} sizes and {} strides", meta.sizes.len(), meta.strides.len())));
    }
    let size = |size: &schema::SymInt| {
        size.hint().ok_or_else(|| {
            wrong("a size depends on data: export the model so that all sizes follow from its inputs".to_owned())
        })
    };
    let shape = meta.sizes.iter().map(|site| size(&site.value)).collect::<Result<Vec<_>, _>>()?;
    if let Some(size) = shape.iter().find(|size| !(0..=SIZE_MAX).contains(*size)) {
        return Err(wrong(format!("a dimension of size {size}, where 0 to {SIZE_MAX} are read")));
    }
    Ok(TensorMeta { shape, dtype })
}
