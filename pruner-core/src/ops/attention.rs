//! Attention.

use super::error::RuleError;
use super::node::NodeView;
use super::notation::pattern;
use super::rule::{Mark, Rewrite, Rule};
use crate::graph::Argument;

/// `scaled_dot_product_attention`: heads are broadcast like other batches, or shared by groups of queries
/// (`enable_gqa`). The default scale depends on the size of a head, so it is written down before that changes.
pub(super) fn scaled_dot_product(node: &NodeView) -> Result<Rule, RuleError> {
    let (query, key, value) = (node.shape("query")?, node.shape("key")?, node.shape("value")?);
    let heads = |shape: &[i64]| shape.len().checked_sub(3).map(|dim| shape[dim]);
    let mask = node.optional_shape("attn_mask").map(<[i64]>::len);
    let shared = node.bool_or("enable_gqa", false)? && heads(query) != heads(key);
    if shared && heads(key) != heads(value) {
        return Err(node.unsupported("keys and values of different numbers of heads"));
    }
    let pattern = match (shared, mask) {
        (false, _) => {
            pattern!("... l d, ... !s d, ... s e, ... l s -> ... l e {macs=((... l s d)+(... l s e))}")
        }
        (true, Some(2)) => pattern!(
            "... (h r) l d, ... h !s d, ... h s e, l s -> ... (h r) l e {macs=((... h r l s d)+(... h r l s e))}"
        ),
        (true, _) => pattern!(
            "... (h r) l d, ... h !s d, ... h s e, ... (h r) l s -> ... (h r) l e {macs=((... h r l s d)+(... h r l s e))}"
        ),
    };
    let mut rule = pattern.instantiate(node, &[])?;
    let named = |rule: &Rule, name| rule.factors.iter().position(|factor| factor.name == name);
    // A causal mask compares positions.
    if let (true, Some(l)) = (node.bool_or("is_causal", false)?, named(&rule, "l")) {
        rule.factors[l].mark = Mark::Pinned;
    }
    if let (true, Some(d)) = (node.is_none("scale"), named(&rule, "d")) {
        let scale = 1.0 / (rule.factors[d].size.max(1) as f64).sqrt();
        rule.rewrites.push(Rewrite::Value {
            when: super::Term::Factor(d),
            argument: "scale".to_owned(),
            value: Argument::Float(scale),
        });
    }
    Ok(rule)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::ops::testing::{Op, op};

    /// What the test that every row is checked runs once more.
    pub(in crate::ops) const CHECKS: &[fn()] =
        &[heads_are_batches_and_the_scale_is_kept, a_mask_is_broadcast, queries_share_heads_in_groups];

    fn attention(query: &[i64], key: &[i64]) -> Op {
        op("aten::scaled_dot_product_attention").t("query", query).t("key", key).t("value", key)
    }

    #[test]
    fn heads_are_batches_and_the_scale_is_kept() {
        attention(&[2, 3, 5, 16], &[2, 3, 7, 16]).none("attn_mask").none("scale").gives([2, 3, 5, 16]).is(
            "d0 d1 l d, d0 d1 !s d, d0 d1 s e -> d0 d1 l e {scale=Float(0.25); macs=((d0 d1 l s d)+(d0 d1 l s e))}",
        );
        attention(&[5, 16], &[7, 16])
            .none("attn_mask")
            .arg("scale", 0.1)
            .gives([5, 16])
            .is("l d, !s d, s e -> l e {macs=((l s d)+(l s e))}");
        attention(&[2, 3, 5, 16], &[2, 3, 5, 16])
            .none("attn_mask")
            .arg("is_causal", true)
            .gives([2, 3, 5, 16])
            .is("d0 d1 !l d, d0 d1 !s d, d0 d1 s e -> d0 d1 l e");
    }

    #[test]
    fn a_mask_is_broadcast() {
        let masked = |mask: &[i64]| attention(&[2, 3, 5, 16], &[2, 3, 7, 16]).t("attn_mask", mask).gives([2, 3, 5, 16]);
        masked(&[5, 7]).is("d0 d1 l d, d0 d1 !s d, d0 d1 s e, l s -> d0 d1 l e");
        masked(&[2, 1, 1, 7]).is("d0 d1 l d, d0 d1 !s d, d0 d1 s e, d0 1 1 s -> d0 d1 l e");
        masked(&[3, 5, 7]).is("d0 d1 l d, d0 d1 !s d, d0 d1 s e, d1 l s -> d0 d1 l e");
    }

    #[test]
    fn queries_share_heads_in_groups() {
        let shared = || attention(&[2, 6, 5, 16], &[2, 3, 7, 16]).arg("enable_gqa", true).gives([2, 6, 5, 16]);
        shared().is("d0 (h r) l d, d0 h !s d, d0 h s e -> d0 (h r) l e");
        shared().t("attn_mask", [5, 7]).is("d0 (h r) l d, d0 h !s d, d0 h s e, l s -> d0 (h r) l e");
        shared().t("attn_mask", [6, 5, 7]).is("d0 (h r) l d, d0 h !s d, d0 h s e, (h r) l s -> d0 (h r) l e");
        shared().t("attn_mask", [2, 1, 5, 7]).is("d0 (h r) l d, d0 h !s d, d0 h s e, d0 1 l s -> d0 (h r) l e");
        attention(&[2, 3, 5, 16], &[2, 3, 7, 16])
            .arg("enable_gqa", true)
            .gives([2, 3, 5, 16])
            .is("d0 d1 l d, d0 d1 !s d, d0 d1 s e -> d0 d1 l e");
    }
}
