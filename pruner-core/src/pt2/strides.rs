//! Strides of what is left of a tensor: in the order of memory that it had.

/// The strides of a tensor of `sizes` that is laid out without gaps, its dimensions in the order of memory that `like`
/// gives. A stride of 0 stays one.
pub(super) fn dense(sizes: &[i64], like: &[i64]) -> Vec<i64> {
    let mut strides = vec![0; sizes.len()];
    let mut extent = 1_i64;
    for dim in inner_to_outer(sizes, like) {
        if like[dim] != 0 {
            strides[dim] = extent;
            extent = extent.saturating_mul(sizes[dim].max(1));
        }
    }
    strides
}

/// The strides of a tensor that had `was_sizes` and `was` and has `sizes` now. Gaps, as in a part of a larger tensor,
/// keep their proportion where there is one.
pub(super) fn follow(was_sizes: &[i64], was: &[i64], sizes: &[i64]) -> Vec<i64> {
    if was_sizes == sizes {
        return was.to_vec();
    }
    let mut strides = vec![0; sizes.len()];
    let (mut was_extent, mut extent) = (1_i64, 1_i64);
    for dim in inner_to_outer(was_sizes, was) {
        if was[dim] <= 0 {
            strides[dim] = was[dim];
            continue;
        }
        let scaled = was[dim].saturating_mul(extent);
        strides[dim] = if scaled % was_extent == 0 { scaled / was_extent } else { extent };
        was_extent = was_extent.max(was[dim].saturating_mul(was_sizes[dim].max(1)));
        extent = extent.max(strides[dim].saturating_mul(sizes[dim].max(1)));
    }
    strides
}

/// The dimensions from the one that varies fastest in memory on.
pub(super) fn inner_to_outer(sizes: &[i64], strides: &[i64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sizes.len()).rev().collect();
    // Of equal strides one is of a dimension of size 1, which is inside wherever it stands.
    order.sort_by_key(|&dim| (strides[dim], sizes[dim] != 1));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_tensor_keeps_its_order_of_memory() {
        assert_eq!(follow(&[2, 8, 3, 3], &[72, 9, 3, 1], &[2, 5, 3, 3]), [45, 9, 3, 1]);
        assert_eq!(follow(&[2, 8, 3, 3], &[72, 1, 24, 8], &[2, 5, 3, 3]), [45, 1, 15, 5]);
        assert_eq!(dense(&[2, 5, 3, 3], &[72, 1, 24, 8]), [45, 1, 15, 5]);
    }

    #[test]
    fn a_part_of_a_cut_tensor_keeps_its_proportion() {
        assert_eq!(follow(&[2, 8], &[24, 1], &[2, 4]), [12, 1]);
        assert_eq!(follow(&[2, 3], &[8, 1], &[2, 2]), [2, 1]);
    }

    #[test]
    fn what_is_expanded_stays_so() {
        assert_eq!(follow(&[3, 8], &[0, 1], &[3, 5]), [0, 1]);
        assert_eq!(dense(&[3, 5], &[0, 1]), [0, 1]);
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(dense(&[i64::MAX, i64::MAX], &[8, 1])[1], 1);
        follow(&[i64::MAX, i64::MAX], &[i64::MAX, i64::MAX], &[1, 2]);
    }
}
