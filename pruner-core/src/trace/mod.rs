//! Tracing: a closure over tensors is run once, and what it did becomes a graph.

mod build;
mod fold;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tch::{Tensor, nn};

use crate::aten::{self, AtenError, Recorder};
use crate::exec::{ExecError, GraphModule};

/// Why a closure has no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The closure panicked.
    #[error("the closure panicked: {message}")]
    Closure {
        /// What it said.
        message: String,
    },
    /// The closure returned nothing.
    #[error("the closure returned no tensor")]
    NoOutput,
    /// No output depends on a variable of the store that can be trained.
    #[error(
        "no output depends on a trainable variable: make the network's layers from the same `VarStore` that is traced"
    )]
    NoParameter,
    /// A tensor that the closure was given or returned is undefined, sparse, quantised or of an element type that a
    /// graph does not know.
    #[error("{place}: {source}")]
    Tensor {
        /// Which tensor.
        place: String,
        /// What is wrong with it.
        source: AtenError,
    },
    /// The closure does what no graph can hold.
    #[error("{0}")]
    Record(AtenError),
    /// An operation on constants failed when it was repeated to find their values.
    #[error("{op}: {source}")]
    Fold {
        /// The operation.
        op: String,
        /// What libtorch said.
        source: AtenError,
    },
    /// The graph cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// Runs `f` once on copies of `inputs` and makes a graph of the operations that it called. Nothing is differentiated; what
/// `f` computes within `no_grad`, the graph does too.
///
/// Variables of `vs` become parameters, or buffers where they are not trainable, by their names; other tensors become
/// constants. The network's variables and the random number generators are left as they were. What depends on
/// the *values* of tensors, such as an `if` on one, is burnt into the graph; sizes of the example are, too. It is named
/// among [`GraphModule::warnings`] where an operation reads the value, as `double_value` does; elements that are copied
/// out of a tensor's memory, as by `Vec::try_from` and `f64::try_from`, are read unseen. So is what another thread computes.
pub fn trace<F>(vs: &nn::VarStore, inputs: &[Tensor], mut f: F) -> Result<GraphModule, TraceError>
where
    F: FnMut(&[Tensor]) -> Vec<Tensor>,
{
    let variables = build::Variables::of(vs);
    for (name, variable) in variables.iter() {
        check_tensor(variable, || format!("variable `{name}`"))?;
    }
    for (index, input) in inputs.iter().enumerate() {
        check_tensor(input, || format!("input {index}"))?;
    }
    // Each input is a tensor of its own, so that one that is given twice is told apart and none is changed.
    let copies: Vec<Tensor> = tch::no_grad(|| inputs.iter().map(|input| input.detach().copy()).collect());
    let known: Vec<_> = variables.iter().map(|(_, variable)| variable).chain(&copies).collect();
    let (mut recorder, entries) = Recorder::start(&known).map_err(TraceError::Record)?;

    let returned = tch::with_grad(|| catch_unwind(AssertUnwindSafe(|| f(&copies))));
    let outputs = returned.map(|outputs| outputs.iter().map(|output| recorder.find(output)).collect::<Vec<_>>());
    let stopped = recorder.stop();
    let outputs = outputs.map_err(|panic| closure_error(panic_message(panic.as_ref())))?;
    stopped.map_err(TraceError::Record)?;
    let outputs = outputs
        .into_iter()
        .enumerate()
        .map(|(index, found)| {
            let failed = |source| TraceError::Tensor { place: format!("output {index}"), source };
            found.map_err(failed)?.ok_or_else(|| failed(AtenError::new("the tensor is undefined")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        return Err(TraceError::NoOutput);
    }
    build::build(&recorder, &variables, &entries, &copies, &outputs, vs.device())
}

fn check_tensor(tensor: &Tensor, place: impl FnOnce() -> String) -> Result<(), TraceError> {
    aten::meta(tensor).map(drop).map_err(|source| TraceError::Tensor { place: place(), source })
}

fn closure_error(message: String) -> TraceError {
    if message.contains("does not require grad and does not have a grad_fn") {
        TraceError::Record(AtenError::new("the closure runs a backward pass: trace the forward pass alone"))
    } else {
        TraceError::Closure { message }
    }
}

/// The first line of what a panic says; tch panics with the whole of libtorch's message, printed as a literal.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it did not say why");
    let line = text.lines().next().unwrap_or_default();
    let end = line.find("\\nException raised from").unwrap_or(line.len());
    line[..end].to_owned()
}
