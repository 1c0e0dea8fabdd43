//! Which recorded operations are constants in disguise.

use crate::aten::Operator;

/// Factories whose elements are positions. Their sizes never follow a cut, since what they count is not cut.
const COORDINATES: &[&str] = &[
    "aten::arange",
    "aten::blackman_window",
    "aten::eye",
    "aten::hamming_window",
    "aten::hann_window",
    "aten::linspace",
    "aten::logspace",
    "aten::range",
    "aten::scalar_tensor",
    "aten::tril_indices",
    "aten::triu_indices",
];

/// Operations whose arguments are sizes of another tensor's axes: folded, they could not follow those.
const SIZED: &[&str] = &[
    "aten::broadcast_to",
    "aten::empty_like",
    "aten::expand",
    "aten::expand_as",
    "aten::full_like",
    "aten::new_empty",
    "aten::new_empty_strided",
    "aten::new_full",
    "aten::new_ones",
    "aten::new_zeros",
    "aten::ones_like",
    "aten::repeat",
    "aten::repeat_interleave",
    "aten::tile",
    "aten::zeros_like",
];

/// Whether an operation gives a constant when all tensors it reads are constants.
pub(super) fn is_foldable(name: &str, operator: &Operator) -> bool {
    if operator.is_random() || operator.mutates() {
        return false;
    }
    if operator.is_factory() { COORDINATES.contains(&name) } else { !SIZED.contains(&name) }
}
