//! What can be wrong with a rule or with the node that it is asked for.

/// Why a node has no rule although its operation has a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A rule is not written in the notation.
    #[error("rule `{text}`: {problem} at column {column}")]
    Syntax {
        /// The rule as it is written.
        text: String,
        /// The place, counted from 1.
        column: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A factor is marked in two ways.
    #[error("rule `{text}`: factor `{factor}` is marked both `!` and `~`")]
    Marks {
        /// The rule as it is written.
        text: String,
        /// The factor.
        factor: String,
    },
    /// An operation has two rows.
    #[error("operation `{op}` has two rules; remove the one registered last")]
    Duplicate {
        /// The operation.
        op: String,
    },
    /// A node lacks an argument, or has it in another type.
    #[error("{node}: argument `{argument}` is not {expected}")]
    Argument {
        /// The node.
        node: String,
        /// The argument.
        argument: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A dimension that an argument names does not exist.
    #[error("{node}: argument `{argument}` names dimension {dim} of a tensor of rank {rank}")]
    Dim {
        /// The node.
        node: String,
        /// The argument.
        argument: String,
        /// The dimension as the node has it.
        dim: i64,
        /// The rank of the tensor that is meant.
        rank: usize,
    },
    /// A node has more tensors, or fewer, than its rule.
    #[error("{node}: has {found} tensor {what}, where its rule has {expected}")]
    Count {
        /// The node.
        node: String,
        /// Arguments or results.
        what: &'static str,
        /// The number in the rule.
        expected: usize,
        /// The number at the node.
        found: usize,
    },
    /// A tensor has not the rank that the rule gives it.
    #[error("{node}: {tensor} has rank {found}, where its rule has {expected}")]
    Rank {
        /// The node.
        node: String,
        /// The argument or result.
        tensor: String,
        /// The rank in the rule.
        expected: usize,
        /// The rank at the node.
        found: usize,
    },
    /// A dimension has not the size that the rule gives it.
    #[error("{node}: dimension {dim} of {tensor} has size {found}, where `{term}` has {expected}")]
    Size {
        /// The node.
        node: String,
        /// The argument or result.
        tensor: String,
        /// The dimension.
        dim: usize,
        /// The dimension in the rule.
        term: String,
        /// The size in the rule.
        expected: i64,
        /// The size at the node.
        found: i64,
    },
    /// The shapes do not say how large a factor is.
    #[error("{node}: the size of factor `{factor}` cannot be told from the shapes")]
    Unsolved {
        /// The node.
        node: String,
        /// The factor.
        factor: String,
    },
    /// The shapes at a node are none that its operation takes and makes.
    #[error("{node}: {what}")]
    Impossible {
        /// The node.
        node: String,
        /// What cannot be.
        what: String,
    },
    /// A form of the operation that its row does not cover.
    #[error("{node}: no rule for {what}")]
    Unsupported {
        /// The node.
        node: String,
        /// The form.
        what: String,
    },
}
