//! From a network that runs to an archive of `torch.export`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use tch::{Device, Tensor};

use super::program::without_layout;
use super::{ExecError, GraphModule, Hooks, Mode};
use crate::aten::{AtenError, Operator, OperatorResult, view_as};
use crate::graph::{Argument, Dtype, Graph, Node};
use crate::ids::ValueId;
use crate::pt2::{self, Call, Layout, Pt2Error, Returned, SWITCHES, Source};

/// Why a network has no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The network does not run on the sample inputs.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The sample inputs have other sizes than the traced ones, in dimensions that the network does not follow.
    #[error("the network has no graph for inputs of shapes {shapes:?}: give sample inputs of the traced sizes")]
    Shapes {
        /// The shapes of the sample inputs.
        shapes: Vec<Vec<i64>>,
    },
    /// The program cannot be expressed, or the file cannot be written.
    #[error(transparent)]
    Pt2(#[from] Pt2Error),
}

impl GraphModule {
    /// Writes the network as an archive that `torch.export.load` reads: to fine-tune, deploy or convert it in PyTorch.
    ///
    /// It is run once on `inputs`, in [`Mode::Eval`] and without a change to its tensors. The sizes of the program are those
    /// of this run, the batch among them, and the archive carries `inputs` as its sample inputs. An exported program cannot
    /// be switched once it is loaded, so `mode` says what batch norm and dropout do.
    pub fn save(&self, inputs: &[Tensor], mode: Mode, path: &Path) -> Result<(), SaveError> {
        let expected = self.graph().inputs().len();
        if inputs.len() != expected {
            return Err(ExecError::InputCount { expected, given: inputs.len() }.into());
        }
        let shapes: Vec<_> = inputs.iter().map(Tensor::size).collect();
        let Some(mut graph) = self.graph_for(&shapes) else { return Err(SaveError::Shapes { shapes }) };
        let layouts = self.layouts(&graph, inputs)?;
        let nodes: Vec<_> = graph.nodes().map(|(id, node)| (id, switched(node, mode))).collect();
        for (id, node) in nodes {
            *graph.node_mut(id) = node;
        }
        Ok(pt2::create(&graph, &Running { module: self, graph: &graph, inputs, layouts }, path)?)
    }

    /// How the values that nodes make lie in memory.
    fn layouts(&self, graph: &Graph, inputs: &[Tensor]) -> Result<BTreeMap<ValueId, Layout>, SaveError> {
        let mut layouts = BTreeMap::new();
        let mut other = None;
        let mut observe = |value: ValueId, tensor: &Tensor| {
            if tensor.size() != graph.shape(value) {
                other.get_or_insert(value);
            }
            layouts.insert(value, Layout { strides: tensor.stride(), requires_grad: tensor.requires_grad() });
        };
        let hooks = Hooks { made: Some(&mut observe), read: None };
        tch::with_grad(|| self.forward_apart(inputs, Mode::Eval, &|_| None, hooks))?;
        match other {
            None => Ok(layouts),
            Some(_) => Err(SaveError::Shapes { shapes: inputs.iter().map(Tensor::size).collect() }),
        }
    }
}

/// The node as the executor runs it in a mode.
fn switched(node: &Node, mode: Mode) -> Node {
    let mut node = without_layout(node).into_owned();
    // A norm that keeps no statistics always takes those of its input.
    let switchable = node.argument("running_mean") != Some(&Argument::None);
    for (name, argument) in &mut node.arguments {
        match argument {
            Argument::Bool(train) if switchable && SWITCHES.contains(&name.as_str()) => *train = mode == Mode::Train,
            Argument::Float(p) if name == "dropout_p" && mode == Mode::Eval => *p = 0.0,
            _ => {}
        }
    }
    node
}

/// A network that was run.
struct Running<'a> {
    module: &'a GraphModule,
    graph: &'a Graph,
    inputs: &'a [Tensor],
    layouts: BTreeMap<ValueId, Layout>,
}

impl Source for Running<'_> {
    fn layout(&self, value: ValueId) -> Layout {
        let stored = || Layout {
            strides: Vec::new(),
            requires_grad: self.module.tensor(value).is_some_and(Tensor::requires_grad),
        };
        self.layouts.get(&value).cloned().unwrap_or_else(stored)
    }

    fn call(&self, node: &Node) -> Result<Call, Pt2Error> {
        let wrong = |what: String| Pt2Error::Program { place: format!("node `{}`", node.op), what };
        let operator = Operator::find(&node.op, &node.overload).map_err(|error| wrong(error.to_string()))?;
        let keywords = operator.arguments().iter().filter(|argument| argument.is_keyword());
        let count = |what| operator.results().iter().filter(|result| **result == what).count();
        let in_lists = node.results.len().saturating_sub(count(OperatorResult::Tensor));
        if count(OperatorResult::Tensors) > 1 {
            return Err(wrong("it returns several lists of tensors, whose lengths a graph does not tell".to_owned()));
        }
        let returned = operator.results().iter().map(|result| match result {
            OperatorResult::Tensor => Returned::Tensor,
            OperatorResult::Tensors => Returned::Tensors(in_lists),
            OperatorResult::Other => Returned::Other,
        });
        Ok(Call { returned: returned.collect(), keywords: keywords.map(|argument| argument.name.clone()).collect() })
    }

    fn write(&self, value: ValueId, out: &mut dyn Write) -> io::Result<()> {
        let input = self.graph.inputs().iter().position(|&input| input == value);
        let tensor = input.map_or_else(|| self.module.tensor(value), |index| self.inputs.get(index));
        let tensor = tensor.ok_or_else(|| io::Error::other(format!("no tensor is stored for {value}")))?;
        out.write_all(&bytes(tensor).map_err(io::Error::other)?)
    }
}

/// The bytes of the elements of a tensor, row by row.
pub(crate) fn bytes(tensor: &Tensor) -> Result<Vec<u8>, AtenError> {
    let failed = |error: tch::TchError| AtenError::new(error.to_string());
    let plain = || {
        let resolved = tensor.detach().f_resolve_conj()?.f_resolve_neg()?;
        resolved.f_to_device(Device::Cpu)?.f_contiguous()?.f_reshape([-1])
    };
    let plain = plain().map_err(failed)?;
    let raw = view_as(&plain, Dtype::U8)?;
    let mut bytes = vec![0_u8; raw.numel()];
    let len = bytes.len();
    raw.f_copy_data(&mut bytes, len).map_err(failed)?;
    Ok(bytes)
}
