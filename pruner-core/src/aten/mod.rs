//! libtorch beyond what tch gives: any operator by its name, a recorder of operators, variables whose shape changes.
//!
//! Safe wrappers of the functions in `cpp/pruner_aten.h`; `unsafe` is nowhere else but where files are mapped.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

mod ffi;
mod operator;
mod recorder;
mod tensors;

use std::ffi::CStr;
use std::ptr;
use std::sync::Mutex;

pub use operator::{Call, Operator, OperatorArgument, OperatorResult};
pub(crate) use recorder::{Entry, Record, Recorder};
pub(crate) use tensors::view_as;
pub use tensors::{gather_slices, kind, meta, replace, set_grad, storage_id, variable_id};

use self::ffi::{pa_fused_attention, pa_init};

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

/// While it lives, attention takes no fused kernel: those have no derivative of their derivative.
#[derive(Debug)]
pub(crate) struct PlainAttention(());

/// How many of them live, and which kernels were allowed before the first.
static PLAIN_ATTENTION: Mutex<(usize, i32)> = Mutex::new((0, 0));

impl PlainAttention {
    pub(crate) fn new() -> Self {
        let mut state = PLAIN_ATTENTION.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.0 == 0 {
            // SAFETY: it takes and returns a number.
            state.1 = unsafe { pa_fused_attention(0) };
        }
        state.0 += 1;
        Self(())
    }
}

impl Drop for PlainAttention {
    fn drop(&mut self) {
        let mut state = PLAIN_ATTENTION.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 -= 1;
        if state.0 == 0 {
            // SAFETY: it takes and returns a number.
            unsafe { pa_fused_attention(state.1) };
        }
    }
}
