//! Tensors: what is known of them, variables whose shape changes, slices in one pass.
#![allow(unsafe_code, reason = "libtorch is spoken to here, beside tch")]

use std::ptr::{self, NonNull};

use tch::{Device, Kind, TchError, Tensor};

use super::ffi::{
    PaTensor, check, pa_tensor_data, pa_tensor_describe, pa_tensor_exchange, pa_tensor_fold, pa_tensor_gather,
    pa_tensor_grad, pa_tensor_of_bytes, pa_tensor_set_grad,
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

/// A tensor on the CPU of its own with the elements of these bytes, laid out by `strides`, which count elements. It reaches to the
/// end of the bytes.
pub(crate) fn of_bytes(bytes: &[u8], dtype: Dtype, shape: &[i64], strides: &[i64]) -> Result<Tensor, AtenError> {
    if shape.len() != strides.len() {
        return Err(AtenError::new(format!("{} strides of a tensor of shape {shape:?}", strides.len())));
    }
    let mut out = ptr::null_mut();
    // SAFETY: the bytes, sizes and strides are borrowed through the call and as long as said; the tensor that comes is new and ours.
    unsafe {
        let (code, ndim) = (dtype.code() as i32, shape.len());
        let bytes_at = bytes.as_ptr().cast();
        check(pa_tensor_of_bytes(bytes_at, bytes.len(), code, shape.as_ptr(), strides.as_ptr(), ndim, &raw mut out))?;
        Ok(Tensor::from_ptr(out))
    }
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
    exchange(variable, &mut data.shallow_clone(), &mut grad.map(Tensor::shallow_clone))
}

/// As [`replace`]; `data` and `grad` are then what the variable had before.
pub(crate) fn exchange(variable: &Tensor, data: &mut Tensor, grad: &mut Option<Tensor>) -> Result<(), AtenError> {
    let given = grad.as_ref().map_or(ptr::null(), Tensor::as_ptr);
    let mut before = ptr::null_mut();
    // SAFETY: the tensors are borrowed through the call; that the variable changes under its other handles is the point. The tensor
    // that comes is new and ours.
    unsafe {
        check(pa_tensor_exchange(variable.as_ptr().cast_mut(), data.as_mut_ptr(), given, &raw mut before))?;
        *grad = NonNull::new(before).map(|grad| Tensor::from_ptr(grad.as_ptr()));
    }
    Ok(())
}

/// The data of a variable as a tensor outside of the autograd graph that shares its memory.
pub(crate) fn data(variable: &Tensor) -> Result<Tensor, AtenError> {
    let mut data = ptr::null_mut();
    // SAFETY: the tensor is borrowed through the call; the one that comes is new and ours.
    unsafe {
        check(pa_tensor_data(variable.as_ptr(), &raw mut data))?;
        Ok(Tensor::from_ptr(data))
    }
}

/// The gradient that a variable has.
pub(crate) fn grad(variable: &Tensor) -> Result<Option<Tensor>, AtenError> {
    let mut grad = ptr::null_mut();
    // SAFETY: the tensor is borrowed through the call; the one that comes is new and ours.
    unsafe {
        check(pa_tensor_grad(variable.as_ptr(), &raw mut grad))?;
        Ok(NonNull::new(grad).map(|grad| Tensor::from_ptr(grad.as_ptr())))
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

/// One number per position of a dimension, or per coordinate of a group, in double precision.
#[derive(Debug)]
pub enum Fold {
    /// Of tensors on the CPU: in memory.
    Host(Vec<f64>),
    /// Of others: on their device.
    Device(Tensor),
}

impl Fold {
    /// The numbers as a tensor.
    pub fn tensor(&self) -> Result<Tensor, TchError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
        numbers.into_iter().flat_map(f32::to_ne_bytes).collect()
    }

    #[test]
    fn a_tensor_of_bytes_is_laid_out_by_its_strides() {
        let six = bytes((0..6_u8).map(f32::from));
        let tensor = of_bytes(&six, Dtype::F32, &[3, 2], &[1, 3]).expect("a tensor");
        assert_eq!(tensor.stride(), [1, 3]);
        assert_eq!(tensor, Tensor::from_slice2(&[[0.0_f32, 3.0], [1.0, 4.0], [2.0, 5.0]]));
        let repeated = of_bytes(&six[..4], Dtype::F32, &[4], &[0]).expect("a tensor");
        assert_eq!(repeated, Tensor::zeros([4], (Kind::Float, Device::Cpu)));
        let first = of_bytes(&six, Dtype::F32, &[2], &[1]).expect("a tensor");
        assert_eq!(first.as_strided([6], [1], 0).size(), [6], "what is behind it is there");
        let number = of_bytes(&six[20..], Dtype::F32, &[], &[]).expect("a tensor");
        assert_eq!(number, Tensor::from(5.0_f32));
        for shape in [[0, 5], [5, 0]] {
            assert_eq!(of_bytes(&[], Dtype::I64, &shape, &[5, 1]).expect("a tensor").size(), shape);
        }
    }

    #[test]
    fn a_large_tensor_of_bytes_is_what_they_say() {
        let numbers = || (0..3_u32 << 20).map(|number| (number % 4099) as f32);
        let tensor = of_bytes(&bytes(numbers()), Dtype::F32, &[3 << 20], &[1]).expect("a tensor");
        assert!(Vec::<f32>::try_from(&tensor).expect("numbers").into_iter().eq(numbers()));
        let halves = gather_slices(&tensor.view([2, -1]), &[Some(&[1]), None]).expect("slices");
        assert!(halves.equal(&tensor.view([2, -1]).narrow(0, 1, 1)));
    }

    #[test]
    fn bytes_that_are_too_few_are_an_error() {
        let says = |shape: &[i64], strides: &[i64], what: &str| {
            let error = of_bytes(&[0; 24], Dtype::F32, shape, strides).expect_err("no tensor").to_string();
            assert!(error.contains(what), "{error}");
        };
        says(&[3, 3], &[3, 1], "need more elements than the 6 that are there");
        says(&[2, 2], &[i64::MAX, i64::MAX], "need more elements than the 6");
        says(&[i64::MAX, 2], &[4, 1], "need more elements than the 6");
        says(&[-1], &[1], "are no tensor's");
        says(&[2], &[-1], "are no tensor's");
        says(&[2], &[1, 1], "2 strides of a tensor of shape [2]");
    }
}
