//! A graph with its tensors: a network that runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tch::{Device, Tensor, nn};

use super::{ExecError, Hooks, Mode, Observer, Program};
use crate::deps::{Analysis, Kept};
use crate::graph::{Graph, Origin, Value};
use crate::ids::ValueId;

/// Programs kept for input shapes other than those of the graph.
const CACHED_PROGRAMS: usize = 4;

/// Another graph over the values of a network, ready to take the place of its own.
#[derive(Debug)]
pub(crate) struct Prepared {
    graph: Graph,
    program: Program,
}

/// A network as a graph and its tensors, which are shared with whoever made them.
///
/// It is an [`nn::ModuleT`] where it has one input and one output.
pub struct GraphModule {
    graph: Graph,
    stored: Vec<Option<Tensor>>,
    device: Device,
    program: Arc<Program>,
    warnings: Vec<String>,
    /// The least recently used first.
    resized: RefCell<Vec<Resized>>,
}

/// A program for inputs of other shapes than those of the graph.
struct Resized {
    shapes: Vec<Vec<i64>>,
    program: Arc<Program>,
}

impl GraphModule {
    /// A network of a graph and the tensors of its parameters, buffers and constants.
    pub fn new(graph: Graph, mut tensors: BTreeMap<ValueId, Tensor>, device: Device) -> Result<Self, ExecError> {
        let stored: Vec<_> = graph.values().map(|(id, _)| tensors.remove(&id)).collect();
        check_stored(&graph, &stored)?;
        let program = Arc::new(Program::compile(&graph, device)?);
        Ok(Self { graph, stored, device, program, warnings: Vec::new(), resized: RefCell::default() })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where it runs.
    pub fn device(&self) -> Device {
        self.device
    }

    /// What the graph may not say of the network that it was made from.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Runs the network. Inputs may have another batch size than the traced ones, and other sizes where no operation has
    /// burnt the traced one in.
    pub fn forward(&self, inputs: &[Tensor], mode: Mode) -> Result<Vec<Tensor>, ExecError> {
        self.run(inputs, mode, Hooks::default())
    }

    /// Runs the network and shows every value that a node makes to `observe`, as soon as it is made.
    pub fn forward_observed(
        &self,
        inputs: &[Tensor],
        mode: Mode,
        observe: Observer<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        self.run(inputs, mode, Hooks { made: Some(observe), read: None })
    }

    /// The trained tensors by name, in its order; frozen ones too.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.tensors_of(|origin| origin == Origin::Parameter)
    }

    /// The tensors that are kept and not trained by name, in its order.
    pub fn buffers(&self) -> Vec<(String, Tensor)> {
        self.tensors_of(|origin| origin == Origin::Buffer)
    }

    /// The parameters and buffers by name, in its order.
    pub fn named_tensors(&self) -> Vec<(String, Tensor)> {
        self.tensors_of(|origin| matches!(origin, Origin::Parameter | Origin::Buffer))
    }

    /// The tensor of a parameter, buffer or constant.
    pub fn tensor(&self, value: ValueId) -> Option<&Tensor> {
        self.stored.get(value.index())?.as_ref()
    }

    /// Gives a constant another tensor.
    pub fn set_constant(&mut self, value: ValueId, tensor: Tensor) -> Result<(), ExecError> {
        let found = self.graph.values().nth(value.index()).map(|(_, found)| found);
        match found {
            Some(found) if found.origin == Origin::Constant => {
                self.stored[value.index()] = Some(tensor);
                Ok(())
            }
            found => {
                let name = found.map(|found| found.name.clone()).unwrap_or_default();
                Err(ExecError::NotConstant { value, name })
            }
        }
    }

    /// Replaces the graph by another over the same values. Nothing has changed where an error is returned.
    pub fn replace_graph(&mut self, graph: Graph) -> Result<(), ExecError> {
        let prepared = self.prepare(graph)?;
        self.install(prepared);
        Ok(())
    }

    /// Makes another graph over the same values ready to be [installed](Self::install).
    pub(crate) fn prepare(&self, graph: Graph) -> Result<Prepared, ExecError> {
        check_stored(&graph, &self.stored)?;
        let program = Program::compile_after(Some((&self.graph, &self.program)), &graph, self.device)?;
        Ok(Prepared { graph, program })
    }

    /// Puts a graph that was prepared for this network in the place of its own.
    pub(crate) fn install(&mut self, prepared: Prepared) {
        self.stored.resize_with(prepared.graph.values().len(), || None);
        self.graph = prepared.graph;
        self.program = Arc::new(prepared.program);
        self.resized.borrow_mut().clear();
    }

    pub(crate) fn add_warnings(&mut self, warnings: impl IntoIterator<Item = String>) {
        self.warnings.extend(warnings);
    }

    /// Runs the network on copies of its buffers, of its constants and of the inputs, so that nothing that it writes is seen
    /// afterwards. The tensors that `other` gives take the place of stored ones.
    pub(crate) fn forward_apart(
        &self,
        inputs: &[Tensor],
        mode: Mode,
        other: &dyn Fn(ValueId) -> Option<Tensor>,
        hooks: Hooks<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        let copy = |tensor: &Tensor| tch::no_grad(|| tensor.detach().copy());
        let apart = |(id, value): (ValueId, &Value)| {
            let tensor = self.tensor(id)?;
            Some(other(id).unwrap_or_else(|| match value.origin {
                Origin::Parameter => tensor.shallow_clone(),
                _ => copy(tensor),
            }))
        };
        let stored: Vec<_> = self.graph.values().map(apart).collect();
        let inputs: Vec<_> = inputs.iter().map(copy).collect();
        self.program_for(&inputs)?.run(&stored, &inputs, mode, hooks)
    }

    fn run(&self, inputs: &[Tensor], mode: Mode, hooks: Hooks<'_>) -> Result<Vec<Tensor>, ExecError> {
        self.program_for(inputs)?.run(&self.stored, inputs, mode, hooks)
    }

    /// The graph with the sizes that it has for inputs of these shapes.
    pub(super) fn graph_for(&self, shapes: &[Vec<i64>]) -> Option<Graph> {
        if self.fits(shapes) { Some(self.graph.clone()) } else { resized(&self.graph, shapes) }
    }

    /// Whether inputs of these shapes are those of the graph.
    fn fits(&self, shapes: &[Vec<i64>]) -> bool {
        let expected = self.graph.inputs().iter().map(|&input| self.graph.shape(input));
        shapes.iter().map(Vec::as_slice).eq(expected)
    }

    fn program_for(&self, inputs: &[Tensor]) -> Result<Arc<Program>, ExecError> {
        let shapes: Vec<Vec<i64>> = inputs.iter().map(Tensor::size).collect();
        if self.fits(&shapes) {
            return Ok(self.program.clone());
        }
        let mut programs = self.resized.borrow_mut();
        if let Some(place) = programs.iter().position(|found| found.shapes == shapes) {
            let found = programs.remove(place);
            let program = found.program.clone();
            programs.push(found);
            return Ok(program);
        }
        let program = match resized(&self.graph, &shapes) {
            Some(graph) => Arc::new(Program::compile(&graph, self.device)?),
            None => self.program.clone(),
        };
        if programs.len() == CACHED_PROGRAMS {
            programs.remove(0);
        }
        programs.push(Resized { shapes, program: program.clone() });
        Ok(program)
    }

    fn tensors_of(&self, wanted: impl Fn(Origin) -> bool) -> Vec<(String, Tensor)> {
        let mut tensors: Vec<_> = self
            .graph
            .values()
            .filter(|(_, value)| wanted(value.origin))
            .filter_map(|(id, value)| Some((value.name.clone(), self.tensor(id)?.shallow_clone())))
            .collect();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        tensors
    }
}

/// The graph for inputs of other shapes, such as another batch; `None` where it cannot be told from the axes, and the
/// graph must be tried as it is.
fn resized(graph: &Graph, shapes: &[Vec<i64>]) -> Option<Graph> {
    let analysis = Analysis::new(graph).ok()?;
    let mut kept = Kept::all();
    for (&input, shape) in graph.inputs().iter().zip(shapes) {
        let traced = graph.shape(input);
        if traced.len() != shape.len() {
            return None;
        }
        for (dim, (&size, &traced)) in shape.iter().zip(traced).enumerate() {
            if size != traced && !kept.resize_input(&analysis, input, dim, size as usize) {
                return None;
            }
        }
    }
    Some(analysis.rewrite(&kept))
}

impl fmt::Debug for GraphModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.stored.iter().flatten().count();
        f.debug_struct("GraphModule")
            .field("nodes", &self.graph.nodes().len())
            .field("stored", &stored)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl nn::ModuleT for GraphModule {
    /// Runs the network; like every module of tch it panics where that fails, and where the network has more than
    /// one input or output.
    fn forward_t(&self, xs: &Tensor, train: bool) -> Tensor {
        let outputs = self.forward(std::slice::from_ref(xs), Mode::from_train(train));
        match outputs.as_deref() {
            Ok([output]) => output.shallow_clone(),
            Ok(outputs) => panic!("the network has {} outputs: call `forward`", outputs.len()),
            Err(error) => panic!("{error}"),
        }
    }
}

fn check_stored(graph: &Graph, stored: &[Option<Tensor>]) -> Result<(), ExecError> {
    for (id, value) in graph.stored() {
        if stored.get(id.index()).is_none_or(Option::is_none) {
            return Err(ExecError::NotStored { value: id, name: value.name.clone() });
        }
    }
    Ok(())
}
