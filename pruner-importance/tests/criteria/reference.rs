//! The criteria against loops over single elements, on random groups.

use pruner_core::deps::Layout;
use pruner_core::importance::{Importance, Signal};
use pruner_importance::{Grasp, Hessian, Magnitude, Norm, Normalizer, Reduction, Snip, SynFlow, Taylor, Terms};
use tch::{Device, Kind, Tensor};

use crate::support::{Case, close, table};

/// A random number below `below`, the same in every run.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    pub(crate) fn layout(&mut self, size: usize) -> Layout {
        let (repeat, size_u32) = (1 + self.below(3), size as u32);
        match self.below(5) {
            0 => Layout::Identity(size),
            1 => Layout::Identity(size).repeated(1, repeat),
            2 => Layout::Identity(size).repeated(repeat, 1),
            3 => {
                // Beside another group, before and after.
                let (before, behind) = (self.below(4), self.below(4));
                Layout::Identity(size).placed(before, before + size + behind)
            }
            _ => {
                // At random: some coordinates several times, some not at all.
                let len = 1 + self.below(2 * size);
                table(
                    &(0..len)
                        .map(|_| Some(self.below(size + 1) as u32).filter(|&at| at < size_u32))
                        .collect::<Vec<_>>(),
                )
            }
        }
    }

    pub(crate) fn case(&mut self) -> Case {
        let size = 1 + self.below(6);
        let mut case = Case::new(size);
        for _ in 0..=self.below(4) {
            let (rank, layout) = (1 + self.below(4), self.layout(size));
            let dim = self.below(rank);
            let shape: Vec<i64> =
                (0..rank).map(|at| if at == dim { layout.len() as i64 } else { 1 + self.below(4) as i64 }).collect();
            case = case.weight(Tensor::randn(shape, (Kind::Float, Device::Cpu)), dim, layout);
        }
        case.random_gradients()
    }
}

/// The weights of a slice, each with its gradient.
type Slice = Vec<(f64, f64)>;

/// The slice of each member and coordinate; `None` where the coordinate does not occur.
fn elements(case: &Case) -> Vec<Vec<Option<Slice>>> {
    case.group
        .members
        .iter()
        .zip(&case.tensors)
        .map(|(member, tensor)| {
            let mut slices = vec![None; case.group.coordinates.len()];
            for (position, coordinate) in member.layout.coordinates().enumerate() {
                let Some(coordinate) = coordinate else { continue };
                let slice = |tensor: &Tensor| {
                    let slice = tensor.detach().select(member.dim as i64, position as i64).to_kind(Kind::Double);
                    Vec::<f64>::try_from(slice.reshape([-1])).expect("a vector of numbers")
                };
                let pairs = slice(tensor).into_iter().zip(slice(&tensor.grad()));
                slices[coordinate as usize].get_or_insert_with(Vec::new).extend(pairs);
            }
            slices
        })
        .collect()
}

fn expected(case: &Case, reduction: Reduction, score: impl Fn(&[(f64, f64)]) -> f64) -> Vec<f32> {
    let elements = elements(case);
    (0..case.group.coordinates.len())
        .map(|coordinate| {
            let slices: Vec<_> = elements.iter().filter_map(|member| member[coordinate].as_ref()).collect();
            let scores: Vec<f64> = slices.iter().map(|slice| score(slice)).collect();
            let whole: Vec<_> = slices.into_iter().flatten().copied().collect();
            (match reduction {
                Reduction::None => score(&whole),
                Reduction::Sum => scores.iter().sum(),
                Reduction::Mean => scores.iter().sum::<f64>() / scores.len().max(1) as f64,
                Reduction::Max => scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                Reduction::First => scores.first().copied().unwrap_or(0.0),
                Reduction::Prod => scores.iter().product(),
            }) as f32
        })
        .collect()
}

/// A coordinate that occurs in no member breaks the contract of a group; the empty product is then 1 or 0, the greatest of none −∞ or 0.
fn comparable(case: &Case, reduction: Reduction) -> bool {
    let elements = elements(case);
    let occurs = |coordinate: usize| elements.iter().any(|member| member[coordinate].is_some());
    !matches!(reduction, Reduction::Prod | Reduction::Max) || (0..case.group.coordinates.len()).all(occurs)
}

const REDUCTIONS: [Reduction; 6] =
    [Reduction::None, Reduction::Sum, Reduction::Mean, Reduction::Max, Reduction::Prod, Reduction::First];

#[test]
fn magnitude_is_what_a_loop_over_elements_gives() {
    tch::manual_seed(1);
    let mut draw = Draw(1);
    for _ in 0..200 {
        let case = draw.case();
        for reduction in REDUCTIONS.into_iter().filter(|&reduction| comparable(&case, reduction)) {
            for p in [Norm::One, Norm::Two, Norm::Max] {
                let norm = |slice: &[(f64, f64)]| {
                    let sizes = slice.iter().map(|(weight, _)| weight.abs());
                    match p {
                        Norm::One => sizes.sum(),
                        Norm::Two => sizes.map(|size| size * size).sum::<f64>().sqrt(),
                        Norm::Max => sizes.fold(0.0, f64::max),
                    }
                };
                let importance = Magnitude { p, reduction, normalizer: Normalizer::None };
                close(&case.scores(&importance), &expected(&case, reduction, norm));
            }
        }
    }
}

#[test]
fn taylor_is_what_a_loop_over_elements_gives() {
    tch::manual_seed(2);
    let mut draw = Draw(2);
    for _ in 0..200 {
        let case = draw.case();
        for reduction in REDUCTIONS.into_iter().filter(|&reduction| comparable(&case, reduction)) {
            for terms in [Terms::Signed, Terms::PerWeight] {
                let change = |slice: &[(f64, f64)]| match terms {
                    Terms::Signed => slice.iter().map(|(w, g)| w * g).sum::<f64>().powi(2),
                    Terms::PerWeight => slice.iter().map(|(w, g)| (w * g).abs()).sum(),
                };
                let importance = Taylor { terms, reduction, normalizer: Normalizer::None };
                close(&case.scores(&importance), &expected(&case, reduction, change));
            }
        }
    }
}

#[test]
fn the_criteria_of_other_signals_of_weights_are_what_a_loop_over_elements_gives() {
    tch::manual_seed(3);
    let mut draw = Draw(3);
    for _ in 0..100 {
        let case = draw.case();
        // What is drawn as gradients serves as each of the signals.
        let numbers: Vec<Tensor> = case.tensors.iter().map(Tensor::grad).collect();
        let squares: Vec<Tensor> = numbers.iter().map(Tensor::square).collect();
        let numbers: Vec<_> = numbers.iter().map(Some).collect();
        let signals = [Signal::Gradients, Signal::HessianGradients, Signal::SynapticFlow];
        let case = signals.into_iter().fold(case, |case, signal| case.signal(signal, &numbers));
        let case = case.signal(Signal::SquaredGradients, &squares.iter().map(Some).collect::<Vec<_>>());
        for reduction in REDUCTIONS.into_iter().filter(|&reduction| comparable(&case, reduction)) {
            let sum = |slice: &[(f64, f64)], term: fn(f64, f64) -> f64| -> f64 {
                slice.iter().map(|&(weight, number)| term(weight, number)).sum()
            };
            let check = |importance: &dyn Importance, finish: f64, term: fn(f64, f64) -> f64| {
                close(&case.scores(importance), &expected(&case, reduction, |slice| finish * sum(slice, term)));
            };
            check(&Snip::default().with_reduction(reduction), 1.0, |w, g| (w * g).abs());
            check(&Hessian::default().with_reduction(reduction), 0.5, |w, g| (w * g).powi(2));
            check(&Grasp::default().with_reduction(reduction), 1.0, |w, h| w * h);
            check(&SynFlow::default().with_reduction(reduction), 1.0, |w, r| w.abs() * r);
        }
    }
}
