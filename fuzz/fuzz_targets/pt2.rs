//! Archives of `torch.export`, whatever their bytes: read, analysed, cut by one coordinate of every group and written, with
//! an error or a result and nothing else. `cargo +nightly fuzz run pt2 fuzz/corpus/pt2 pruner-core/tests/pt2`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::pt2::{Mode, Pt2};

/// Larger graphs only take longer.
const NODES_MAX: usize = 10_000;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, small) = (folder.path().join("model.pt2"), folder.path().join("small.pt2"));
    std::fs::write(&path, bytes).expect("it can be written");
    let Ok(model) = Pt2::open(&path) else { return };
    if model.graph().nodes().len() > NODES_MAX {
        return;
    }
    let Ok(analysis) = Analysis::new(model.graph()) else { return };
    let mut kept = Kept::all();
    for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.size() > 1) {
        kept.remove(&analysis, group.id(), &[0]);
    }
    if model.write(&analysis, &kept, Mode::AsExported, &small).is_ok() {
        Pt2::open(&small).expect("what is written can be read");
    }
});
