//! How much memory this process holds, and held at most.

use super::CompareError;
use crate::files;

/// The memory that is held now. The largest amount so far begins anew.
pub(super) fn begin_peak() -> Result<u64, CompareError> {
    files::write("/proc/self/clear_refs", "5")?;
    bytes("VmRSS")
}

/// The largest amount that was held since.
pub(super) fn peak() -> Result<u64, CompareError> {
    bytes("VmHWM")
}

fn bytes(key: &str) -> Result<u64, CompareError> {
    let text = files::read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kib: Option<u64> = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok();
    kib.map(|kib| 1024 * kib).ok_or_else(|| CompareError::NoMemory { key: key.to_owned() })
}
