//! The process of `pruner`: it answers requests on one archive.

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::mem;
use std::path::Path;
use std::time::Instant;

use memmap2::MmapMut;
use pruner_core::deps::{Analysis, Group as _, Kept};
use pruner_core::exec::GraphModule;
use pruner_core::plan::Limits;
use pruner_core::pruner::{GroupPruner, Pruner as _, Settings};
use pruner_core::pt2::Pt2;
use pruner_importance::Magnitude;
use pruner_schedulers::OneShot;
use serde::Serialize;
use tch::{Device, Tensor};

use super::memory::Given;
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
        copy_ms: copy(&parts, given)?,
        tensor_copy_ms: tensor_copy(&GraphModule::load(&archive, Device::Cpu)?, &parts),
        bytes: parts.iter().map(|part| part.all as u64).sum(),
        bytes_kept: parts.iter().map(|part| part.kept as u64).sum(),
        macs: report.after.macs,
    };
    Ok(Stepped { step_ms, grown_bytes, params: report.after.params, own: Some(own) })
}

/// The bytes of a tensor before and after a step.
struct Part {
    all: usize,
    kept: usize,
}

/// The tensors that a network stores.
fn tensors(module: &GraphModule) -> Vec<&Tensor> {
    module.graph().stored().filter_map(|(value, _)| module.tensor(value)).collect()
}

fn bytes(tensor: &Tensor) -> usize {
    tensor.numel() * tensor.kind().elt_size_in_bytes()
}

/// Memory that is written to before it is read, in huge pages where a network that is loaded has them, too.
enum Memory {
    Used(Vec<u8>),
    Mapped(MmapMut),
}

impl Memory {
    fn filled(len: usize) -> Result<Self, CompareError> {
        if (len as u64) < memory::HUGE_PAGE {
            return Ok(Self::Used(vec![1; len]));
        }
        let mut map = memory::mapped(len, true)?;
        map.fill(1);
        Ok(Self::Mapped(map))
    }

    fn get(&self) -> &[u8] {
        match self {
            Self::Used(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

/// The milliseconds in which as many bytes are read and written as a step has to: all of every tensor is read once, and the
/// part of it that is kept is written once, to memory of which as much is new as was `given` in the step, in pages as large.
fn copy(parts: &[Part], given: Given) -> Result<f64, CompareError> {
    let tensors = parts.iter().map(|part| Memory::filled(part.all)).collect::<Result<Vec<_>, _>>()?;
    let kept: usize = parts.iter().map(|part| part.kept).sum();
    let huge = kept.min(given.huge as usize);
    let small = (kept - huge).min((given.bytes - given.huge) as usize);
    let mut used = vec![1_u8; kept - huge - small];
    let start = Instant::now();
    let mut new = [memory::mapped(huge, true)?, memory::mapped(small, false)?];
    new.iter().for_each(memory::populate);
    let [huge_pages, small_pages] = &mut new;
    let mut places = [&mut used[..], &mut small_pages[..small], &mut huge_pages[..huge]];
    let mut left = places.len();
    let mut free: &mut [u8] = &mut [];
    for (memory, part) in black_box(&tensors).iter().zip(parts) {
        let (mut copied, only_read) = memory.get().split_at(part.kept);
        while !copied.is_empty() {
            while free.is_empty() {
                left -= 1;
                free = mem::take(&mut places[left]);
            }
            let len = copied.len().min(free.len());
            let (to, behind) = mem::take(&mut free).split_at_mut(len);
            to.copy_from_slice(&copied[..len]);
            (free, copied) = (behind, &copied[len..]);
        }
        black_box(only_read.iter().fold(0, |sum, byte| sum ^ byte));
    }
    let taken = ms(start);
    black_box((&new, &used));
    Ok(taken)
}

/// The same by operators of libtorch: a sum of every tensor, and a new one with as many elements as are kept of it.
fn tensor_copy(module: &GraphModule, parts: &[Part]) -> f64 {
    let tensors = tensors(module);
    let _guard = tch::no_grad_guard();
    let start = Instant::now();
    let copy = |(tensor, part): (&&Tensor, &Part)| {
        let elements = (part.kept / tensor.kind().elt_size_in_bytes()) as i64;
        let mut kept = Tensor::empty([elements], (tensor.kind(), tensor.device()));
        kept.copy_(&tensor.flatten(0, -1).narrow(0, 0, elements));
        (tensor.sum(None), kept)
    };
    let copies: Vec<_> = tensors.iter().zip(parts).map(copy).collect();
    let taken = ms(start);
    black_box(&copies);
    taken
}

fn count(archive: &Path) -> Result<Costs, CompareError> {
    let model = Pt2::open(archive)?;
    let counts = Analysis::new(model.graph())?.counts(&Kept::all());
    Ok(Costs { params: counts.params, macs: counts.macs })
}

fn ms(start: Instant) -> f64 {
    1e3 * start.elapsed().as_secs_f64()
}
