//! Memory that values share: what is written to one of them is written to all.

use crate::ids::{AxisId, ValueId};

/// Values by the memory that they may share, each lot with the variables along which no write to it left anything but
/// zeros.
#[derive(Debug)]
pub(super) struct Memory {
    parent: Vec<ValueId>,
    size: Vec<usize>,
    /// By the leader of a lot; `None` where nothing was written.
    zero: Vec<Option<Vec<AxisId>>>,
}

impl Memory {
    /// As many values, each with memory of its own.
    pub(super) fn new(values: usize) -> Self {
        let parent = (0..values).map(ValueId::new).collect();
        Self { parent, size: vec![1; values], zero: vec![None; values] }
    }

    fn leader(&self, mut value: ValueId) -> usize {
        while self.parent[value.index()] != value {
            value = self.parent[value.index()];
        }
        value.index()
    }

    /// Says that two values may have the same memory.
    pub(super) fn share(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.leader(a), self.leader(b));
        if a == b {
            return;
        }
        let (large, small) = if self.size[a] >= self.size[b] { (a, b) } else { (b, a) };
        self.parent[small] = ValueId::new(large);
        self.size[large] += self.size[small];
        if let Some(zero) = self.zero[small].take() {
            self.restrict(large, &zero);
        }
    }

    /// Says that what was written to the memory of a value is zero along `zero`, ascending, and no other variable.
    pub(super) fn write(&mut self, value: ValueId, zero: &[AxisId]) {
        let leader = self.leader(value);
        self.restrict(leader, zero);
    }

    fn restrict(&mut self, leader: usize, zero: &[AxisId]) {
        match &mut self.zero[leader] {
            Some(all) => all.retain(|axis| zero.binary_search(axis).is_ok()),
            none => *none = Some(zero.to_vec()),
        }
    }

    /// Whether no write to the memory of a value put anything but zeros along a variable.
    pub(super) fn keeps(&self, value: ValueId, axis: AxisId) -> bool {
        self.zero[self.leader(value)].as_ref().is_none_or(|zero| zero.binary_search(&axis).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_one_value_is_written_to_all_that_share_its_memory() {
        let [a, b, c, d] = [0, 1, 2, 3].map(ValueId::new);
        let [x, y] = [0, 1].map(AxisId::new);
        let mut memory = Memory::new(4);
        memory.share(a, b);
        memory.write(b, &[x, y]);
        memory.write(c, &[y]);
        assert!(memory.keeps(a, x) && memory.keeps(d, x) && !memory.keeps(c, x));
        memory.share(c, a);
        assert!(!memory.keeps(b, x) && memory.keeps(b, y) && memory.keeps(d, x));
    }
}
