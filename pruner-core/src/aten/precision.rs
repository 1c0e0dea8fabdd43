//! Single precision that is one, and which libtorch this is.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ffi::CStr;

use super::ffi::{pa_tf32, pa_version};

/// While it lives, no GPU rounds single-precision factors to TF32, as libtorch lets cuDNN do unless it is told otherwise.
///
/// It holds for the whole process; of several, the last to go brings back what was there before it.
#[derive(Debug)]
pub struct FullPrecision {
    before: i32,
}

impl FullPrecision {
    /// From now on.
    #[expect(clippy::new_without_default, reason = "it changes the state of the process")]
    pub fn new() -> Self {
        // SAFETY: it takes and returns a number.
        Self { before: unsafe { pa_tf32(0) } }
    }
}

impl Drop for FullPrecision {
    fn drop(&mut self) {
        // SAFETY: it takes and returns a number.
        unsafe { pa_tf32(self.before) };
    }
}

/// The version of libtorch that this was built for, such as `2.11.0`.
pub fn version() -> &'static str {
    // SAFETY: it is a string that lives as long as the process.
    unsafe { CStr::from_ptr(pa_version()) }.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_precision_ends_with_its_guard_and_libtorch_says_its_version() {
        // SAFETY: it takes and returns a number.
        let set = |allowed| unsafe { pa_tf32(allowed) };
        let first = set(3);
        let guard = FullPrecision::new();
        assert_eq!(set(0), 0);
        drop(guard);
        assert_eq!(set(first), 3);
        assert_eq!(version().split('.').count(), 3);
    }
}
