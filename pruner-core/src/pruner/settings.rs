//! What a run prunes by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::importance::{self, Importance, Signal, SignalSet};
use crate::plan::{Budget, Limits};
use crate::registry;
use crate::scheduler::Scheduler;

/// What a run prunes by, how far, and in how many steps.
#[derive(Clone, Debug, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The criterion that scores coordinates; the lowest go first.
    #[serde(deserialize_with = "importance::deserialize_importance")]
    pub importance: Box<dyn Importance>,
    /// The part of the target that each step goes to.
    #[serde(deserialize_with = "registry::deserialize_scheduler")]
    pub scheduler: Box<dyn Scheduler>,
    /// The steps of the run, at least 1. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub steps: usize,
    /// How much goes by the end, and what no step goes below. Default: half of every group.
    #[serde(default)]
    pub limits: Limits,
    /// What the network may cost at the end of the run, in place of the target ratio of the limits. Default: none.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// The seed of criteria that draw numbers. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Whether biases make up for the means of what is cut: `W·E[X]` of it is added to the bias of each layer that read it, so that the mean
    /// output of a linear layer stays, and that of a convolution as far as all places of its kernel see the same mean. It needs
    /// `GroupPruner::gather`; layers without a bias of their own go without. Criteria may ask for it too. Default: false. Source: An et al., *FLAP* (arXiv 2312.11983).
    #[serde(default)]
    pub compensate: bool,
    /// The threads of the CPU that `GroupPruner::gather` runs batches with, 0 for as many as libtorch is set to. libtorch's convolutions and
    /// matrix products round otherwise with other numbers of threads, so that of two coordinates that are nearly equal another may go; with a
    /// number given, plans are the same wherever they are made. At most 256. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(max = MAX_THREADS))]
    pub gather_threads: usize,
}

/// libtorch starts as many as it is told, and those beyond the cores of the CPU wait for each other.
pub(super) const MAX_THREADS: usize = 256;

fn one() -> usize {
    1
}

impl Settings {
    /// One step by a criterion and a scheduler, to the default target.
    pub fn new(importance: Box<dyn Importance>, scheduler: Box<dyn Scheduler>) -> Self {
        Self {
            importance,
            scheduler,
            steps: one(),
            limits: Limits::default(),
            budget: None,
            seed: 0,
            compensate: false,
            gather_threads: one(),
        }
    }

    /// Sets [`steps`](Self::steps).
    #[must_use]
    pub fn with_steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets [`budget`](Self::budget).
    #[must_use]
    pub fn with_budget(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// The share by which schedulers tell how far a run goes: the target ratio, or the largest share of the budget.
    pub(super) fn target_ratio(&self) -> f64 {
        self.budget.as_ref().map_or(self.limits.target_ratio, Budget::largest_share)
    }

    /// Sets [`seed`](Self::seed).
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets [`compensate`](Self::compensate).
    #[must_use]
    pub fn with_compensation(self) -> Self {
        Self { compensate: true, ..self }
    }

    /// Sets [`gather_threads`](Self::gather_threads).
    #[must_use]
    pub fn with_gather_threads(self, gather_threads: usize) -> Self {
        Self { gather_threads, ..self }
    }

    pub(super) fn compensates(&self) -> bool {
        self.compensate || self.importance.compensates()
    }

    /// The signals that a step is planned and made with.
    pub fn needs(&self) -> SignalSet {
        let means = if self.compensates() { Signal::Mean.into() } else { SignalSet::empty() };
        self.importance.needs() | means
    }
}
