//! How much memory this process holds, held at most, and was given.

use super::CompareError;
use crate::files;

/// The bytes of a page, where they are not configured to be larger.
const PAGE: u64 = 4096;

/// The memory that is held now. The largest amount so far begins anew.
pub(super) fn begin_peak() -> Result<u64, CompareError> {
    files::write("/proc/self/clear_refs", "5")?;
    bytes("VmRSS")
}

/// The largest amount that was held since.
pub(super) fn peak() -> Result<u64, CompareError> {
    bytes("VmHWM")
}

/// The bytes of the pages that the system gave this process so far.
pub(super) fn given() -> Result<u64, CompareError> {
    let text = files::read("/proc/self/stat")?;
    // After the name, which may hold anything, the state and six numbers come before the faults that read no file.
    let faults = text.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(7)?.parse::<u64>().ok());
    faults.map(|faults| PAGE * faults).ok_or_else(|| CompareError::NoMemory { key: "minflt".to_owned() })
}

fn bytes(key: &str) -> Result<u64, CompareError> {
    let text = files::read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kib: Option<u64> = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok();
    kib.map(|kib| 1024 * kib).ok_or_else(|| CompareError::NoMemory { key: key.to_owned() })
}
