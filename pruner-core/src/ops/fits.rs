//! Whether a rule fits nodes of other sizes.
//!
//! What a pattern gives depends on which tensors a node has, on their ranks, and on which dimensions have one position,
//! since those may be broadcast. Where all of that is the same, only the sizes of factors differ.

use super::node::NodeView;
use super::rule::{Rule, Term};

impl Rule {
    /// Whether the pattern that gave this rule to one node gives it to another, but for the sizes of factors. `given` is the
    /// size of a factor that shapes do not tell the pattern.
    pub(crate) fn fits(&self, node: &NodeView, given: Option<(&str, i64)>) -> bool {
        // The size of each factor, 0 until it is known.
        let mut sizes = vec![0; self.factors.len()];
        let told = self.all_dims(node, &mut |term, size| {
            let same = size > 0 && (size == 1) == (self.size(term) == 1);
            match term {
                Term::Factor(factor) => {
                    let known = &mut sizes[*factor];
                    *known = if *known == 0 { size } else { *known };
                    same && *known == size && self.factors[*factor].size > 0
                }
                Term::Product(_) | Term::Sum(_) => same,
                Term::Index(..) => false,
            }
        });
        let mut factors = self.factors.iter().zip(&mut sizes);
        told && factors.all(|(factor, size)| {
            // Factors of size 1 are left out of products.
            *size = if *size == 0 && factor.size == 1 { 1 } else { *size };
            *size > 0 && given.is_none_or(|(name, given)| factor.name != name || *size == given)
        }) && self.all_dims(node, &mut |term, size| term.size(&|factor| sizes[factor]) == size)
    }

    /// Whether a node has the tensors that the rule speaks of, each of the rank that it says, and `holds` is true of every
    /// term and the size of its dimension.
    fn all_dims(&self, node: &NodeView, holds: &mut impl FnMut(&Term, i64) -> bool) -> bool {
        let mut tensor = |terms: Option<&[Term]>, shape: Option<&[i64]>| match (terms, shape) {
            (Some(terms), Some(shape)) => {
                terms.len() == shape.len() && terms.iter().zip(shape).all(|(term, &size)| holds(term, size))
            }
            (terms, shape) => terms.is_none() && shape.is_none(),
        };
        self.operands.len() == node.slots().len()
            && self.results.len() == node.results().len()
            && self.operands.iter().enumerate().all(|(slot, terms)| tensor(terms.as_deref(), node.operand(slot)))
            && self.results.iter().zip(node.results()).all(|(terms, shape)| tensor(Some(terms), Some(shape)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ops::testing::{Op, op};
    use crate::ops::{NodeView, Source, rule, source};

    /// A convolution, well formed or not, and a sum that broadcasts or cannot be.
    fn nodes() -> impl Strategy<Value = Op> {
        let size = || 1_i64..4;
        let conv = (size(), size(), size(), size(), size(), size()).prop_map(|(n, g, i, o, k, groups)| {
            op("aten::conv2d")
                .t("input", [n, g * i, 5, 5])
                .t("weight", [g * o, i, k, 3])
                .t("bias", [g * o])
                .arg("groups", groups)
                .gives([n, g * o, 5, k])
        });
        let shape = || prop::collection::vec(size(), 0..4);
        let sum = (shape(), shape()).prop_map(|(left, right)| {
            let (long, short) = if left.len() < right.len() { (&right, &left) } else { (&left, &right) };
            let mut result = long.clone();
            let behind = long.len() - short.len();
            result[behind..].iter_mut().zip(short).for_each(|(size, other)| *size = (*size).max(*other));
            op("aten::add").t("self", &left).t("other", &right).gives(&result)
        });
        prop_oneof![conv, sum]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn a_rule_that_fits_another_node_is_that_of_it_but_for_sizes(a in nodes(), b in nodes()) {
            let ((graph_a, a), (graph_b, b)) = (a.graph(), b.graph());
            let (view_a, view_b) = (NodeView::new(&graph_a, a), NodeView::new(&graph_b, b));
            let (Ok(Some(Source::Pattern(of_a))), Ok(Some(Source::Pattern(of_b)))) = (source(&view_a), source(&view_b))
            else { panic!("both have patterns") };
            if let Ok(Some(mut found)) = rule(&graph_a, a)
                && std::ptr::eq(of_a.pattern, of_b.pattern)
                && found.fits(&view_b, of_b.size)
            {
                let expected = of_b.rule(&view_b).expect("a rule fits it");
                for (factor, expected) in found.factors.iter_mut().zip(&expected.factors) {
                    factor.size = expected.size;
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_convolution_has_the_form_of_one_with_other_channels() {
        let conv = |channels: i64, kernel: i64, groups: i64| {
            let node =
                op("aten::conv2d").t("input", [2, channels, 8, 8]).t("weight", [6, channels / groups, kernel, kernel]);
            node.none("bias").arg("groups", groups).gives([2, 6, 4, 4]).graph()
        };
        let (graph, node) = conv(4, 3, 1);
        let found = rule(&graph, node).expect("it is well formed").expect("it has a row");
        let fits = |channels, kernel, groups| {
            let (graph, node) = conv(channels, kernel, groups);
            found.fits(&NodeView::new(&graph, node), Some(("g", groups)))
        };
        assert!(fits(4, 3, 1) && fits(8, 5, 1));
        assert!(!fits(4, 1, 1) && !fits(1, 3, 1) && !fits(0, 3, 1));
    }
}
