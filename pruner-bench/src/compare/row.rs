//! What is measured on a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that was measured, with the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Where and how.
    pub about: About,
    /// A row for every model, in the order of the list.
    pub rows: Vec<Row>,
}

/// Where and how it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The model of the CPU.
    pub cpu: String,
    /// Its cores.
    pub cores: usize,
    /// Whether `pruner` was built with debug assertions, as by cargo's profile `dev`.
    pub debug_assertions: bool,
    /// The threads of each side.
    pub threads: i32,
    /// The seconds that Torch-Pruning may take for one model.
    pub limit_s: u64,
    /// The versions of what is run.
    pub versions: BTreeMap<String, String>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name in torchvision.
    pub model: String,
    /// Its parameters.
    pub params: u64,
    /// Its multiply-accumulates for one image.
    pub macs: u64,
    /// What `pruner` did.
    pub own: Own,
    /// What Torch-Pruning did, measured by turns.
    pub peer: Peer,
}

/// The times of all rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(pub Vec<f64>);

impl Times {
    /// Without the first round, which warms up, unless there is no other.
    pub fn settled(&self) -> &[f64] {
        match self.0.as_slice() {
            [_, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        }
    }

    /// The median of the rounds.
    pub fn median(&self) -> Option<f64> {
        median(self.settled().to_vec())
    }

    /// How many times as long as the other it takes: the median of the ratios of each round.
    pub fn over(&self, other: &Self) -> Option<f64> {
        median(self.settled().iter().zip(other.settled()).map(|(own, other)| own / other).collect())
    }
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let (lower, upper) = (numbers.get(numbers.len().saturating_sub(1) / 2)?, numbers.get(numbers.len() / 2)?);
    Some(f64::midpoint(*lower, *upper))
}

/// What `pruner` did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// The groups that may be cut.
    pub groups: usize,
    /// From the file to the graph.
    pub read_ms: Times,
    /// From the graph to the groups.
    pub groups_ms: Times,
    /// One step.
    pub step_ms: Times,
    /// Of it, the scores.
    pub score_ms: Times,
    /// Of it, the plan.
    pub plan_ms: Times,
    /// Of it, the slices.
    pub apply_ms: Times,
    /// All weights read once, and those that are kept written once.
    pub copy_ms: Times,
    /// The same by operators of libtorch, tensor by tensor.
    #[serde(default)]
    pub tensor_copy_ms: Times,
    /// The bytes of all weights.
    pub bytes: u64,
    /// Those that are kept.
    pub bytes_kept: u64,
    /// The memory that the step took beside the network, at most.
    pub grown_bytes: u64,
    /// The parameters that are left.
    pub params_left: u64,
    /// The multiply-accumulates that are left.
    pub macs_left: u64,
}

/// What Torch-Pruning did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// The groups that may be cut.
    pub groups: Option<usize>,
    /// From the model to the groups.
    pub groups_ms: Times,
    /// A forward pass, as it makes one to find its graph.
    pub forward_ms: Times,
    /// One step.
    pub step_ms: Times,
    /// The memory that the step took beside the network, at most.
    pub grown_bytes: Option<u64>,
    /// The parameters that are left.
    pub params_left: Option<u64>,
    /// The multiply-accumulates that are left, where what is left can be exported.
    pub macs_left: Option<u64>,
    /// What failed, and why.
    pub failures: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_does_not_count_unless_it_is_alone() {
        assert_eq!(Times(vec![9.0, 1.0, 4.0, 2.0]).median(), Some(2.0));
        assert_eq!(Times(vec![9.0, 1.0, 2.0]).median(), Some(1.5));
        assert_eq!(Times(vec![9.0]).median(), Some(9.0));
        assert_eq!(Times::default().median(), None);
    }

    #[test]
    fn a_ratio_is_the_median_of_those_of_the_rounds() {
        let (slow, fast) = (Times(vec![9.0, 10.0, 30.0, 80.0]), Times(vec![9.0, 1.0, 10.0, 20.0]));
        assert_eq!(slow.over(&fast), Some(4.0));
        assert_eq!(Times(vec![8.0]).over(&fast), Some(8.0));
        assert_eq!(Times::default().over(&fast), None);
    }
}
