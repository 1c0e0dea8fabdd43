//! libtorch beyond what tch gives: any operator by its name, a recorder of operators, variables whose shape changes.
//!
//! The only file with `unsafe`: safe wrappers of the functions in `cpp/pruner_aten.h`.
#![allow(unsafe_code, reason = "the one place where libtorch is spoken to beside tch")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{self, NonNull};
use std::{fmt, slice};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::graph::{Argument, Dtype, TensorMeta};

/// What libtorch answered where it could not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AtenError {
    message: String,
}

impl AtenError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Makes the GPU usable where there is one; called by whatever first needs to know.
///
/// Says what came of it: `linked`, `loaded`, or why there is none. Further calls do nothing.
pub fn init() -> &'static str {
    let mut state = ptr::null();
    // SAFETY: it sets the pointer to a string that lives as long as the process.
    let state = unsafe {
        pa_init(&raw mut state);
        CStr::from_ptr(state)
    };
    state.to_str().unwrap_or("not loaded: the message is no UTF-8")
}

/// Whether there is a GPU that libtorch can use.
pub fn cuda_is_available() -> bool {
    init();
    tch::Cuda::is_available()
}

/// An operator of libtorch and what its schema says.
#[derive(Debug)]
pub struct Operator {
    handle: Handle<PaOp>,
    arguments: Vec<OperatorArgument>,
    results: Vec<OperatorResult>,
    random: bool,
}

/// An argument as the schema of an operator has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorArgument {
    /// Its name.
    pub name: String,
    /// What the shim says of it.
    bits: i32,
}

impl OperatorArgument {
    /// Whether the operator changes the tensors that it holds.
    pub fn is_written(&self) -> bool {
        self.bits & 1 != 0
    }

    /// Whether it holds tensors.
    pub fn holds_tensors(&self) -> bool {
        self.bits & 2 != 0
    }

    /// Whether it is a device.
    pub fn is_device(&self) -> bool {
        self.bits & 4 != 0
    }

    /// Whether it is given by its name only.
    pub fn is_keyword(&self) -> bool {
        self.bits & 8 != 0
    }
}

/// What a result of an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorResult {
    /// A tensor.
    Tensor,
    /// A list of tensors, as long as the arguments make it.
    Tensors,
    /// A number or something else that is no tensor.
    Other,
}

impl Operator {
    /// Finds an operator such as `aten::add` with its overload such as `Tensor`, which may be empty.
    pub fn find(name: &str, overload: &str) -> Result<Self, AtenError> {
        let (name, overload) = (c_string(name)?, c_string(overload)?);
        let mut op = ptr::null_mut();
        // SAFETY: the strings end in a nul and live through the call.
        check(unsafe { pa_op_find(name.as_ptr(), overload.as_ptr(), &raw mut op) })?;
        let handle = Handle::new(op, pa_op_free);
        // SAFETY: the handle is of a living operator.
        let (arguments, results, random) = unsafe { (pa_op_arguments(op), pa_op_results(op), pa_op_random(op) != 0) };
        let arguments = (0..arguments).map(|index| Self::read_argument(&handle, index)).collect::<Result<_, _>>()?;
        let results = (0..results)
            // SAFETY: the index is below the number of results.
            .map(|index| match unsafe { pa_op_result(handle.get(), index) } {
                1 => OperatorResult::Tensor,
                2 => OperatorResult::Tensors,
                _ => OperatorResult::Other,
            })
            .collect();
        Ok(Self { handle, arguments, results, random })
    }

    /// The arguments, in order.
    pub fn arguments(&self) -> &[OperatorArgument] {
        &self.arguments
    }

    /// The results, in order.
    pub fn results(&self) -> &[OperatorResult] {
        &self.results
    }

    /// Whether it draws random numbers.
    pub fn is_random(&self) -> bool {
        self.random
    }

    /// Whether it changes a tensor that it is given.
    pub fn mutates(&self) -> bool {
        self.arguments.iter().any(OperatorArgument::is_written)
    }

    /// Whether it makes a tensor of none.
    pub fn is_factory(&self) -> bool {
        !self.arguments.iter().any(OperatorArgument::holds_tensors)
    }

    /// Prepares a call with these arguments, by the names of the schema; those left out have their defaults.
    ///
    /// The values that the arguments hold are left open: [`Call::run`] is given tensors for them in their order.
    pub fn prepare(&self, arguments: &[(String, Argument)]) -> Result<Call, AtenError> {
        let mut owned = Vec::with_capacity(arguments.len());
        for (name, argument) in arguments {
            owned.push(OwnedArg::new(name, argument)?);
        }
        let args: Vec<PaArg> = owned.iter().map(OwnedArg::borrow).collect();
        let mut call = ptr::null_mut();
        // SAFETY: what the arguments point to is owned by `owned`, which lives through the call.
        check(unsafe { pa_call_new(self.handle.get(), args.as_ptr(), args.len(), &raw mut call) })?;
        Ok(Call { handle: Handle::new(call, pa_call_free) })
    }

    /// Calls it once: [`prepare`](Self::prepare) and [`run`](Call::run).
    pub fn call(&self, arguments: &[(String, Argument)], tensors: &[&Tensor]) -> Result<Vec<Tensor>, AtenError> {
        let mut results = Vec::new();
        self.prepare(arguments)?.run(tensors, None, &mut results)?;
        Ok(results)
    }

    fn read_argument(handle: &Handle<PaOp>, index: usize) -> Result<OperatorArgument, AtenError> {
        let (mut name, mut bits) = (ptr::null(), 0);
        // SAFETY: the name belongs to the schema, which lives as long as the process.
        let name = unsafe {
            check(pa_op_argument(handle.get(), index, &raw mut name, &raw mut bits))?;
            text(name)
        };
        Ok(OperatorArgument { name, bits })
    }
}

/// A call that waits for its tensors. Running it does no look-up and reads no schema.
#[derive(Debug)]
pub struct Call {
    handle: Handle<PaCall>,
}

impl Call {
    /// Runs it and appends its results, lists flattened.
    ///
    /// `train` overrides the arguments that say whether the network trains; `None` leaves them as they were prepared.
    pub fn run(&self, tensors: &[&Tensor], train: Option<bool>, results: &mut Vec<Tensor>) -> Result<(), AtenError> {
        const INLINE: usize = 16;
        let mode = train.map_or(-1, i32::from);
        let sink = ptr::from_mut(results).cast();
        let mut inline = [ptr::null(); INLINE];
        let many: Vec<*const C_tensor>;
        let pointers = if tensors.len() <= INLINE {
            for (pointer, tensor) in inline.iter_mut().zip(tensors) {
                *pointer = tensor.as_ptr();
            }
            inline.as_ptr()
        } else {
            many = tensors.iter().map(|tensor| tensor.as_ptr()).collect();
            many.as_ptr()
        };
        // SAFETY: the tensors are borrowed through the call, and `sink` is the vector that `push_result` takes it for.
        check(unsafe { pa_call_run(self.handle.get(), pointers, tensors.len(), mode, sink, push_result) })
    }
}

extern "C" fn push_result(sink: *mut c_void, result: *mut C_tensor) {
    // SAFETY: `Call::run` gives its vector as the sink, and the tensor is new and ours.
    unsafe { (*sink.cast::<Vec<Tensor>>()).push(Tensor::from_ptr(result)) }
}

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

/// The shape and element type of a tensor. It must be defined, strided and not quantised.
pub fn meta(tensor: &Tensor) -> Result<TensorMeta, AtenError> {
    let described = describe(tensor)?;
    if described.defined == 0 {
        return Err(AtenError::new("the tensor is undefined"));
    }
    if described.plain == 0 {
        return Err(AtenError::new("the tensor is sparse or quantised"));
    }
    // SAFETY: the sizes belong to the tensor, which is borrowed.
    unsafe { described.read("the tensor") }
}

/// A number that is the same for two tensors exactly where they are one variable, as `tensor` and its
/// `shallow_clone` are; 0 for an undefined one. It may be given to another once no clone is left.
pub fn variable_id(tensor: &Tensor) -> usize {
    describe(tensor).map_or(0, |described| described.imp)
}

/// A number that is the same for two tensors exactly where they share memory; 0 where there is none.
pub fn storage_id(tensor: &Tensor) -> usize {
    describe(tensor).map_or(0, |described| described.storage)
}

/// Gives a variable the data of another tensor, of any shape, and the gradient that goes with it.
///
/// Whoever shares the variable sees the new data. A later backward pass works though an earlier one left its traces;
/// a loss computed before the change can no longer be differentiated with respect to the variable.
pub fn replace(variable: &Tensor, data: &Tensor, grad: Option<&Tensor>) -> Result<(), AtenError> {
    let grad = grad.map_or(ptr::null(), Tensor::as_ptr);
    // SAFETY: the tensors are borrowed through the call; that the variable changes under its other handles is the point.
    check(unsafe { pa_tensor_replace(variable.as_ptr().cast_mut(), data.as_ptr(), grad) })
}

/// Sets the gradient of a variable, or takes it away.
pub fn set_grad(variable: &Tensor, grad: Option<&Tensor>) -> Result<(), AtenError> {
    let grad = grad.map_or(ptr::null(), Tensor::as_ptr);
    // SAFETY: the tensors are borrowed through the call.
    check(unsafe { pa_tensor_set_grad(variable.as_ptr().cast_mut(), grad) })
}

/// The slices of a tensor at the given positions of every dimension, in one pass; `None` keeps a dimension whole.
///
/// The result has no history and the memory format of the tensor.
pub fn gather_slices(tensor: &Tensor, kept: &[Option<&[i64]>]) -> Result<Tensor, AtenError> {
    // An empty list must not be null, which stands for all.
    let lists: Vec<_> = kept
        .iter()
        .map(|list| list.map_or(ptr::null(), |list| NonNull::from(list).as_ptr().cast_const().cast()))
        .collect();
    let lens: Vec<_> = kept.iter().map(|list| list.map_or(0, <[i64]>::len)).collect();
    let mut out = ptr::null_mut();
    // SAFETY: the lists are borrowed through the call and as long as said; the tensor that comes is new and ours.
    unsafe {
        check(pa_tensor_gather(tensor.as_ptr(), lists.as_ptr(), lens.as_ptr(), kept.len(), &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
}

fn describe(tensor: &Tensor) -> Result<PaTensor, AtenError> {
    let mut described = PaTensor::default();
    // SAFETY: the tensor is borrowed through the call.
    check(unsafe { pa_tensor_describe(tensor.as_ptr(), &raw mut described) })?;
    Ok(described)
}

/// An object of the C++ side, owned.
struct Handle<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Handle<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Self {
        Self { pointer: NonNull::new(pointer).expect("set wherever no message is returned"), free }
    }

    fn get(&self) -> *mut T {
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

struct OwnedArg {
    name: CString,
    tag: i32,
    int: i64,
    float: f64,
    string: CString,
    ints: Vec<i64>,
    floats: Vec<f64>,
}

impl OwnedArg {
    fn new(name: &str, argument: &Argument) -> Result<Self, AtenError> {
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

    fn borrow(&self) -> PaArg {
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

fn c_string(text: &str) -> Result<CString, AtenError> {
    CString::new(text).map_err(|_| AtenError::new(format!("{text:?} holds a nul")))
}

fn check(message: *mut c_char) -> Result<(), AtenError> {
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
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// # Safety
///
/// `pointer` is null or points to `len` elements that live as long as the result is used.
unsafe fn view<'a, T>(pointer: *const T, len: usize) -> &'a [T] {
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
struct PaOp {
    opaque: [u8; 0],
}

#[repr(C)]
struct PaCall {
    opaque: [u8; 0],
}

#[repr(C)]
struct PaTrace {
    opaque: [u8; 0],
}

#[repr(C)]
struct PaArg {
    name: *const c_char,
    tag: i32,
    i: i64,
    f: f64,
    s: *const c_char,
    ints: *const i64,
    floats: *const f64,
    len: usize,
}

impl PaArg {
    /// # Safety
    ///
    /// What it points to is alive.
    unsafe fn argument(&self, op: &str) -> Result<Argument, AtenError> {
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
struct PaTensor {
    imp: usize,
    storage: usize,
    sizes: *const i64,
    ndim: usize,
    dtype: i32,
    defined: i32,
    plain: i32,
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
    unsafe fn read(&self, whose: &str) -> Result<TensorMeta, AtenError> {
        if self.defined == 0 {
            return Ok(TensorMeta::f32([0]));
        }
        // SAFETY: the caller's promise.
        let shape = unsafe { view(self.sizes, self.ndim) }.to_vec();
        Ok(TensorMeta { shape, dtype: dtype(self.dtype.into(), whose)? })
    }
}

fn dtype(code: i64, whose: &str) -> Result<Dtype, AtenError> {
    Dtype::from_code(code)
        .ok_or_else(|| AtenError::new(format!("{whose}: element type {code} of libtorch has no place in a graph")))
}

unsafe extern "C" {
    fn pa_free_message(message: *mut c_char);
    fn pa_init(state: *mut *const c_char);
    fn pa_op_find(name: *const c_char, overload: *const c_char, out: *mut *mut PaOp) -> *mut c_char;
    fn pa_op_free(op: *mut PaOp);
    fn pa_op_arguments(op: *const PaOp) -> usize;
    fn pa_op_argument(op: *const PaOp, index: usize, name: *mut *const c_char, bits: *mut i32) -> *mut c_char;
    fn pa_op_results(op: *const PaOp) -> usize;
    fn pa_op_result(op: *const PaOp, index: usize) -> i32;
    fn pa_op_random(op: *const PaOp) -> i32;
    fn pa_call_new(op: *const PaOp, args: *const PaArg, len: usize, out: *mut *mut PaCall) -> *mut c_char;
    fn pa_call_free(call: *mut PaCall);
    fn pa_call_run(
        call: *const PaCall,
        tensors: *const *const C_tensor,
        len: usize,
        mode: i32,
        sink: *mut c_void,
        emit: extern "C" fn(*mut c_void, *mut C_tensor),
    ) -> *mut c_char;
    fn pa_trace_start(
        tensors: *const *const C_tensor,
        len: usize,
        entries: *mut i64,
        out: *mut *mut PaTrace,
    ) -> *mut c_char;
    fn pa_trace_stop(trace: *mut PaTrace) -> *mut c_char;
    fn pa_trace_free(trace: *mut PaTrace);
    fn pa_trace_find(trace: *mut PaTrace, tensor: *const C_tensor, entry: *mut i64) -> *mut c_char;
    fn pa_trace_records(trace: *const PaTrace) -> usize;
    fn pa_trace_record(
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
    fn pa_trace_entries(trace: *const PaTrace) -> usize;
    fn pa_trace_entry(
        trace: *const PaTrace,
        index: usize,
        storage: *mut usize,
        given: *mut *mut C_tensor,
    ) -> *mut c_char;
    fn pa_trace_notes(trace: *const PaTrace) -> usize;
    fn pa_trace_note(trace: *const PaTrace, index: usize) -> *const c_char;
    fn pa_tensor_describe(tensor: *const C_tensor, out: *mut PaTensor) -> *mut c_char;
    fn pa_tensor_replace(tensor: *mut C_tensor, data: *const C_tensor, grad: *const C_tensor) -> *mut c_char;
    fn pa_tensor_set_grad(tensor: *mut C_tensor, grad: *const C_tensor) -> *mut c_char;
    fn pa_tensor_gather(
        tensor: *const C_tensor,
        kept: *const *const i64,
        kept_len: *const usize,
        ndim: usize,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;
}
