//! Random values for every variable of a network, so that no test passes because a tensor is zero, one or symmetric, and random cuts.

use pruner_core::deps::{Analysis, Group as _, Kept};
use tch::nn;

use crate::rng::Rng;

/// Sets every floating-point variable to random values of a scale that keeps signals alive: weights as for a layer of
/// that fan-in, scales and variances around 1, biases and means around 0.
///
/// A variable's values depend on `seed`, its name and its shape alone.
pub fn randomize(vs: &nn::VarStore, seed: u64) {
    for (name, mut variable) in vs.variables() {
        if !variable.is_floating_point() {
            continue;
        }
        let shape = variable.size();
        let (low, high) = range(&name, &shape);
        let values = Rng::named(seed, &name).tensor(&shape, low, high);
        tch::no_grad(|| variable.copy_(&values));
    }
}

/// A random share of every group that may be cut and is exact, such that no tensor is left without positions.
pub fn random_share(analysis: &Analysis, share: f64, seed: u64) -> Kept {
    let mut kept = Kept::all();
    for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.inexact().is_none()) {
        let mut rng = Rng::new(seed ^ (group.id().index() as u64) << 8);
        let mut order: Vec<u32> = (0..group.size() as u32).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let mut cut = Vec::new();
        for &coordinate in &order[..(group.size() as f64 * share) as usize] {
            cut.push(coordinate);
            let emptied = group
                .members()
                .iter()
                .any(|member| member.layout.coordinates().flatten().all(|coordinate| cut.contains(&coordinate)));
            if emptied {
                cut.pop();
            }
        }
        kept.remove(analysis, group.id(), &cut);
    }
    kept
}

fn range(name: &str, shape: &[i64]) -> (f32, f32) {
    let last = name.rsplit('.').next().unwrap_or(name);
    let fan_in: i64 = shape.iter().skip(1).product();
    match last {
        "running_var" => (0.5, 1.5),
        "weight" if shape.len() == 1 => (0.5, 1.5),
        _ if shape.len() < 2 => (-0.3, 0.3),
        _ if last.contains("weight") && !name.contains("embed") => {
            // Uniform numbers in ±√3·σ have the deviation σ = 1.2 / √fan-in, between what linear layers and ReLU ask for.
            let bound = 1.2 * (3.0 / fan_in as f32).sqrt();
            (-bound, bound)
        }
        // Embeddings, class tokens, positions and bias tables: of the size of an activation.
        _ => (-1.0, 1.0),
    }
}
