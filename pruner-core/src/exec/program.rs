//! A graph made ready to run: operators found, arguments prepared, last uses known.

use std::borrow::Cow;
use std::collections::HashMap;

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
    steps: Vec<Step>,
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
    /// Values that no later step reads and the network does not return.
    dead: Vec<ValueId>,
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
        let mut operators = HashMap::new();
        let mut made = vec![false; graph.values().len()];
        let mut steps = Vec::with_capacity(graph.nodes().len());
        let nodes: Vec<Cow<'_, Node>> = graph.nodes().map(|(_, node)| without_layout(node)).collect();
        for ((id, _), node) in graph.nodes().zip(&nodes) {
            if node.op == METADATA {
                continue;
            }
            let describe = || graph.describe(id);
            let operands = node
                .inputs()
                .map(|value| source(graph, value, &made, describe))
                .collect::<Result<Vec<_>, ExecError>>()?;
            let key = (node.op.as_str(), node.overload.as_str());
            let failed = |source| ExecError::Prepare { node: describe(), source };
            let operator = match operators.entry(key) {
                std::collections::hash_map::Entry::Occupied(found) => found.into_mut(),
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(Operator::find(&node.op, &node.overload).map_err(failed)?)
                }
            };
            let call = operator.prepare(&on_device(node, operator, device)).map_err(failed)?;
            for result in &node.results {
                made[result.index()] = true;
            }
            let (reads, results, no_grad) = (node.inputs().collect(), node.results.clone(), node.no_grad);
            steps.push(Step { id, node: describe(), call, reads, operands, no_grad, results, dead: Vec::new() });
        }
        let outputs = graph
            .outputs()
            .iter()
            .map(|&value| source(graph, value, &made, || "the network".to_owned()))
            .collect::<Result<Vec<_>, ExecError>>()?;
        let mut program = Self { steps, outputs, inputs: graph.inputs().len(), values: made.len() };
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
        for step in &self.steps {
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
            for value in &step.dead {
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
        for step in self.steps.iter_mut().rev() {
            let operands = step.operands.iter().filter_map(|source| match source {
                Source::Made(value) => Some(*value),
                _ => None,
            });
            for value in operands.chain(step.results.iter().copied()) {
                if !std::mem::replace(&mut used[value.index()], true) {
                    step.dead.push(value);
                }
            }
        }
    }
}

impl Step {
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
