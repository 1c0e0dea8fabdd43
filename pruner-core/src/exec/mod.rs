//! Execution of a graph on libtorch: with autograd, every value dropped after its last use.

mod load;
mod module;
mod program;
mod save;

pub use load::LoadError;
pub use module::GraphModule;
pub use program::{Hooks, Observer, Program, Tap};
pub use save::SaveError;
pub(crate) use save::bytes;

use crate::aten::AtenError;
use crate::ids::ValueId;

/// Whether the network trains: what dropout and the norms that keep statistics do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Dropout drops and norms update their statistics.
    Train,
    /// Dropout does nothing and norms use the statistics that they have.
    Eval,
}

impl Mode {
    /// [`Train`](Self::Train) where `train` is true, as tch says it.
    pub fn from_train(train: bool) -> Self {
        if train { Self::Train } else { Self::Eval }
    }
}

/// Why a graph could not be prepared or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// An operation is not one of libtorch's, or its arguments do not fit its schema.
    #[error("{node}: {source}")]
    Prepare {
        /// The node.
        node: String,
        /// What libtorch said.
        source: AtenError,
    },
    /// An operation failed.
    #[error("{node}: {source}")]
    Run {
        /// The node.
        node: String,
        /// What libtorch said.
        source: AtenError,
    },
    /// An operation made another number of tensors than the graph has results for it.
    #[error("{node} made {made} tensors where the graph has {expected} results")]
    ResultCount {
        /// The node.
        node: String,
        /// The results that the graph has.
        expected: usize,
        /// The tensors that were made.
        made: usize,
    },
    /// The network was given another number of tensors than it takes.
    #[error("the network takes {expected} tensors and was given {given}")]
    InputCount {
        /// The tensors that it takes.
        expected: usize,
        /// The tensors that it was given.
        given: usize,
    },
    /// A parameter, buffer or constant of the graph has no tensor.
    #[error("no tensor is stored for `{name}` ({value})")]
    NotStored {
        /// The value.
        value: ValueId,
        /// Its name.
        name: String,
    },
    /// A value that is no constant was to be set as one.
    #[error("`{name}` ({value}) is no constant")]
    NotConstant {
        /// The value.
        value: ValueId,
        /// Its name.
        name: String,
    },
    /// A node reads, or the network returns, a value that nothing has made before.
    #[error("{place} reads {value}, which nothing has made")]
    NotMade {
        /// Where it is read.
        place: String,
        /// The value.
        value: ValueId,
    },
}
