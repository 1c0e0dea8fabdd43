//! Tensors: what is known of them, variables whose shape changes, slices in one pass.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ptr::{self, NonNull};

use tch::{Device, Kind, TchError, Tensor};

use super::ffi::{
    PaTensor, check, pa_tensor_describe, pa_tensor_fold, pa_tensor_gather, pa_tensor_parts, pa_tensor_replace,
    pa_tensor_set_grad,
};
use super::{AtenError, Operator};
use crate::graph::{Argument, Dtype, TensorMeta};
use crate::ids::ValueId;

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

/// The type of elements as tch names it; `None` where it has no name for it.
pub fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::U8 => Kind::Uint8,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::I32 => Kind::Int,
        Dtype::I64 => Kind::Int64,
        Dtype::F16 => Kind::Half,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::C32 => Kind::ComplexHalf,
        Dtype::C64 => Kind::ComplexFloat,
        Dtype::C128 => Kind::ComplexDouble,
        Dtype::Bool => Kind::Bool,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F8E5M2 => Kind::Float8e5m2,
        Dtype::F8E4M3 => Kind::Float8e4m3fn,
        Dtype::F8E5M2Fnuz => Kind::Float8e5m2fnuz,
        Dtype::F8E4M3Fnuz => Kind::Float8e4m3fnuz,
        Dtype::U16 => return None,
    })
}

/// A tensor outside of the autograd graph, its floating-point elements in at least single precision.
pub(crate) fn widened(tensor: &Tensor) -> Result<Tensor, TchError> {
    match tensor.kind() {
        Kind::Half | Kind::BFloat16 => tensor.f_detach()?.f_to_kind(Kind::Float),
        _ => tensor.f_detach(),
    }
}

/// The place of the first tensor that has an element which is not finite; a device is waited for once.
pub(crate) fn not_finite<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Option<usize>, TchError> {
    let finite = tensors.into_iter().map(|tensor| tensor.f_isfinite()?.f_all()).collect::<Result<Vec<_>, _>>()?;
    if finite.is_empty() {
        return Ok(None);
    }
    let finite: Vec<bool> = Vec::try_from(Tensor::f_stack(&finite, 0)?.f_to_device(Device::Cpu)?)?;
    Ok(finite.iter().position(|finite| !finite))
}

/// The bytes of a tensor of one dimension, without gaps, as elements of another type; they share memory.
pub(crate) fn view_as(tensor: &Tensor, dtype: Dtype) -> Result<Tensor, AtenError> {
    let arguments = [("self", ValueId::new(0).into()), ("dtype", Argument::Dtype(dtype))];
    let arguments = arguments.map(|(name, argument)| (name.to_owned(), argument));
    Ok(Operator::find("aten::view", "dtype")?.call(&arguments, &[tensor])?.swap_remove(0))
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

/// The data of a variable as a tensor outside of the autograd graph that shares its memory, and the gradient that it has.
pub(crate) fn parts(variable: &Tensor) -> Result<(Tensor, Option<Tensor>), AtenError> {
    let (mut data, mut grad) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the tensor is borrowed through the call; those that come are new and ours.
    unsafe {
        check(pa_tensor_parts(variable.as_ptr(), &raw mut data, &raw mut grad))?;
        Ok((Tensor::from_ptr(data), NonNull::new(grad).map(|grad| Tensor::from_ptr(grad.as_ptr()))))
    }
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

/// What is folded of the elements of a tensor `a`, and of another tensor `b` at the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Form {
    /// `Σ |a|`.
    Abs,
    /// `Σ a²`.
    Square,
    /// `max |a|`.
    Max,
    /// `Σ a·b`.
    Product,
    /// `Σ |a·b|`.
    AbsProduct,
    /// `Σ a²·b`.
    SquareBy,
    /// `Σ |a|·b`.
    AbsBy,
}

impl Form {
    /// Whether it takes another tensor.
    pub fn reads_other(self) -> bool {
        self >= Self::Product
    }

    /// Folds what was folded before: the sum, or the greatest.
    pub fn fold_again(self, folds: &Tensor, dims: &[i64]) -> Result<Tensor, TchError> {
        match self {
            Self::Max => folds.f_amax(dims, false),
            _ => folds.f_sum_dim_intlist(dims, false, None),
        }
    }

    /// As [`fold_again`](Self::fold_again), of two; NaN is passed on.
    pub(crate) fn fold_both(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Max if other > one || other.is_nan() => other,
            Self::Max => one,
            _ => one + other,
        }
    }
}

/// One number per position of a dimension, in double precision: in memory for a tensor on the CPU, else on its device.
#[derive(Debug)]
pub(crate) enum Fold {
    Host(Vec<f64>),
    Device(Tensor),
}

impl Fold {
    pub(crate) fn tensor(&self) -> Result<Tensor, TchError> {
        match self {
            Self::Host(numbers) => Tensor::f_from_slice(numbers),
            Self::Device(numbers) => Ok(numbers.shallow_clone()),
        }
    }
}

/// The folds over all dimensions but one, of shape `[size of the dimension]` in double precision: for the dimension `dims.1` and, where there is one,
/// for `dims.0`, which is less. On the CPU it is one pass over the elements, and the same to the last bit on any number of threads.
pub fn fold(
    a: &Tensor,
    b: Option<&Tensor>,
    form: Form,
    dims: (Option<usize>, usize),
) -> Result<(Option<Tensor>, Tensor), AtenError> {
    let (of_outer, of_inner) = folds(a, b, form, dims)?;
    let tensor = |fold: Fold| fold.tensor().map_err(|error| AtenError::new(error.to_string()));
    Ok((of_outer.map(tensor).transpose()?, tensor(of_inner)?))
}

/// As [`fold`].
pub(crate) fn folds(
    a: &Tensor,
    b: Option<&Tensor>,
    form: Form,
    dims: (Option<usize>, usize),
) -> Result<(Option<Fold>, Fold), AtenError> {
    if a.device() != Device::Cpu {
        let (of_outer, of_inner) =
            fold_by_operations(a, b, form, dims).map_err(|error| AtenError::new(error.to_string()))?;
        return Ok((of_outer.map(Fold::Device), Fold::Device(of_inner)));
    }
    let (outer, inner) = (dims.0.map_or(-1, |dim| dim as i64), dims.1 as i64);
    let b = b.map_or(ptr::null(), Tensor::as_ptr);
    let shape = a.size();
    let zeros = |dim: usize| vec![0.0; shape[dim] as usize];
    let (mut of_outer, mut of_inner) = (dims.0.map(zeros), zeros(dims.1));
    let to_outer = of_outer.as_mut().map_or(ptr::null_mut(), Vec::as_mut_ptr);
    // SAFETY: the tensors are borrowed through the call, and there are as many numbers as the dimensions have positions.
    check(unsafe { pa_tensor_fold(a.as_ptr(), b, form as i32, outer, inner, to_outer, of_inner.as_mut_ptr()) })?;
    Ok((of_outer.map(Fold::Host), Fold::Host(of_inner)))
}

fn fold_by_operations(
    a: &Tensor,
    b: Option<&Tensor>,
    form: Form,
    (outer, inner): (Option<usize>, usize),
) -> Result<(Option<Tensor>, Tensor), TchError> {
    let a = widened(a)?;
    let b = b.map(widened).transpose()?;
    let by = |a: Tensor| b.as_ref().map_or_else(|| Ok(a.shallow_clone()), |b| a.f_mul(b));
    let terms = match form {
        Form::Abs | Form::Max => a.f_abs()?,
        Form::Square => a.f_square()?,
        Form::Product => by(a)?,
        Form::AbsProduct => by(a)?.f_abs()?,
        Form::SquareBy => by(a.f_square()?)?,
        Form::AbsBy => by(a.f_abs()?)?,
    };
    let of = |dim: usize| {
        let others: Vec<i64> = (0..terms.dim() as i64).filter(|&other| other != dim as i64).collect();
        let folded = match form {
            _ if others.is_empty() => terms.shallow_clone(),
            // There is no greatest of nothing.
            Form::Max if terms.numel() == 0 => Tensor::f_zeros([terms.size()[dim]], (terms.kind(), terms.device()))?,
            Form::Max => terms.f_amax(&others, false)?,
            _ => terms.f_sum_dim_intlist(others.as_slice(), false, None)?,
        };
        folded.f_to_kind(Kind::Double)
    };
    Ok((outer.map(of).transpose()?, of(inner)?))
}

fn describe(tensor: &Tensor) -> Result<PaTensor, AtenError> {
    let mut described = PaTensor::default();
    // SAFETY: the tensor is borrowed through the call.
    check(unsafe { pa_tensor_describe(tensor.as_ptr(), &raw mut described) })?;
    Ok(described)
}
