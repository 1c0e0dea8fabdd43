//! Nodes that no network has: whatever their arguments, a rule or an error comes of them.

use super::testing::{Op, op};
use super::{rule, table};
use crate::graph::Argument;

/// The arguments that functions of the table read.
const ARGUMENTS: &[&str] = &[
    "accumulate",
    "attn_mask",
    "axis0",
    "axis1",
    "batch_first",
    "batch_sizes",
    "bias",
    "bidirectional",
    "data",
    "destination",
    "dim",
    "dim0",
    "dim1",
    "dim2",
    "dimension",
    "dims",
    "dims_other",
    "dims_self",
    "downscale_factor",
    "enable_gqa",
    "end",
    "equation",
    "g",
    "group",
    "groups",
    "has_biases",
    "hx",
    "index",
    "indexing",
    "indices",
    "input",
    "is_causal",
    "keepdim",
    "kernel_size",
    "key",
    "length",
    "mask",
    "mode",
    "normalized_shape",
    "num_groups",
    "num_layers",
    "offsets",
    "other",
    "output_size",
    "pad",
    "padding",
    "params",
    "query",
    "repeats",
    "scale",
    "self",
    "shape",
    "size",
    "sizes",
    "source",
    "split_sizes",
    "src",
    "start",
    "step",
    "tensors",
    "transposed",
    "upscale_factor",
    "v",
    "value",
    "values",
    "weight",
    "x1",
    "x2",
];

/// A linear congruential generator: the same nodes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn ints(&mut self) -> Vec<i64> {
        let sizes: &[i64] =
            if self.below(9) == 0 { &[0, 1, 2, 6, i64::MAX, -1, i64::MIN] } else { &[0, 1, 2, 3, 4, 6] };
        (0..self.below(5)).map(|_| self.pick(sizes)).collect()
    }

    fn argument(&mut self, node: Op, name: &str, kinds: u64) -> Op {
        match self.below(kinds) {
            0 | 1 => node.t(name, self.ints()),
            2 => {
                let shapes: Vec<Vec<i64>> = (0..self.below(4)).map(|_| self.ints()).collect();
                let shapes: Vec<&[i64]> = shapes.iter().map(Vec::as_slice).collect();
                if self.below(3) == 0 { node.masks(name, &shapes) } else { node.ts(name, &shapes) }
            }
            3 => node.arg(name, self.pick(&[0, 1, 2, 3, -1, -2, i64::MAX, i64::MIN])),
            4 => node.arg(name, Argument::Ints(self.ints())),
            5 => node.arg(name, self.below(2) == 0),
            6 => node.s(name, self.pick(&["ab,bc", "a...->a", "a,a", "constant", "reflect", "xy", "..a."])),
            _ => node,
        }
    }
}

#[test]
fn no_node_makes_a_rule_panic() {
    let mut random = Random(1);
    let mut rules = 0;
    for (name, _) in table::OPS {
        for _ in 0..300 {
            // Few arguments at times, so that plain operations get the tensors that they take.
            let kinds = random.pick(&[7, 12, 60, 200]);
            let mut node = op(name);
            for argument in ARGUMENTS {
                node = random.argument(node, argument, kinds);
            }
            for _ in 0..random.below(4) {
                node = node.gives(random.ints());
            }
            let (graph, node) = node.graph();
            rules += usize::from(matches!(rule(&graph, node), Ok(Some(_))));
        }
    }
    assert!(rules > 1000, "only {rules} nodes were good enough for a rule");
}
