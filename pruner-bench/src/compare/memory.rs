//! How much memory this process holds, held at most, and was given, and memory as it is given.

use memmap2::{MmapMut, MmapOptions};

use super::CompareError;
use crate::files;

/// The bytes of a page, where they are not configured to be larger.
const PAGE: u64 = 4096;

/// Those of a huge page.
pub(super) const HUGE_PAGE: u64 = 2 << 20;

/// The memory that is held now. The largest amount so far begins anew.
pub(super) fn begin_peak() -> Result<u64, CompareError> {
    files::write("/proc/self/clear_refs", "5")?;
    bytes("VmRSS")
}

/// The largest amount that was held since.
pub(super) fn peak() -> Result<u64, CompareError> {
    bytes("VmHWM")
}

/// What the system gave this process so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// The bytes of all pages.
    pub(super) bytes: u64,
    /// Of them those of huge pages, of which only the system as a whole is counted.
    pub(super) huge: u64,
}

impl Given {
    /// What it gave since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { bytes: self.bytes - earlier.bytes, huge: self.huge - earlier.huge }
    }
}

/// What the system gave this process so far.
pub(super) fn given() -> Result<Given, CompareError> {
    let text = files::read("/proc/self/stat")?;
    // After the name, which may hold anything, the state and six numbers come before the faults that read no file.
    let faults = text.rsplit(')').next().and_then(|fields| fields.split_whitespace().nth(7)?.parse::<u64>().ok());
    let faults = faults.ok_or_else(|| CompareError::NoMemory { key: "minflt".to_owned() })?;
    let counters = files::read("/proc/vmstat")?;
    let huge = counters.lines().find_map(|line| line.strip_prefix("thp_fault_alloc ")?.trim().parse::<u64>().ok());
    // A system without huge pages does not count them.
    let huge = huge.unwrap_or(0);
    Ok(Given { bytes: PAGE * faults.saturating_sub(huge) + HUGE_PAGE * huge, huge: HUGE_PAGE * huge })
}

/// Memory that the system has yet to give, in `huge` pages if it has them.
pub(super) fn mapped(len: usize, huge: bool) -> Result<MmapMut, CompareError> {
    let map = MmapOptions::new().len(len.max(1)).map_anon().map_err(CompareError::Memory)?;
    #[cfg(target_os = "linux")]
    if huge {
        _ = map.advise(memmap2::Advice::HugePage);
    }
    Ok(map)
}

/// Asks for all pages at once; where the system cannot, it gives them as they are written.
pub(super) fn populate(map: &MmapMut) {
    #[cfg(target_os = "linux")]
    {
        _ = map.advise(memmap2::Advice::PopulateWrite);
    }
}

fn bytes(key: &str) -> Result<u64, CompareError> {
    let text = files::read("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    let kib: Option<u64> = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok();
    kib.map(|kib| 1024 * kib).ok_or_else(|| CompareError::NoMemory { key: key.to_owned() })
}
