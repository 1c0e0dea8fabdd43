//! The process of `pruner`: it answers requests on one archive.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::mem;
use std::path::Path;
use std::time::Instant;

use memmap2::MmapOptions;
use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::exec::GraphModule;
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::pt2::Pt2;
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;
use serde::Serialize;
use tch::Device;

use super::request::{Costs, Done, Grouped, OwnStep, Request, Stepped};
use super::{CompareError, THREADS, memory};
use crate::files::{FileError, say};

/// The share of every group that goes.
const RATIO: f64 = 0.5;

/// Answers every line of `input` with a line of `output`; an error is an answer, too.
pub fn serve(archive: &Path, input: impl BufRead, output: &mut dyn Write) -> Result<(), CompareError> {
    tch::set_num_threads(THREADS);
    for line in input.lines() {
        let line = line.map_err(FileError::read("standard input"))?;
        let request = serde_json::from_str(&line).map_err(FileError::json("a request"))?;
        let answer = answer(archive, &request)
            .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string());
        say(output, &answer)?;
    }
    Ok(())
}

fn answer(archive: &Path, request: &Request) -> Result<String, CompareError> {
    match request {
        Request::Ready => Ok(text(&Done {})),
        Request::Groups => groups(archive).map(|found| text(&found)),
        Request::Step => step(archive).map(|made| text(&made)),
        Request::Count { archive } => count(archive).map(|costs| text(&costs)),
        Request::Export { .. } => Err(CompareError::NotAsked),
    }
}

fn text(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("numbers and names are JSON")
}

fn groups(archive: &Path) -> Result<Grouped, CompareError> {
    let start = Instant::now();
    let model = Pt2::open(archive)?;
    let read_ms = ms(start);
    let start = Instant::now();
    let analysis = Analysis::new(model.graph())?;
    let groups = analysis.groups().iter().filter(|group| group.pin().is_none()).count();
    Ok(Grouped { groups, groups_ms: ms(start), read_ms, forward_ms: 0.0 })
}

/// One step on the network as it is loaded. The analysis before it and the loading are not timed, as with Torch-Pruning.
fn step(archive: &Path) -> Result<Stepped, CompareError> {
    let mut module = GraphModule::load(&Pt2::open(archive)?, Device::Cpu)?;
    let settings = Settings::new(Box::new(Magnitude::default()), Box::new(OneShot::default()));
    let mut pruner = GroupPruner::new(&module, settings.with_limits(Limits::new(RATIO)))?;
    let before = sizes(&module);

    let (resident, given) = (memory::begin_peak()?, memory::given()?);
    let start = Instant::now();
    let report = pruner.step(&mut module, &mut ())?;
    let step_ms = ms(start);
    let grown_bytes = memory::peak()?.saturating_sub(resident);
    let given = memory::given()? - given;

    let after = sizes(&module);
    let parts: Vec<(usize, usize)> = before.into_iter().zip(after).collect();
    drop((module, pruner));
    let bytes: usize = parts.iter().map(|part| part.0).sum();
    let bytes_kept: usize = parts.iter().map(|part| part.1).sum();
    let seconds = report.seconds;
    let own = OwnStep {
        score_ms: 1e3 * seconds.score,
        plan_ms: 1e3 * seconds.plan,
        apply_ms: 1e3 * seconds.apply,
        copy_ms: copy(&parts, given as usize)?,
        bytes: bytes as u64,
        bytes_kept: bytes_kept as u64,
        macs: report.after.macs,
    };
    Ok(Stepped { step_ms, grown_bytes, params: report.after.params, own: Some(own) })
}

/// The bytes of every tensor that the network stores.
fn sizes(module: &GraphModule) -> Vec<usize> {
    let stored = module.graph().stored().filter_map(|(value, _)| module.tensor(value));
    stored.map(|tensor| tensor.numel() * tensor.kind().elt_size_in_bytes()).collect()
}

/// The milliseconds in which as many bytes are read and written as a step has to: all of every tensor is read once, and the
/// part of it that is kept is written once, to memory of which as much is `new` as the system gave in the step.
fn copy(parts: &[(usize, usize)], new: usize) -> Result<f64, CompareError> {
    let tensors: Vec<(Vec<u8>, usize)> = parts.iter().map(|&(all, kept)| (vec![1; all], kept)).collect();
    let kept: usize = parts.iter().map(|part| part.1).sum();
    let new = new.min(kept);
    let mut used = vec![1_u8; kept - new];
    let start = Instant::now();
    let mut given = MmapOptions::new().len(new.max(1)).populate().map_anon().map_err(CompareError::Memory)?;
    let (mut free, mut later) = (&mut given[..new], &mut used[..]);
    for (tensor, kept) in black_box(&tensors) {
        let (mut copied, only_read) = tensor.split_at(*kept);
        while !copied.is_empty() {
            if free.is_empty() {
                free = mem::take(&mut later);
            }
            let len = copied.len().min(free.len());
            let (to, behind) = mem::take(&mut free).split_at_mut(len);
            to.copy_from_slice(&copied[..len]);
            (free, copied) = (behind, &copied[len..]);
        }
        black_box(only_read.iter().fold(0, |sum, byte| sum ^ byte));
    }
    let taken = ms(start);
    black_box((&given, &used));
    Ok(taken)
}

fn count(archive: &Path) -> Result<Costs, CompareError> {
    let model = Pt2::open(archive)?;
    let counts = Analysis::new(model.graph())?.counts(&Kept::all());
    Ok(Costs { params: counts.params, macs: counts.macs })
}

fn ms(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}
