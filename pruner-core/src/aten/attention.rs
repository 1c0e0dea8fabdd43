//! Attention without fused kernels.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use super::ffi::pa_attention;

/// While it is there, attention is computed by operations that can be differentiated more than once; by all threads, more slowly and
/// with the same result.
#[derive(Debug)]
pub(crate) struct DifferentiableAttention {
    before: i32,
}

impl DifferentiableAttention {
    pub(crate) fn new() -> Self {
        // SAFETY: it sets flags.
        Self { before: unsafe { pa_attention(0) } }
    }
}

impl Drop for DifferentiableAttention {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pa_attention(self.before) };
    }
}
