//! The copies that a step is compared with: all weights are read once, and as many bytes as are kept are written once.

use std::hint::black_box;
use std::mem;
use std::time::Instant;

use memmap2::MmapMut;
use pruner_core::exec::GraphModule;
use tch::Tensor;

use super::memory::{self, Given};
use super::{CompareError, ms};

/// The bytes of a tensor before and after a step.
pub(super) struct Part {
    pub(super) all: usize,
    pub(super) kept: usize,
}

/// The tensors that a network stores.
pub(super) fn tensors(module: &GraphModule) -> Vec<&Tensor> {
    module.graph().stored().filter_map(|(value, _)| module.tensor(value)).collect()
}

/// The bytes of a tensor's elements.
pub(super) fn bytes(tensor: &Tensor) -> usize {
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
pub(super) fn of_bytes(parts: &[Part], given: Given) -> Result<f64, CompareError> {
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
pub(super) fn by_libtorch(module: &GraphModule, parts: &[Part]) -> f64 {
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
