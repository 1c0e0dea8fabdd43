//! From the elements of a stored tensor to one number per coordinate, and back ([`spread`]).
//!
//! A *fold* takes a tensor and the dimensions to fold over, such as `|t, dims| t.f_sum_dim_intlist(dims, false, None)`.
//! It is applied twice, first to the slice at each position of the member's dimension and then to the positions of
//! each coordinate, so it must satisfy three laws that sums of any terms, maxima of absolute values and p-norms do:
//! folding parts and then their folds is folding the whole; a single non-negative number, or for sums any, folds to
//! itself; zeros change nothing.
//!
//! Positions are gathered by coordinate before they are folded, not scattered with atomic additions, so that a score
//! is the same to the last bit from run to run on every device.

use tch::{Kind, TchError, Tensor};

use super::{ImportanceError, Weights};
use crate::deps::{Group, Layout, Member};

/// The members of a group that are trained, each with its tensor; buffers and constants are cut but do not count.
pub fn trained<'a>(
    group: &'a dyn Group,
    weights: &'a Weights,
) -> Result<Vec<(&'a Member, &'a Tensor)>, ImportanceError> {
    group.members().iter().filter(|member| member.trained).map(|member| Ok((member, weights.of(member)?))).collect()
}

/// `tensor` folded over all its dimensions but the member's: one number per position, in single precision.
///
/// Elements of less than single precision are widened first.
pub fn per_position(
    member: &Member,
    tensor: &Tensor,
    fold: impl Fn(&Tensor, &[i64]) -> Result<Tensor, TchError>,
) -> Result<Tensor, ImportanceError> {
    let (shape, len) = (tensor.size(), member.layout.len());
    if shape.get(member.dim) != Some(&(len as i64)) {
        return Err(ImportanceError::Shape { name: member.name.to_string(), shape, dim: member.dim, expected: len });
    }
    let wide = widen(member, tensor)?;
    if wide.numel() == 0 {
        return Ok(Tensor::f_zeros([len as i64], (Kind::Float, tensor.device()))?);
    }
    // A vector gets a dimension to fold over: libtorch takes an empty list of dimensions as all of them.
    let wide = if shape.len() == 1 { wide.f_unsqueeze(1)? } else { wide };
    let others: Vec<i64> = (0..wide.dim() as i64).filter(|&dim| dim != member.dim as i64).collect();
    folded(member, &wide, &others, len, fold)
}

/// `positions`, one number per position of the member as [`per_position`] gives, folded to one per coordinate of a group of
/// `size`.
///
/// A coordinate that does not occur in the member gets 0.
pub fn gather(
    member: &Member,
    positions: &Tensor,
    size: usize,
    fold: impl Fn(&Tensor, &[i64]) -> Result<Tensor, TchError>,
) -> Result<Tensor, ImportanceError> {
    let by_coordinate = by_coordinate(&member.name, &member.layout, positions, size, fold)?;
    if by_coordinate.size() != [size as i64] {
        return Err(ImportanceError::Fold {
            name: member.name.to_string(),
            found: by_coordinate.size(),
            expected: size,
        });
    }
    Ok(by_coordinate.f_to_kind(Kind::Float)?)
}

/// `positions`, of shape `[…, layout.len()]`, its last dimension folded to one number per coordinate of a group of `size`:
/// `[…, size]`. `name` is that of what has the layout, for errors.
///
/// A coordinate that does not occur in the layout gets 0.
pub fn by_coordinate(
    name: &str,
    layout: &Layout,
    positions: &Tensor,
    size: usize,
    fold: impl Fn(&Tensor, &[i64]) -> Result<Tensor, TchError>,
) -> Result<Tensor, ImportanceError> {
    let shape = positions.size();
    if shape.last() != Some(&(layout.len() as i64)) {
        let (name, dim) = (name.to_owned(), shape.len().saturating_sub(1));
        return Err(ImportanceError::Shape { name, shape, dim, expected: layout.len() });
    }
    match layout {
        Layout::Identity(len) if *len == size => return Ok(positions.shallow_clone()),
        Layout::Identity(len) => {
            let (name, dim) = (name.to_owned(), shape.len() - 1);
            return Err(ImportanceError::Shape { name, shape: vec![*len as i64], dim, expected: size });
        }
        Layout::Blocks(_) | Layout::Table(_) => {}
    }
    let outer = &shape[..shape.len() - 1];
    // Of concatenations most members are such; a list of places would take longer than the rest of the score.
    if let Some((start, count, inner)) = layout.stretch().filter(|&(_, count, inner)| count == size && inner > 0) {
        let stretch = positions.f_narrow(-1, start as i64, (count * inner) as i64)?;
        if inner == 1 {
            return Ok(stretch);
        }
        let by_coordinate = stretch.f_reshape([outer, &[size as i64, inner as i64]].concat().as_slice())?;
        return Ok(fold(&by_coordinate, &[outer.len() as i64 + 1])?);
    }
    let Places { index, most, padded } = Places::of(name, layout, size)?;
    if most == 0 {
        return Ok(Tensor::f_zeros([outer, &[size as i64]].concat(), (positions.kind(), positions.device()))?);
    }
    let index = to_device(&Tensor::f_from_slice(&index)?, positions.device())?;
    let source = if padded { positions.f_constant_pad_nd([0, 1])? } else { positions.shallow_clone() };
    let gathered =
        source.f_index_select(-1, &index)?.f_view([outer, &[size as i64, most as i64]].concat().as_slice())?;
    Ok(fold(&gathered, &[outer.len() as i64 + 1])?)
}

/// The elements of each coordinate of a group of `size`, a row of `[size, elements]` for each, in at least single precision.
///
/// Rows of coordinates that have fewer positions than others end with zeros.
pub fn rows(member: &Member, tensor: &Tensor, size: usize) -> Result<Tensor, ImportanceError> {
    let (shape, len) = (tensor.size(), member.layout.len());
    if shape.get(member.dim) != Some(&(len as i64)) {
        return Err(ImportanceError::Shape { name: member.name.to_string(), shape, dim: member.dim, expected: len });
    }
    let wide = widen(member, tensor)?.f_movedim_int(member.dim as i64, 0)?;
    let inner: i64 = wide.size()[1..].iter().product();
    if member.layout == Layout::Identity(size) {
        return Ok(wide.f_reshape([size as i64, inner])?);
    }
    let Places { index, most, .. } = Places::of(&member.name, &member.layout, size)?;
    // One position more, of zeros, for coordinates that have too few.
    let source = wide.f_reshape([len as i64, inner])?.f_constant_pad_nd([0, 0, 0, 1])?;
    let index = to_device(&Tensor::f_from_slice(&index)?, tensor.device())?;
    Ok(source.f_index_select(0, &index)?.f_reshape([size as i64, most as i64 * inner])?)
}

/// `numbers`, one per coordinate of a group, at the positions of the member: `[member.layout.len()]`, the inverse of
/// [`gather`] where each coordinate has one position.
///
/// A position that belongs to another group gets 0.
pub fn spread(member: &Member, numbers: &Tensor) -> Result<Tensor, ImportanceError> {
    let (shape, layout) = (numbers.size(), &member.layout);
    let size = match (&shape[..], layout) {
        ([size], Layout::Identity(len)) if *size == *len as i64 => return Ok(numbers.shallow_clone()),
        ([size], Layout::Blocks(_) | Layout::Table(_)) => *size as usize,
        _ => {
            let (name, expected) = (member.name.to_string(), layout.len());
            return Err(ImportanceError::Shape { name, shape, dim: member.dim, expected });
        }
    };
    // One number more, 0, for positions that belong to other groups.
    let mut index = vec![size as i64; layout.len()];
    for (position, coordinate) in layout.places() {
        if coordinate as usize >= size {
            return Err(beyond(&member.name, coordinate, size));
        }
        index[position] = i64::from(coordinate);
    }
    let index = to_device(&Tensor::f_from_slice(&index)?, numbers.device())?;
    Ok(numbers.f_constant_pad_nd([0, 1])?.f_index_select(0, &index)?)
}

/// The positions of each coordinate, as many for each; where one has fewer, the position after the last fills up.
struct Places {
    index: Vec<i64>,
    most: usize,
    padded: bool,
}

impl Places {
    fn of(name: &str, layout: &Layout, size: usize) -> Result<Self, ImportanceError> {
        let mut places: Vec<Vec<i64>> = vec![Vec::new(); size];
        for (position, coordinate) in layout.places() {
            places.get_mut(coordinate as usize).ok_or_else(|| beyond(name, coordinate, size))?.push(position as i64);
        }
        let most = places.iter().map(Vec::len).max().unwrap_or(0);
        let padded = places.iter().any(|places| places.len() < most);
        let filler = std::iter::repeat(layout.len() as i64);
        let index = places.into_iter().flat_map(|places| places.into_iter().chain(filler.clone()).take(most)).collect();
        Ok(Self { index, most, padded })
    }
}

/// Which coordinates of a group of `size` do not occur in the member, as `[size]` truth values on `device`; `None` if all
/// do.
pub fn missing(member: &Member, size: usize, device: tch::Device) -> Result<Option<Tensor>, ImportanceError> {
    let mut missing = vec![true; size];
    for (_, coordinate) in member.layout.places() {
        *missing.get_mut(coordinate as usize).ok_or_else(|| beyond(&member.name, coordinate, size))? = false;
    }
    if missing.contains(&true) { Ok(Some(to_device(&Tensor::f_from_slice(&missing)?, device)?)) } else { Ok(None) }
}

/// The tensor `host` on `device`, without waiting for what the device has yet to do.
pub fn to_device(host: &Tensor, device: tch::Device) -> Result<Tensor, TchError> {
    if device == tch::Device::Cpu {
        Ok(host.shallow_clone())
    } else {
        host.f_to_device_(device, host.f_kind()?, true, false)
    }
}

/// `tensor` in at least single precision.
pub fn widen(member: &Member, tensor: &Tensor) -> Result<Tensor, ImportanceError> {
    match tensor.f_kind()? {
        Kind::Float | Kind::Double => Ok(tensor.shallow_clone()),
        Kind::Half | Kind::BFloat16 => Ok(tensor.f_to_kind(Kind::Float)?),
        kind => Err(ImportanceError::NotFloat { name: member.name.to_string(), kind }),
    }
}

fn folded(
    member: &Member,
    tensor: &Tensor,
    dims: &[i64],
    expected: usize,
    fold: impl Fn(&Tensor, &[i64]) -> Result<Tensor, TchError>,
) -> Result<Tensor, ImportanceError> {
    let folded = fold(tensor, dims)?;
    if folded.size() != [expected as i64] {
        return Err(ImportanceError::Fold { name: member.name.to_string(), found: folded.size(), expected });
    }
    Ok(folded.f_to_kind(Kind::Float)?)
}

fn beyond(name: &str, coordinate: u32, size: usize) -> ImportanceError {
    ImportanceError::Layout { name: name.to_owned(), coordinate, size }
}
