//! What a thread calls of libtorch, recorded.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ptr;

use tch::Tensor;

use super::ffi::{
    Handle, PaTrace, check, pa_trace_entries, pa_trace_entry, pa_trace_find, pa_trace_free, pa_trace_note,
    pa_trace_notes, pa_trace_record, pa_trace_records, pa_trace_start, pa_trace_stop, text, view,
};
use super::{AtenError, init};
use crate::graph::{Argument, TensorMeta};

/// The recording of the operators that a thread calls, from its start to its stop or drop.
#[derive(Debug)]
pub(crate) struct Recorder {
    handle: Handle<PaTrace>,
}

/// An operator that was called.
#[derive(Debug)]
pub(crate) struct Record {
    /// Its name.
    pub(crate) op: String,
    /// Its overload.
    pub(crate) overload: String,
    /// Its arguments; a `ValueId` in them is the number of an entry.
    pub(crate) arguments: Vec<(String, Argument)>,
    /// Entries of its results with what is known of each; no entry for an undefined tensor.
    pub(crate) results: Vec<(Option<usize>, TensorMeta)>,
    /// Whether it was called without gradients.
    pub(crate) no_grad: bool,
}

/// A tensor that took part.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The same for tensors that share memory.
    pub(crate) storage: usize,
    /// The tensor where no recorded operator made it.
    pub(crate) given: Option<Tensor>,
}

impl Recorder {
    /// Starts to record on this thread. `known` are tensors of which the entry is told: equal for the same tensor.
    pub(crate) fn start(known: &[&Tensor]) -> Result<(Self, Vec<usize>), AtenError> {
        init();
        let pointers: Vec<_> = known.iter().map(|tensor| tensor.as_ptr()).collect();
        let mut entries = vec![0_i64; known.len()];
        let mut trace = ptr::null_mut();
        // SAFETY: the tensors are borrowed through the call, and there is room for as many entries.
        check(unsafe { pa_trace_start(pointers.as_ptr(), known.len(), entries.as_mut_ptr(), &raw mut trace) })?;
        let entries = entries.into_iter().map(|entry| entry as usize).collect();
        Ok((Self { handle: Handle::new(trace, pa_trace_free) }, entries))
    }

    /// Stops recording, and undoes what the operators changed in tensors that none of them made and in the state of
    /// the random number generators.
    pub(crate) fn stop(&mut self) -> Result<(), AtenError> {
        // SAFETY: the handle is of a living trace.
        check(unsafe { pa_trace_stop(self.handle.get()) })
    }

    /// The entry of a tensor, `None` where it is undefined.
    pub(crate) fn find(&mut self, tensor: &Tensor) -> Result<Option<usize>, AtenError> {
        let mut entry = 0;
        // SAFETY: the tensor is borrowed through the call.
        check(unsafe { pa_trace_find(self.handle.get(), tensor.as_ptr(), &raw mut entry) })?;
        Ok(usize::try_from(entry).ok())
    }

    /// The records, in order.
    pub(crate) fn records(&self) -> Result<Vec<Record>, AtenError> {
        // SAFETY: the handle is of a living trace.
        let len = unsafe { pa_trace_records(self.handle.get()) };
        (0..len).filter_map(|index| self.read_record(index).transpose()).collect()
    }

    /// The tensors that took part.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, AtenError> {
        // SAFETY: the handle is of a living trace.
        let len = unsafe { pa_trace_entries(self.handle.get()) };
        (0..len)
            .map(|index| {
                let (mut storage, mut given) = (0, ptr::null_mut());
                // SAFETY: the tensor, if any, is new and ours.
                unsafe {
                    check(pa_trace_entry(self.handle.get(), index, &raw mut storage, &raw mut given))?;
                    Ok(Entry { storage, given: (!given.is_null()).then(|| Tensor::from_ptr(given)) })
                }
            })
            .collect()
    }

    /// What cannot be in a graph and did not stop the trace.
    pub(crate) fn notes(&self) -> Vec<String> {
        // SAFETY: the index is below the number of notes, whose strings the trace owns.
        unsafe {
            (0..pa_trace_notes(self.handle.get())).map(|index| text(pa_trace_note(self.handle.get(), index))).collect()
        }
    }

    fn read_record(&self, index: usize) -> Result<Option<Record>, AtenError> {
        let (mut name, mut overload, mut args, mut args_len) = (ptr::null(), ptr::null(), ptr::null(), 0);
        let (mut results, mut metas, mut results_len) = (ptr::null(), ptr::null(), 0);
        let mut no_grad = 0;
        // SAFETY: the pointers that are set belong to the trace and are read before anything else is asked of it.
        unsafe {
            check(pa_trace_record(
                self.handle.get(),
                index,
                &raw mut name,
                &raw mut overload,
                &raw mut args,
                &raw mut args_len,
                &raw mut results,
                &raw mut metas,
                &raw mut results_len,
                &raw mut no_grad,
            ))?;
            if args_len == usize::MAX {
                return Ok(None);
            }
            let op = text(name);
            let mut arguments = Vec::with_capacity(args_len);
            for arg in view(args, args_len) {
                arguments.push((text(arg.name), arg.argument(&op)?));
            }
            let results = view(results, results_len)
                .iter()
                .zip(view(metas, results_len))
                .map(|(&entry, meta)| Ok((usize::try_from(entry).ok(), meta.read(&op)?)))
                .collect::<Result<_, AtenError>>()?;
            Ok(Some(Record { op, overload: text(overload), arguments, results, no_grad: no_grad != 0 }))
        }
    }
}
