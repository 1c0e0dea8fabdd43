//! What criteria see: the tensors of a network, and the signals gathered from it.

use std::cell::{OnceCell, Ref, RefCell};
use std::collections::BTreeMap;

use tch::Tensor;

use super::slices::by_coordinate;
use super::{Activation, ImportanceError, Signal, Signals};
use crate::aten::{self, Fold, Form};
use crate::deps::{Counts, Group, Layout, Member};
use crate::ids::ValueId;

/// The stored tensors of a network, with their gradients and with the signals that were gathered, as criteria see them: outside
/// of the autograd graph.
///
/// It shares storage with the network and copies nothing. The weights do not change while it is there.
#[derive(Debug, Default)]
pub struct Weights {
    seed: u64,
    tensors: BTreeMap<ValueId, Stored>,
    any_gradient: bool,
    signals: Signals,
    /// What was folded so far, by form, signal, parameter and dimension.
    folds: RefCell<BTreeMap<Folded, Fold>>,
}

/// What is folded: the form, the signal, the parameter and the dimension that stays.
type Folded = (Form, Option<Signal>, ValueId, usize);

#[derive(Debug)]
struct Stored {
    variable: Tensor,
    /// The variable outside of the autograd graph, once it was asked for.
    data: OnceCell<Tensor>,
    gradient: Option<Tensor>,
}

impl Weights {
    /// No tensors, and the seed of criteria that draw random numbers.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Sets the signals.
    #[must_use]
    pub fn with_signals(self, signals: Signals) -> Self {
        Self { signals, ..self }
    }

    /// Adds the tensor of `value`, with the gradient that it has.
    pub fn insert(&mut self, value: ValueId, tensor: &Tensor) -> Result<(), ImportanceError> {
        let gradient = match aten::grad(tensor)?.filter(|_| tensor.requires_grad()) {
            Some(gradient) if gradient.is_sparse() => Some(gradient.f_detach()?.f_to_dense(None, false)?),
            Some(gradient) => Some(gradient.f_detach()?),
            None => None,
        };
        if let Some(gradient) = gradient.as_ref().filter(|gradient| gradient.size() != tensor.size()) {
            let (gradient, shape) = (gradient.size(), tensor.size());
            return Err(ImportanceError::GradientShape { value, gradient, shape });
        }
        self.any_gradient |= gradient.is_some();
        self.folds.borrow_mut().retain(|(_, _, of, _), _| *of != value);
        let variable = tensor.shallow_clone();
        self.tensors.insert(value, Stored { variable, data: OnceCell::new(), gradient });
        Ok(())
    }

    /// The seed of criteria that draw random numbers.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The tensor of `value`.
    pub fn get(&self, value: ValueId) -> Option<&Tensor> {
        let stored = self.tensors.get(&value)?;
        if stored.data.get().is_none() {
            _ = stored.data.set(aten::data(&stored.variable).ok()?);
        }
        stored.data.get()
    }

    /// The tensor of a member.
    pub fn of(&self, member: &Member) -> Result<&Tensor, ImportanceError> {
        self.get(member.value).ok_or_else(|| ImportanceError::NoTensor { name: member.name.to_string() })
    }

    /// The gradient of a member, gathered or else as `backward` left it; `None` if the loss does not depend on it or it is frozen.
    ///
    /// # Errors
    ///
    /// [`ImportanceError::NoGradients`] if none was gathered and no tensor has a gradient: then `backward` was not called.
    pub fn gradient_of(&self, member: &Member) -> Result<Option<&Tensor>, ImportanceError> {
        if self.signals.gathered().contains(Signal::Gradients) {
            return self.signal_of(member, Signal::Gradients);
        }
        let stored = self.stored(member)?;
        if self.any_gradient { Ok(stored.gradient.as_ref()) } else { Err(ImportanceError::NoGradients) }
    }

    /// A signal of weights for a member, of its shape; `None` if nothing depends on it or it is frozen.
    pub fn signal_of(&self, member: &Member, signal: Signal) -> Result<Option<&Tensor>, ImportanceError> {
        let expected = self.stored(member)?.variable.size();
        let numbers = self.gathered(signal)?.weight(signal, member.value);
        fits(signal, &member.name, numbers, &expected)?;
        Ok(numbers)
    }

    /// The activations of a group, each with `signal` among its statistics; empty where no layer sums over it.
    pub fn activations_of(&self, group: &dyn Group, signal: Signal) -> Result<&[Activation], ImportanceError> {
        let activations = self.gathered(signal)?.activations(group.id());
        for activation in activations {
            let numbers = activation.statistics.get(&signal).ok_or(ImportanceError::NotGathered { signal })?;
            fits(signal, group.name(), Some(numbers), &[activation.layout.len() as i64])?;
            if activation.layout.places().any(|(_, coordinate)| coordinate as usize >= group.size()) {
                let (found, expected) = (numbers.size(), vec![group.size() as i64]);
                return Err(ImportanceError::Stale { signal, name: group.name().to_owned(), found, expected });
            }
        }
        Ok(activations)
    }

    /// A signal of the gates of a group, of shape `[size]`; `None` where no layer sums over it.
    pub fn gate_of(&self, group: &dyn Group, signal: Signal) -> Result<Option<&Tensor>, ImportanceError> {
        let numbers = self.gathered(signal)?.gate(signal, group.id());
        fits(signal, group.name(), numbers, &[group.size() as i64])?;
        Ok(numbers)
    }

    /// What the network costs less once a coordinate of the group is gone.
    pub fn cost_of(&self, group: &dyn Group) -> Result<Counts, ImportanceError> {
        let signal = Signal::Costs;
        self.gathered(signal)?.cost(group.id()).ok_or(ImportanceError::NotGathered { signal })
    }

    /// The bytes that the activations of the network take less once a coordinate of the group is gone.
    pub fn memory_of(&self, group: &dyn Group) -> Result<u64, ImportanceError> {
        let signal = Signal::Memory;
        self.gathered(signal)?.memory(group.id()).ok_or(ImportanceError::NotGathered { signal })
    }

    /// The elements of a member's tensor, and with [`Form::reads_other`] those of a signal at the same places, folded to one number per position:
    /// in double precision. `None` if nothing depends on the member or it is frozen.
    ///
    /// A tensor is read once for its first two dimensions, however many groups it is a member of.
    pub fn fold(&self, member: &Member, form: Form, signal: Option<Signal>) -> Result<Option<Tensor>, ImportanceError> {
        Ok(self.folded(member, form, signal)?.map(|fold| fold.tensor()).transpose()?)
    }

    /// As [`fold`](Self::fold), the slices of a coordinate in all of `members` folded to one number: `size` of them, the size of the group.
    /// `None` if there is no such member.
    ///
    /// A coordinate that does not occur in any gets 0.
    pub fn fold_together(
        &self,
        members: &[&Member],
        size: usize,
        form: Form,
        signal: Option<Signal>,
    ) -> Result<Option<Fold>, ImportanceError> {
        let (mut host, mut folds): (Option<Vec<f64>>, Vec<Tensor>) = (None, Vec::new());
        let again = |folds: &Tensor, dims: &[i64]| form.fold_again(folds, dims);
        for member in members {
            match self.folded(member, form, signal)?.as_deref() {
                Some(Fold::Host(positions)) => {
                    add(member, positions, form, host.get_or_insert_with(|| vec![0.0; size]))?;
                }
                Some(Fold::Device(positions)) => {
                    folds.push(by_coordinate(&member.name, &member.layout, positions, size, again)?);
                }
                None => {}
            }
        }
        if folds.is_empty() {
            return Ok(host.map(Fold::Host));
        }
        folds.extend(host.map(|fold| Tensor::f_from_slice(&fold)).transpose()?);
        let fold = match folds.len() {
            1 => folds.swap_remove(0),
            _ => again(&Tensor::f_stack(&folds, 1)?, &[1])?,
        };
        Ok(Some(Fold::Device(fold)))
    }

    fn folded(
        &self,
        member: &Member,
        form: Form,
        signal: Option<Signal>,
    ) -> Result<Option<Ref<'_, Fold>>, ImportanceError> {
        let tensor = &self.stored(member)?.variable;
        let (shape, dim, expected) = (tensor.size(), member.dim, member.layout.len());
        if shape.get(dim) != Some(&(expected as i64)) {
            return Err(ImportanceError::Shape { name: member.name.to_string(), shape, dim, expected });
        }
        let key = |dim| (form, signal, member.value, dim);
        let known = || Ref::filter_map(self.folds.borrow(), |folds| folds.get(&key(dim))).ok();
        if let Some(known) = known() {
            return Ok(Some(known));
        }
        let other = match signal {
            Some(Signal::Gradients) => self.gradient_of(member)?,
            Some(signal) => self.signal_of(member, signal)?,
            None => None,
        };
        if other.is_none() && signal.is_some() {
            return Ok(None);
        }
        if let Some(whole) = [Some(tensor), other].into_iter().flatten().find(|tensor| !tensor.is_floating_point()) {
            return Err(ImportanceError::NotFloat { name: member.name.to_string(), kind: whole.f_kind()? });
        }
        let (outer, inner) = if dim < 2 && shape.len() > 1 { (Some(0), 1) } else { (None, dim) };
        let (of_outer, of_inner) = aten::folds(tensor, other, form, (outer, inner))?;
        let of_dims = outer.zip(of_outer).into_iter().chain([(inner, of_inner)]);
        self.folds.borrow_mut().extend(of_dims.map(|(dim, of)| (key(dim), of)));
        Ok(known())
    }

    fn stored(&self, member: &Member) -> Result<&Stored, ImportanceError> {
        self.tensors.get(&member.value).ok_or_else(|| ImportanceError::NoTensor { name: member.name.to_string() })
    }

    fn gathered(&self, signal: Signal) -> Result<&Signals, ImportanceError> {
        if self.signals.gathered().contains(signal) {
            Ok(&self.signals)
        } else {
            Err(ImportanceError::NotGathered { signal })
        }
    }
}

/// Folds one number per position of a member into `folds`, one per coordinate.
fn add(member: &Member, positions: &[f64], form: Form, folds: &mut [f64]) -> Result<(), ImportanceError> {
    let size = folds.len();
    if let Layout::Identity(len) = member.layout
        && len == size
    {
        folds.iter_mut().zip(positions).for_each(|(fold, &position)| *fold = form.fold_both(*fold, position));
        return Ok(());
    }
    let mut beyond = None;
    member.layout.places().for_each(|(position, coordinate)| match folds.get_mut(coordinate as usize) {
        Some(fold) => *fold = form.fold_both(*fold, positions[position]),
        None => beyond = Some(coordinate),
    });
    beyond.map_or(Ok(()), |coordinate| Err(ImportanceError::Layout { name: member.name.to_string(), coordinate, size }))
}

fn fits(signal: Signal, name: &str, numbers: Option<&Tensor>, expected: &[i64]) -> Result<(), ImportanceError> {
    match numbers.map(Tensor::size) {
        Some(found) if found != expected => {
            Err(ImportanceError::Stale { signal, name: name.to_owned(), found, expected: expected.to_vec() })
        }
        _ => Ok(()),
    }
}
