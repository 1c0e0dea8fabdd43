//! Attention without fused kernels.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::sync::{Mutex, PoisonError};

use super::ffi::pa_attention;

/// While it lives, attention takes no fused kernel: those have no derivative of their derivative.
#[derive(Debug)]
pub(crate) struct DifferentiableAttention(());

/// How many of them live, and which kernels were allowed before the first.
static STATE: Mutex<(usize, i32)> = Mutex::new((0, 0));

impl DifferentiableAttention {
    pub(crate) fn new() -> Self {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 == 0 {
            // SAFETY: it takes and returns a number.
            state.1 = unsafe { pa_attention(0) };
        }
        state.0 += 1;
        Self(())
    }
}

impl Drop for DifferentiableAttention {
    fn drop(&mut self) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
        if state.0 == 0 {
            // SAFETY: it takes and returns a number.
            unsafe { pa_attention(state.1) };
        }
    }
}
