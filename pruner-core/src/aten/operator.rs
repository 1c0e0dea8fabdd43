//! Operators by their names, and calls of them.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ffi::c_void;
use std::ptr;

use tch::Tensor;
use torch_sys::C_tensor;

use super::AtenError;
use super::ffi::{
    Handle, OwnedArg, PaArg, PaCall, PaOp, c_string, check, pa_call_free, pa_call_new, pa_call_run, pa_op_argument,
    pa_op_arguments, pa_op_find, pa_op_free, pa_op_random, pa_op_result, pa_op_results, text,
};
use crate::graph::Argument;

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
