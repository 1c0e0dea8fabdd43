//! Removes a random part of every group of an exported program: the sliced archive and, beside it, the masked one.
//!
//! `pt2_slice in.pt2 sliced.pt2 masked.pt2 ratio seed [--exact-only] [--train]`

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use pruner_core::deps::{Analysis, Group as _, Kept, Member};
use pruner_core::pt2::{Mode, Pt2};

fn main() -> Result<(), Box<dyn Error>> {
    let (options, arguments): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|given| given.starts_with("--"));
    let [input, sliced, masked, ratio, seed] = arguments.as_slice() else {
        return Err("expected: in.pt2 sliced.pt2 masked.pt2 ratio seed [--exact-only] [--train]".into());
    };
    let (ratio, mut random): (f64, u64) = (ratio.parse()?, seed.parse()?);
    let option = |name: &str| options.iter().any(|given| given == name);
    let start = Instant::now();
    let model = Pt2::open(Path::new(input))?;
    let read_ms = start.elapsed().as_millis();
    let start = Instant::now();
    let analysis = Analysis::new(model.graph())?;
    let analysis_ms = start.elapsed().as_millis();
    let mut kept = Kept::all();
    let (mut cut, mut inexact, mut pinned) = (0, 0, 0);
    for group in analysis.groups() {
        pinned += usize::from(group.pin().is_some());
        inexact += usize::from(group.pin().is_none() && group.inexact().is_some());
        let skipped = group.pin().is_some() || option("--exact-only") && group.inexact().is_some();
        if skipped || group.size() < 2 {
            continue;
        }
        let mut coordinates: Vec<u32> = (0..group.size() as u32).collect();
        let count = ((group.size() as f64 * ratio) as usize).clamp(1, group.size() - 1);
        for at in 0..count {
            let other = at + next(&mut random) as usize % (coordinates.len() - at);
            coordinates.swap(at, other);
        }
        let mut less = kept.clone();
        less.remove(&analysis, group.id(), &coordinates[..count]);
        // A dimension may hold few coordinates of several groups: none is emptied.
        let size = |member: &Member| less.size(&analysis, &analysis.dims(member.value)[member.dim]);
        if group.members().iter().all(|member| size(member) > 0) {
            kept = less;
            cut += 1;
        }
    }
    let mode = if option("--train") { Mode::Train } else { Mode::AsExported };
    let start = Instant::now();
    model.write(&analysis, &kept, mode, Path::new(sliced))?;
    let write_ms = start.elapsed().as_millis();
    model.write_masked(&analysis, &kept, Path::new(masked))?;
    let unknown: Vec<_> = analysis.unknown_ops().keys().map(String::as_str).collect();
    #[allow(clippy::print_stdout, reason = "an example says what it did")]
    {
        println!(
            "nodes={} groups={} cut={cut} inexact={inexact} pinned={pinned} read_ms={read_ms} analysis_ms={analysis_ms} \
             write_ms={write_ms} unknown={}",
            model.graph().nodes().len(),
            analysis.groups().len(),
            unknown.join(",")
        );
        if option("--groups") {
            for group in analysis.groups() {
                let why = group.pin().map(ToString::to_string).unwrap_or_default();
                println!("{} {} {} inexact={:?} {why}", group.id(), group.name(), group.size(), group.inexact());
            }
        }
    }
    Ok(())
}

/// The next number of a pseudo-random sequence.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
