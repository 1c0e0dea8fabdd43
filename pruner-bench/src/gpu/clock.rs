//! Times on a device: what it was told is done when the clock is read.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::Device;

/// A median with the quartiles, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Millis {
    /// The median.
    pub p50: f64,
    /// A quarter of the rounds took less.
    pub p25: f64,
    /// A quarter took more.
    pub p75: f64,
}

impl Millis {
    /// Of times in seconds, of which there is one at least.
    pub(super) fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |part: f64| {
            1e3 * seconds.get((part * (seconds.len() as f64 - 1.0)).round() as usize).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p25: at(0.25), p75: at(0.75) }
    }
}

/// Waits until a device has done what it was told.
pub(super) fn wait(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// What something takes on a device, in seconds.
pub(super) fn seconds<T>(device: Device, what: impl FnOnce() -> T) -> (f64, T) {
    wait(device);
    let start = Instant::now();
    let made = what();
    wait(device);
    (start.elapsed().as_secs_f64(), made)
}
