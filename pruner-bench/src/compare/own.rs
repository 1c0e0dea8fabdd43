//! The process of `pruner`: it answers requests on one archive.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::exec::GraphModule;
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::pt2::Pt2;
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;
use serde::Serialize;
use tch::Device;

use super::copy::{self, Part, bytes, tensors};
use super::request::{Costs, Done, Grouped, OwnStep, Request, Stepped};
use super::{CompareError, THREADS, memory, ms};
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
    let archive = Pt2::open(archive)?;
    let mut module = GraphModule::load(&archive, Device::Cpu)?;
    let settings = Settings::new(Box::new(Magnitude::default()), Box::new(OneShot::default()));
    let mut pruner = GroupPruner::new(&module, settings.with_limits(Limits::new(RATIO)))?;
    let before: Vec<usize> = tensors(&module).into_iter().map(bytes).collect();

    let (resident, given) = (memory::begin_peak()?, memory::given()?);
    let start = Instant::now();
    let report = pruner.step(&mut module, &mut ())?;
    let step_ms = ms(start);
    let grown_bytes = memory::peak()?.saturating_sub(resident);
    let given = memory::given()?.since(given);

    let parts: Vec<Part> =
        before.iter().zip(&tensors(&module)).map(|(&all, tensor)| Part { all, kept: bytes(tensor) }).collect();
    drop((module, pruner));
    let seconds = report.seconds;
    let own = OwnStep {
        score_ms: 1e3 * seconds.score,
        plan_ms: 1e3 * seconds.plan,
        apply_ms: 1e3 * seconds.apply,
        copy_ms: copy::of_bytes(&parts, given)?,
        tensor_copy_ms: copy::by_libtorch(&GraphModule::load(&archive, Device::Cpu)?, &parts),
        bytes: parts.iter().map(|part| part.all as u64).sum(),
        bytes_kept: parts.iter().map(|part| part.kept as u64).sum(),
        macs: report.after.macs,
    };
    Ok(Stepped { step_ms, grown_bytes, params: report.after.params, own: Some(own) })
}

fn count(archive: &Path) -> Result<Costs, CompareError> {
    let model = Pt2::open(archive)?;
    let counts = Analysis::new(model.graph())?.counts(&Kept::all());
    Ok(Costs { params: counts.params, macs: counts.macs })
}
