//! The functions of `cpp/pruner_aten.h`, and what goes through them.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::{fmt, slice};

use torch_sys::C_tensor;

use super::AtenError;
use crate::graph::{Argument, Dtype, TensorMeta};

/// An object of the C++ side, owned.
pub(super) struct Handle<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Handle<T> {
    pub(super) fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Self {
        Self { pointer: NonNull::new(pointer).expect("set wherever no message is returned"), free }
    }

    pub(super) fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: it is owned and freed once.
        unsafe { (self.free)(self.get()) }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

// SAFETY: an operator is immutable once it is found.
unsafe impl Send for Handle<PaOp> {}
// SAFETY: as above.
unsafe impl Sync for Handle<PaOp> {}
// SAFETY: a prepared call is immutable: a run copies its arguments, whose reference counts are atomic.
unsafe impl Send for Handle<PaCall> {}
// SAFETY: as above.
unsafe impl Sync for Handle<PaCall> {}

pub(super) struct OwnedArg {
    name: CString,
    tag: i32,
    int: i64,
    float: f64,
    string: CString,
    ints: Vec<i64>,
    floats: Vec<f64>,
}

impl OwnedArg {
    pub(super) fn new(name: &str, argument: &Argument) -> Result<Self, AtenError> {
        let mut arg = Self {
            name: c_string(name)?,
            tag: tag::NONE,
            int: 0,
            float: 0.0,
            string: CString::default(),
            ints: Vec::new(),
            floats: Vec::new(),
        };
        match argument {
            Argument::None => {}
            Argument::Value(_) => arg.tag = tag::TENSOR,
            Argument::Values(values) => {
                arg.tag = tag::TENSORS;
                arg.ints = values.iter().map(|value| i64::from(value.is_some())).collect();
            }
            Argument::Bool(value) => (arg.tag, arg.int) = (tag::BOOL, i64::from(*value)),
            Argument::Int(value) => (arg.tag, arg.int) = (tag::INT, *value),
            Argument::Float(value) => (arg.tag, arg.float) = (tag::FLOAT, *value),
            Argument::Str(value) => (arg.tag, arg.string) = (tag::STR, c_string(value)?),
            Argument::Bools(values) => {
                arg.tag = tag::BOOLS;
                arg.ints = values.iter().map(|value| i64::from(*value)).collect();
            }
            Argument::Ints(values) => (arg.tag, arg.ints) = (tag::INTS, values.clone()),
            Argument::Floats(values) => (arg.tag, arg.floats) = (tag::FLOATS, values.clone()),
            Argument::Dtype(dtype) => (arg.tag, arg.int) = (tag::DTYPE, dtype.code()),
            Argument::Device(device) => (arg.tag, arg.string) = (tag::DEVICE, c_string(device)?),
            Argument::Layout(value) => (arg.tag, arg.int) = (tag::LAYOUT, *value),
            Argument::MemoryFormat(value) => (arg.tag, arg.int) = (tag::MEMORY_FORMAT, *value),
        }
        Ok(arg)
    }

    pub(super) fn borrow(&self) -> PaArg {
        PaArg {
            name: self.name.as_ptr(),
            tag: self.tag,
            i: self.int,
            f: self.float,
            s: self.string.as_ptr(),
            ints: self.ints.as_ptr(),
            floats: self.floats.as_ptr(),
            len: self.ints.len().max(self.floats.len()),
        }
    }
}

pub(super) fn c_string(text: &str) -> Result<CString, AtenError> {
    CString::new(text).map_err(|_| AtenError::new(format!("{text:?} holds a nul")))
}

pub(super) fn check(message: *mut c_char) -> Result<(), AtenError> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message that is not null is a string that was allocated for us.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        pa_free_message(message);
        text
    };
    Err(AtenError::new(text.lines().next().unwrap_or("unknown error")))
}

/// # Safety
///
/// `pointer` is null or a string.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// # Safety
///
/// `pointer` is null or points to `len` elements that live as long as the result is used.
pub(super) unsafe fn view<'a, T>(pointer: *const T, len: usize) -> &'a [T] {
    if pointer.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(pointer, len) }
}

mod tag {
    pub(super) const NONE: i32 = 0;
    pub(super) const TENSOR: i32 = 1;
    pub(super) const TENSORS: i32 = 2;
    pub(super) const BOOL: i32 = 3;
    pub(super) const INT: i32 = 4;
    pub(super) const FLOAT: i32 = 5;
    pub(super) const STR: i32 = 6;
    pub(super) const BOOLS: i32 = 7;
    pub(super) const INTS: i32 = 8;
    pub(super) const FLOATS: i32 = 9;
    pub(super) const DTYPE: i32 = 10;
    pub(super) const DEVICE: i32 = 11;
    pub(super) const LAYOUT: i32 = 12;
    pub(super) const MEMORY_FORMAT: i32 = 13;
}

#[repr(C)]
pub(super) struct PaOp {
    opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct PaCall {
    opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct PaTrace {
    opaque: [u8; 0],
}

#[repr(C)]
pub(super) struct PaArg {
    pub(super) name: *const c_char,
    pub(super) tag: i32,
    pub(super) i: i64,
    pub(super) f: f64,
    pub(super) s: *const c_char,
    pub(super) ints: *const i64,
    pub(super) floats: *const f64,
    pub(super) len: usize,
}

impl PaArg {
    /// # Safety
    ///
    /// What it points to is alive.
    pub(super) unsafe fn argument(&self, op: &str) -> Result<Argument, AtenError> {
        use crate::ids::ValueId;
        // SAFETY: the caller's promise.
        let (string, ints) = unsafe { (text(self.s), view(self.ints, self.len)) };
        Ok(match self.tag {
            tag::TENSOR => Argument::Value(ValueId::new(self.i as usize)),
            tag::TENSORS => {
                Argument::Values(ints.iter().map(|&entry| usize::try_from(entry).ok().map(ValueId::new)).collect())
            }
            tag::BOOL => Argument::Bool(self.i != 0),
            tag::INT => Argument::Int(self.i),
            tag::FLOAT => Argument::Float(self.f),
            tag::STR => Argument::Str(string),
            tag::BOOLS => Argument::Bools(ints.iter().map(|&value| value != 0).collect()),
            tag::INTS => Argument::Ints(ints.to_vec()),
            // SAFETY: the caller's promise.
            tag::FLOATS => Argument::Floats(unsafe { view(self.floats, self.len) }.to_vec()),
            tag::DTYPE => Argument::Dtype(dtype(self.i, op)?),
            tag::DEVICE => Argument::Device(string),
            tag::LAYOUT => Argument::Layout(self.i),
            tag::MEMORY_FORMAT => Argument::MemoryFormat(self.i),
            _ => Argument::None,
        })
    }
}

#[repr(C)]
pub(super) struct PaTensor {
    pub(super) imp: usize,
    pub(super) storage: usize,
    pub(super) sizes: *const i64,
    pub(super) ndim: usize,
    pub(super) dtype: i32,
    pub(super) defined: i32,
    pub(super) plain: i32,
}

impl Default for PaTensor {
    fn default() -> Self {
        Self { imp: 0, storage: 0, sizes: ptr::null(), ndim: 0, dtype: 0, defined: 0, plain: 0 }
    }
}

impl PaTensor {
    /// # Safety
    ///
    /// The sizes are alive.
    pub(super) unsafe fn read(&self, whose: &str) -> Result<TensorMeta, AtenError> {
        if self.defined == 0 {
            return Ok(TensorMeta::f32([0]));
        }
        // SAFETY: the caller's promise.
        let shape = unsafe { view(self.sizes, self.ndim) }.to_vec();
        Ok(TensorMeta { shape, dtype: dtype(self.dtype.into(), whose)? })
    }
}

pub(super) fn dtype(code: i64, whose: &str) -> Result<Dtype, AtenError> {
    Dtype::from_code(code)
        .ok_or_else(|| AtenError::new(format!("{whose}: element type {code} of libtorch has no place in a graph")))
}

unsafe extern "C" {
    pub(super) fn pa_free_message(message: *mut c_char);
    pub(super) fn pa_init(state: *mut *const c_char);
    pub(super) fn pa_op_find(name: *const c_char, overload: *const c_char, out: *mut *mut PaOp) -> *mut c_char;
    pub(super) fn pa_op_free(op: *mut PaOp);
    pub(super) fn pa_op_arguments(op: *const PaOp) -> usize;
    pub(super) fn pa_op_argument(
        op: *const PaOp,
        index: usize,
        name: *mut *const c_char,
        bits: *mut i32,
    ) -> *mut c_char;
    pub(super) fn pa_op_results(op: *const PaOp) -> usize;
    pub(super) fn pa_op_result(op: *const PaOp, index: usize) -> i32;
    pub(super) fn pa_op_random(op: *const PaOp) -> i32;
    pub(super) fn pa_call_new(op: *const PaOp, args: *const PaArg, len: usize, out: *mut *mut PaCall) -> *mut c_char;
    pub(super) fn pa_call_free(call: *mut PaCall);
    pub(super) fn pa_call_run(
        call: *const PaCall,
        tensors: *const *const C_tensor,
        len: usize,
        mode: i32,
        sink: *mut c_void,
        emit: extern "C" fn(*mut c_void, *mut C_tensor),
    ) -> *mut c_char;
    pub(super) fn pa_trace_start(
        tensors: *const *const C_tensor,
        len: usize,
        entries: *mut i64,
        out: *mut *mut PaTrace,
    ) -> *mut c_char;
    pub(super) fn pa_trace_stop(trace: *mut PaTrace) -> *mut c_char;
    pub(super) fn pa_trace_free(trace: *mut PaTrace);
    pub(super) fn pa_trace_find(trace: *mut PaTrace, tensor: *const C_tensor, entry: *mut i64) -> *mut c_char;
    pub(super) fn pa_trace_records(trace: *const PaTrace) -> usize;
    pub(super) fn pa_trace_record(
        trace: *const PaTrace,
        index: usize,
        name: *mut *const c_char,
        overload: *mut *const c_char,
        args: *mut *const PaArg,
        args_len: *mut usize,
        results: *mut *const i64,
        metas: *mut *const PaTensor,
        results_len: *mut usize,
        no_grad: *mut i32,
    ) -> *mut c_char;
    pub(super) fn pa_trace_entries(trace: *const PaTrace) -> usize;
    pub(super) fn pa_trace_entry(
        trace: *const PaTrace,
        index: usize,
        storage: *mut usize,
        given: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(super) fn pa_trace_notes(trace: *const PaTrace) -> usize;
    pub(super) fn pa_trace_note(trace: *const PaTrace, index: usize) -> *const c_char;
    pub(super) fn pa_tensor_of_bytes(
        bytes: *const c_void,
        len: usize,
        dtype: i32,
        sizes: *const i64,
        strides: *const i64,
        ndim: usize,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(super) fn pa_tensor_describe(tensor: *const C_tensor, out: *mut PaTensor) -> *mut c_char;
    pub(super) fn pa_tensor_exchange(
        tensor: *mut C_tensor,
        data: *mut C_tensor,
        grad: *const C_tensor,
        grad_before: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(super) fn pa_tensor_data(tensor: *const C_tensor, data: *mut *mut C_tensor) -> *mut c_char;
    pub(super) fn pa_tensor_grad(tensor: *const C_tensor, grad: *mut *mut C_tensor) -> *mut c_char;
    pub(super) fn pa_tensor_set_grad(tensor: *mut C_tensor, grad: *const C_tensor) -> *mut c_char;
    pub(super) fn pa_tensor_gather(
        tensor: *const C_tensor,
        kept: *const *const i64,
        kept_len: *const usize,
        ndim: usize,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub(super) fn pa_random_state(gpu: i32, out: *mut *mut C_tensor) -> *mut c_char;
    pub(super) fn pa_random_set_state(gpu: i32, state: *const C_tensor) -> *mut c_char;
    pub(super) fn pa_tf32(allowed: i32) -> i32;
    pub(super) fn pa_version() -> *const c_char;
    pub(super) fn pa_attention(kernels: i32) -> i32;
    pub(super) fn pa_tensor_fold(
        a: *const C_tensor,
        b: *const C_tensor,
        form: i32,
        outer: i64,
        inner: i64,
        of_outer: *mut f64,
        of_inner: *mut f64,
    ) -> *mut c_char;
}
