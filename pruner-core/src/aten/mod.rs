//! libtorch beyond what tch gives: any operator by its name, a recorder of operators, variables whose shape changes.
//!
//! Safe wrappers of the functions in `cpp/pruner_aten.h`; `unsafe` is nowhere else but where files are mapped.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

mod attention;
mod ffi;
mod operator;
mod precision;
mod random;
mod recorder;
mod tensors;

use std::ffi::CStr;
use std::ptr;

pub(crate) use attention::DifferentiableAttention;
pub use operator::{Call, Operator, OperatorArgument, OperatorResult};
pub use precision::{FullPrecision, version};
pub use random::{random_state, set_random_state};
pub(crate) use recorder::{Entry, Record, Recorder};
pub use tensors::{Fold, Form, fold, gather_slices, kind, meta, replace, set_grad, storage_id, variable_id};
pub(crate) use tensors::{data, exchange, folds, grad, not_finite, of_bytes, view_as, widened};

use self::ffi::pa_init;

/// What libtorch answered where it could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AtenError {
    message: String,
}

impl AtenError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Makes the GPU usable where there is one; called by whatever first needs to know.
///
/// Says what came of it: `linked`, `loaded`, or why there is none. Further calls do nothing.
pub fn init() -> &'static str {
    let mut state = ptr::null();
    // SAFETY: it sets the pointer to a string that lives as long as the process.
    let state = unsafe {
        pa_init(&raw mut state);
        CStr::from_ptr(state)
    };
    state.to_str().unwrap_or("not loaded: the message is no UTF-8")
}

/// Whether there is a GPU that libtorch can use.
pub fn cuda_is_available() -> bool {
    init();
    tch::Cuda::is_available()
}
