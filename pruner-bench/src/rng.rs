//! A seeded generator that gives the same numbers on every machine, whatever else runs in the process.
//!
//! libtorch's generator is one for the whole process, so that two tests at a time would draw from each other's
//! numbers. This is SplitMix64 (Steele, Lea and Flood 2014).

use tch::Tensor;

/// A stream of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of `seed` that belongs to `name`, so that what one name draws does not move another's numbers.
    pub fn named(seed: u64, name: &str) -> Self {
        Self(Self(seed).next_u64() ^ fnv(name.as_bytes()))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[low, high)`, uniformly.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        // The 24 upper bits are what a single-precision number in [0, 1) holds.
        let unit = (self.next_u64() >> 40) as f32 / (1_u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// A whole number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift; the bias is below bound / 2^64.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// The numbers `0..len` in a random order.
    pub fn permutation(&mut self, len: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..len as i64).collect();
        for last in (1..len).rev() {
            order.swap(last, self.below(last as u64 + 1) as usize);
        }
        order
    }

    /// A tensor of this shape with elements in `[low, high)`, uniformly.
    pub fn tensor(&mut self, shape: &[i64], low: f32, high: f32) -> Tensor {
        let len = shape.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..len).map(|_| self.uniform(low, high)).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// A tensor of this shape with whole numbers below `bound`.
    pub fn indices(&mut self, shape: &[i64], bound: u64) -> Tensor {
        let len = shape.iter().product::<i64>() as usize;
        let values: Vec<i64> = (0..len).map(|_| self.below(bound) as i64).collect();
        Tensor::from_slice(&values).reshape(shape)
    }
}

/// FNV-1a; the standard library's hasher may change from one release to the next.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_holds_every_number_once_and_depends_on_the_seed() {
        let order = Rng::new(7).permutation(1000);
        assert_eq!(order, Rng::new(7).permutation(1000));
        assert_ne!(order, Rng::new(8).permutation(1000));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
        assert_eq!(Rng::new(7).permutation(0), Vec::<i64>::new());
    }

    #[test]
    fn uniform_numbers_fill_their_range() {
        let mut rng = Rng::named(1, "x");
        let values: Vec<f32> = (0..10_000).map(|_| rng.uniform(-2.0, 1.0)).collect();
        assert!(values.iter().all(|value| (-2.0..1.0).contains(value)));
        let mean = values.iter().sum::<f32>() / 10_000.0;
        assert!((mean + 0.5).abs() < 0.05, "mean {mean}");
    }
}
