//! A graph made ready to run: operators found, arguments prepared, last uses known.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tch::{Device, TchError, Tensor};

use super::{ExecError, Mode};
use crate::aten::{AtenError, Call, Operator};
use crate::graph::{Argument, Graph, Node, Origin};
use crate::ids::{NodeId, ValueId};

/// What a program asserts of element types and devices, which need not be those of this run.
const METADATA: &str = "aten::_assert_tensor_metadata";

/// What is shown every value that a node makes.
pub type Observer<'a> = &'a mut dyn FnMut(ValueId, &Tensor);

/// What is shown what a node is about to read, value by value; what it returns is read in the place of it, by this node alone.
pub type Tap<'a> = &'a mut dyn FnMut(NodeId, ValueId, &Tensor) -> Result<Option<Tensor>, TchError>;

/// Operators by name and overload.
type Operators = HashMap<(String, String), Operator>;

/// Who looks into a run.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Is shown every value that a node makes, before any is dropped.
    pub made: Option<Observer<'a>>,
    /// Is shown what nodes read.
    pub read: Option<Tap<'a>>,
}

/// A graph made ready to run on one device. It holds no tensors: those of the network are given to every run.
#[derive(Debug)]
pub struct Program {
    steps: Vec<Arc<Step>>,
    /// For each step, the values that no later one reads and the network does not return.
    dead: Vec<Vec<ValueId>>,
    outputs: Vec<Source>,
    inputs: usize,
    values: usize,
}

#[derive(Debug)]
struct Step {
    id: NodeId,
    node: String,
    call: Call,
    /// The values that it reads.
    reads: Vec<ValueId>,
    operands: Vec<Source>,
    no_grad: bool,
    results: Vec<ValueId>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Input(usize),
    Stored(ValueId),
    Made(ValueId),
}

impl Program {
    /// Prepares the nodes of a graph. Devices in their arguments become `device`.
    pub fn compile(graph: &Graph, device: Device) -> Result<Self, ExecError> {
        Self::compile_after(None, graph, device)
    }

    /// As [`compile`](Self::compile); what `before` says of a graph and its program on the same device is used again for nodes that are the same.
    pub(crate) fn compile_after(
        before: Option<(&Graph, &Self)>,
        graph: &Graph,
        device: Device,
    ) -> Result<Self, ExecError> {
        let before = before.filter(|(before, _)| has_same_values(before, graph));
        let mut known =
            before.iter().flat_map(|(graph, program)| program.steps.iter().map(move |step| (graph, step))).peekable();
        let mut operators = Operators::new();
        let mut made = vec![false; graph.values().len()];
        let mut steps = Vec::with_capacity(graph.nodes().len());
        for (id, node) in graph.nodes().filter(|(_, node)| node.op != METADATA) {
            let same = known.next_if(|(_, step)| step.id == id).filter(|(before, _)| before.node(id) == node);
            let step = match same {
                Some((_, step)) => step.clone(),
                None => Arc::new(Step::prepare(graph, id, &made, &mut operators, device)?),
            };
            for result in &step.results {
                made[result.index()] = true;
            }
            steps.push(step);
        }
        let outputs = graph
            .outputs()
            .iter()
            .map(|&value| source(graph, value, &made, || "the network".to_owned()))
            .collect::<Result<Vec<_>, ExecError>>()?;
        let dead = vec![Vec::new(); steps.len()];
        let mut program = Self { steps, dead, outputs, inputs: graph.inputs().len(), values: made.len() };
        program.find_last_uses();
        Ok(program)
    }

    /// Runs it. `stored` holds by the place of its id the tensor of every parameter, buffer and constant.
    pub fn run(
        &self,
        stored: &[Option<Tensor>],
        inputs: &[Tensor],
        mode: Mode,
        mut hooks: Hooks<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        if inputs.len() != self.inputs {
            return Err(ExecError::InputCount { expected: self.inputs, given: inputs.len() });
        }
        let train = Some(mode == Mode::Train);
        let mut values: Vec<Option<Tensor>> = Vec::new();
        values.resize_with(self.values, || None);
        let mut results = Vec::new();
        for (step, dead) in self.steps.iter().zip(&self.dead) {
            match &mut hooks.read {
                Some(tap) => step.run_tapped(stored, inputs, &values, train, &mut results, *tap)?,
                None => step.run(stored, inputs, &values, train, &mut results)?,
            }
            if results.len() != step.results.len() {
                return Err(ExecError::ResultCount {
                    node: step.node.clone(),
                    expected: step.results.len(),
                    made: results.len(),
                });
            }
            for (&value, tensor) in step.results.iter().zip(results.drain(..)) {
                if let Some(made) = &mut hooks.made {
                    made(value, &tensor);
                }
                values[value.index()] = Some(tensor);
            }
            for value in dead {
                values[value.index()] = None;
            }
        }
        let output = |source: &Source| source.tensor(stored, inputs, &values).ok_or_else(|| source.not_stored());
        self.outputs.iter().map(|source| output(source).map(Tensor::shallow_clone)).collect()
    }

    fn find_last_uses(&mut self) {
        let mut used = vec![false; self.values];
        for source in &self.outputs {
            if let Source::Made(value) = source {
                used[value.index()] = true;
            }
        }
        for (step, dead) in self.steps.iter().zip(&mut self.dead).rev() {
            let operands = step.operands.iter().filter_map(|source| match source {
                Source::Made(value) => Some(*value),
                _ => None,
            });
            for value in operands.chain(step.results.iter().copied()) {
                if !std::mem::replace(&mut used[value.index()], true) {
                    dead.push(value);
                }
            }
        }
    }
}

impl Step {
    /// Prepares a node, of which the values that are `made` are known by then.
    fn prepare(
        graph: &Graph,
        id: NodeId,
        made: &[bool],
        operators: &mut Operators,
        device: Device,
    ) -> Result<Self, ExecError> {
        let node = &without_layout(graph.node(id));
        let describe = || graph.describe(id);
        let operands =
            node.inputs().map(|value| source(graph, value, made, describe)).collect::<Result<Vec<_>, ExecError>>()?;
        let failed = |source| ExecError::Prepare { node: describe(), source };
        let operator = match operators.entry((node.op.clone(), node.overload.clone())) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(new) => new.insert(Operator::find(&node.op, &node.overload).map_err(failed)?),
        };
        let call = operator.prepare(&on_device(node, operator, device)).map_err(failed)?;
        let (reads, results, no_grad) = (node.inputs().collect(), node.results.clone(), node.no_grad);
        Ok(Self { id, node: describe(), call, reads, operands, no_grad, results })
    }

    fn run(
        &self,
        stored: &[Option<Tensor>],
        inputs: &[Tensor],
        values: &[Option<Tensor>],
        train: Option<bool>,
        results: &mut Vec<Tensor>,
    ) -> Result<(), ExecError> {
        // Most operations read few tensors, for which nothing is allocated.
        const FEW: usize = 8;
        let _no_grad = self.no_grad.then(tch::no_grad_guard);
        let tensor = |source: &Source| source.tensor(stored, inputs, values).ok_or_else(|| source.not_stored());
        let ran = match self.operands.as_slice() {
            [first, rest @ ..] if rest.len() < FEW => {
                let mut operands = [tensor(first)?; FEW];
                for (operand, source) in operands[1..].iter_mut().zip(rest) {
                    *operand = tensor(source)?;
                }
                self.call.run(&operands[..=rest.len()], train, results)
            }
            many => self.call.run(&many.iter().map(tensor).collect::<Result<Vec<_>, _>>()?, train, results),
        };
        ran.map_err(|source| ExecError::Run { node: self.node.clone(), source })
    }

    /// As [`run`](Self::run), each operand shown to `tap` first.
    fn run_tapped(
        &self,
        stored: &[Option<Tensor>],
        inputs: &[Tensor],
        values: &[Option<Tensor>],
        train: Option<bool>,
        results: &mut Vec<Tensor>,
        tap: Tap<'_>,
    ) -> Result<(), ExecError> {
        let failed = |source| ExecError::Run { node: self.node.clone(), source };
        let mut operands = Vec::with_capacity(self.operands.len());
        for (source, &value) in self.operands.iter().zip(&self.reads) {
            let tensor = source.tensor(stored, inputs, values).ok_or_else(|| source.not_stored())?;
            let other = tap(self.id, value, tensor).map_err(|error| failed(AtenError::new(error.to_string())))?;
            operands.push(other.unwrap_or_else(|| tensor.shallow_clone()));
        }
        let _no_grad = self.no_grad.then(tch::no_grad_guard);
        self.call.run(&operands.iter().collect::<Vec<_>>(), train, results).map_err(failed)
    }
}

impl Source {
    #[inline]
    fn tensor<'a>(
        self,
        stored: &'a [Option<Tensor>],
        inputs: &'a [Tensor],
        values: &'a [Option<Tensor>],
    ) -> Option<&'a Tensor> {
        match self {
            Self::Input(index) => inputs.get(index),
            Self::Stored(value) => stored.get(value.index())?.as_ref(),
            Self::Made(value) => values.get(value.index())?.as_ref(),
        }
    }

    /// Inputs are counted and values made before they are read, so what is absent was to be stored.
    #[cold]
    fn not_stored(self) -> ExecError {
        let value = match self {
            Self::Input(index) => ValueId::new(index),
            Self::Stored(value) | Self::Made(value) => value,
        };
        ExecError::NotStored { value, name: value.to_string() }
    }
}

/// Whether all values of two graphs come from the same places, so that nodes which are the same read and make the same.
fn has_same_values(a: &Graph, b: &Graph) -> bool {
    let origins = |graph: &Graph| graph.values().map(|(_, value)| value.origin).collect::<Vec<_>>();
    a.inputs() == b.inputs() && origins(a) == origins(b)
}

fn source(graph: &Graph, value: ValueId, made: &[bool], place: impl FnOnce() -> String) -> Result<Source, ExecError> {
    if value.index() >= made.len() {
        return Err(ExecError::NotMade { place: place(), value });
    }
    match graph.value(value).origin {
        Origin::Input => match graph.inputs().iter().position(|&input| input == value) {
            Some(index) => Ok(Source::Input(index)),
            None => Err(ExecError::NotMade { place: place(), value }),
        },
        Origin::Parameter | Origin::Buffer | Origin::Constant => Ok(Source::Stored(value)),
        Origin::Node { .. } if made[value.index()] => Ok(Source::Made(value)),
        Origin::Node { .. } => Err(ExecError::NotMade { place: place(), value }),
    }
}

/// The node as it is run: a `view` as a `reshape`, which is a view wherever there can be one. A smaller tensor may be
/// laid out otherwise than the traced one, since libtorch chooses kernels by size.
pub(super) fn without_layout(node: &Node) -> Cow<'_, Node> {
    if node.op != "aten::view" || !node.overload.is_empty() {
        return Cow::Borrowed(node);
    }
    let mut node = node.clone();
    "aten::reshape".clone_into(&mut node.op);
    for (name, _) in node.arguments.iter_mut().filter(|(name, _)| name == "size") {
        "shape".clone_into(name);
    }
    Cow::Owned(node)
}

/// The arguments with every device replaced; a factory that names none would use the default one.
fn on_device(node: &Node, operator: &Operator, device: Device) -> Vec<(String, Argument)> {
    let mut arguments = node.arguments.clone();
    for argument in operator.arguments().iter().filter(|argument| argument.is_device()) {
        let given = arguments.iter_mut().find(|(name, _)| *name == argument.name);
        match given {
            Some((_, Argument::None)) | None if !operator.is_factory() => {}
            Some((_, value)) => *value = Argument::Device(device_name(device)),
            None => arguments.push((argument.name.clone(), Argument::Device(device_name(device)))),
        }
    }
    arguments
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cpu => "cpu".to_owned(),
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Mps => "mps".to_owned(),
        Device::Vulkan => "vulkan".to_owned(),
    }
}
