//! The criteria that are compared, by name.

use pruner_core::importance::Importance;
use pruner_importance::{
    Activations, BnScale, CostAware, Flap, Fpgm, Grasp, GroupFisher, Hessian, Lamp, Magnitude, Mix, Norm, Random, Snip,
    SynFlow, Taylor, TaylorGate, Terms, Wanda,
};

/// What makes a criterion.
type Make = fn() -> Box<dyn Importance>;

/// A criterion with its default settings.
#[derive(Clone, Copy, Debug)]
pub struct Criterion {
    /// Its name on the page and in options.
    pub name: &'static str,
    /// Whether Torch-Pruning has a counterpart, which goes by the same name here.
    pub has_peer: bool,
    make: Make,
}

impl Criterion {
    /// Every criterion, the baseline first.
    pub const ALL: [Self; 19] = [
        with_peer(RANDOM, || Box::new(Random::default())),
        with_peer("magnitude", || Box::new(Magnitude::default())),
        with_peer("magnitude-l1", || Box::new(Magnitude { p: Norm::One, ..Magnitude::default() })),
        with_peer("bn-scale", || Box::new(BnScale::default())),
        with_peer("lamp", || Box::new(Lamp::default())),
        with_peer("fpgm", || Box::new(Fpgm::default())),
        with_peer("taylor", || Box::new(Taylor::default())),
        own("taylor-per-weight", || Box::new(Taylor::default().with_terms(Terms::PerWeight))),
        with_peer("hessian", || Box::new(Hessian::default())),
        own("taylor-gate", || Box::new(TaylorGate::default())),
        own("group-fisher", || Box::new(GroupFisher::default())),
        own("snip", || Box::new(Snip::default())),
        own("synflow", || Box::new(SynFlow::default())),
        own("grasp", || Box::new(Grasp::default())),
        own("wanda", || Box::new(Wanda::default())),
        own("flap", || Box::new(Flap::default())),
        own("activation", || Box::new(Activations::default())),
        own("mix", || Box::new(Mix::default())),
        own("cost-aware", || Box::new(CostAware::default())),
    ];

    /// The criterion of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|criterion| criterion.name == name)
    }

    /// The criterion itself.
    pub fn importance(self) -> Box<dyn Importance> {
        (self.make)()
    }
}

/// The baseline.
pub(super) const RANDOM: &str = "random";

const fn own(name: &'static str, make: Make) -> Criterion {
    Criterion { name, has_peer: false, make }
}

const fn with_peer(name: &'static str, make: Make) -> Criterion {
    Criterion { name, has_peer: true, make }
}

/// Reads the name of a criterion, as an option gives it.
pub(super) fn parse(name: &str) -> Result<Criterion, String> {
    Criterion::named(name).ok_or_else(|| {
        let names: Vec<&str> = Criterion::ALL.iter().map(|criterion| criterion.name).collect();
        format!("`{name}` is no criterion of this table; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_criterion_of_the_library_is_compared() {
        let compared: BTreeSet<&str> = Criterion::ALL.iter().map(|each| each.importance().typetag_name()).collect();
        let listed = pruner_core::registry::importances();
        let listed: BTreeSet<&str> = listed.iter().map(|entry| entry.name).collect();
        assert_eq!(compared, listed);
    }
}
