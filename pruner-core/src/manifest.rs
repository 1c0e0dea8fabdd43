//! Manifests: what is left of every dimension that was cut, by the names of tensors, so that the cut can be made again.
//!
//! A [`Plan`] names groups by ids of an analysis. A manifest names tensors and positions, which mean the same to any
//! program: `weight[kept]` of the uncut network is the weight of the cut one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::deps::{Analysis, AxisGroup, Expr, Group, Kept};
use crate::graph::Origin;
use crate::plan::Plan;

/// The form that is written; another is refused.
const VERSION: u32 = 1;

/// What is left of a network after a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the form, 1.
    pub version: u32,
    /// The [hash](Plan::hash) of the plan of everything that was cut, in sixteen hexadecimal digits.
    pub plan_hash: String,
    /// By the name of a parameter or buffer and by dimension, what is left; dimensions that were not cut are left out.
    pub kept: BTreeMap<String, BTreeMap<usize, KeptDim>>,
    /// The parameters and buffers of which other numbers were written than what is left of them: biases that make up for what was cut,
    /// statistics that were measured anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}

/// What is left of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptDim {
    /// The positions before the cut.
    pub size: usize,
    /// Those that are left, ascending.
    pub positions: Vec<u32>,
}

/// Why a manifest does not fit a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The form is another.
    #[error("the manifest has version {found}, and {VERSION} is read; write it again with this version of pruner")]
    Version {
        /// The version.
        found: u32,
    },
    /// The network has no such dimension.
    #[error(
        "the manifest cuts `{name}:{dim}` of size {size}, which the network does not have; was it made for another?"
    )]
    Unknown {
        /// The name of the tensor.
        name: String,
        /// The dimension.
        dim: usize,
        /// Its size.
        size: usize,
    },
    /// Positions are not ascending, or out of range.
    #[error("the positions that the manifest keeps of `{name}:{dim}` are not ascending numbers below {size}")]
    Positions {
        /// The name of the tensor.
        name: String,
        /// The dimension.
        dim: usize,
        /// Its size.
        size: usize,
    },
    /// A group would be left empty.
    #[error("the manifest leaves nothing of {name}")]
    Emptied {
        /// The name of the group.
        name: String,
    },
    /// What is kept is no cut of whole coordinates of the network's groups.
    #[error(
        "what the manifest keeps of `{name}:{dim}` does not follow from what it keeps elsewhere; it was edited, or made for another network"
    )]
    Inconsistent {
        /// The name of the tensor.
        name: String,
        /// The dimension.
        dim: usize,
    },
    /// The cut is another than the one that was written.
    #[error(
        "the plan of the manifest has the hash {found}, and {expected} was written; it was edited, or made for another network"
    )]
    Hash {
        /// That of what is kept.
        found: String,
        /// That in the manifest.
        expected: String,
    },
}

impl Manifest {
    /// What is left of the network that was analysed.
    pub fn new(analysis: &Analysis, kept: &Kept) -> Self {
        let mut all: BTreeMap<String, BTreeMap<usize, KeptDim>> = BTreeMap::new();
        for (name, dim, e) in named_dims(analysis) {
            if let Some(positions) = kept.positions(analysis, e) {
                let size = Kept::all().size(analysis, e);
                all.entry(name.to_owned()).or_default().insert(dim, KeptDim { size, positions });
            }
        }
        Self { version: VERSION, plan_hash: hash_of(analysis, kept), kept: all, changed: Vec::new() }
    }

    /// Sets [`changed`](Self::changed).
    #[must_use]
    pub fn with_changed(self, changed: Vec<String>) -> Self {
        Self { changed, ..self }
    }

    /// What is left of a network of the same structure; the manifest must say it of every dimension.
    pub fn resolve(&self, analysis: &Analysis) -> Result<Kept, ManifestError> {
        if self.version != VERSION {
            return Err(ManifestError::Version { found: self.version });
        }
        self.check_names(analysis)?;
        let mut kept = Kept::all();
        for group in analysis.groups().iter().filter(|group| group.pin().is_none()) {
            let gone = self.gone(group);
            if gone.len() == group.size() {
                return Err(ManifestError::Emptied { name: group.name().to_owned() });
            }
            if !gone.is_empty() {
                kept.remove(analysis, group.id(), &gone);
            }
        }
        for (name, dim, e) in named_dims(analysis) {
            let expected = self.kept_of(name, dim).map(|kept| &kept.positions);
            if kept.positions(analysis, e).as_ref() != expected {
                return Err(ManifestError::Inconsistent { name: name.to_owned(), dim });
            }
        }
        let (found, expected) = (hash_of(analysis, &kept), self.plan_hash.clone());
        if found == expected { Ok(kept) } else { Err(ManifestError::Hash { found, expected }) }
    }

    fn kept_of(&self, name: &str, dim: usize) -> Option<&KeptDim> {
        self.kept.get(name)?.get(&dim)
    }

    /// Every name, dimension and size is one of the network's, and its positions are in order.
    fn check_names(&self, analysis: &Analysis) -> Result<(), ManifestError> {
        let sizes: BTreeMap<_, _> =
            named_dims(analysis).map(|(name, dim, e)| ((name, dim), Kept::all().size(analysis, e))).collect();
        for (name, dims) in &self.kept {
            for (&dim, KeptDim { size, positions }) in dims {
                let (name, size) = (name.clone(), *size);
                if sizes.get(&(name.as_str(), dim)) != Some(&size) {
                    return Err(ManifestError::Unknown { name, dim, size });
                }
                let ascending = positions.is_sorted_by(|a, b| a < b);
                if !ascending || positions.last().is_some_and(|&last| last as usize >= size) {
                    return Err(ManifestError::Positions { name, dim, size });
                }
            }
        }
        Ok(())
    }

    /// The coordinates of a group of which no position is kept anywhere.
    fn gone(&self, group: &AxisGroup) -> Vec<u32> {
        let mut alive = vec![false; group.size()];
        for member in group.members() {
            let kept = self.kept_of(&member.name, member.dim);
            for (position, coordinate) in member.layout.places() {
                let stays = kept.is_none_or(|kept| kept.positions.binary_search(&(position as u32)).is_ok());
                // A constant has no name of its own and follows what has.
                alive[coordinate as usize] |= stays && member.trained;
            }
        }
        (0..).zip(alive).filter_map(|(coordinate, alive)| (!alive).then_some(coordinate)).collect()
    }
}

/// The dimensions of parameters and buffers.
fn named_dims(analysis: &Analysis) -> impl Iterator<Item = (&str, usize, &Expr)> {
    let named =
        analysis.graph().values().filter(|(_, value)| matches!(value.origin, Origin::Parameter | Origin::Buffer));
    named.flat_map(|(id, value)| analysis.dims(id).iter().enumerate().map(|(dim, e)| (value.name.as_str(), dim, e)))
}

fn hash_of(analysis: &Analysis, kept: &Kept) -> String {
    format!("{:016x}", Plan::of_cut(analysis, kept).hash())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn analysis() -> Analysis {
        let text = include_str!("../tests/groups/fused_qkv.graph");
        let graph: Graph = text.split("\n---\n").next().expect("a text has a part").parse().expect("it is a graph");
        Analysis::new(&graph).expect("it is analysed")
    }

    /// What is left when half of every group goes.
    fn halved(analysis: &Analysis) -> Kept {
        let mut kept = Kept::all();
        for group in analysis.groups().iter().filter(|group| group.pin().is_none()) {
            let odd: Vec<u32> = (0..group.size() as u32).filter(|at| at % 2 == 1).collect();
            kept.remove(analysis, group.id(), &odd);
        }
        kept
    }

    #[test]
    fn a_manifest_that_is_read_back_keeps_what_was_kept() {
        let analysis = analysis();
        let kept = halved(&analysis);
        let manifest = Manifest::new(&analysis, &kept);
        let text = serde_json::to_string(&manifest).expect("it is written");
        let read: Manifest = serde_json::from_str(&text).expect("it is read");
        assert_eq!(read, manifest);
        assert_eq!(read.resolve(&analysis).expect("it fits"), kept);
        assert!(read.kept["qkv.weight"][&0].positions.len() < read.kept["qkv.weight"][&0].size);
        assert_eq!(Manifest::new(&analysis, &Kept::all()).resolve(&analysis).expect("it fits"), Kept::all());
    }

    #[track_caller]
    fn check(analysis: &Analysis, manifest: &Manifest, edit: impl Fn(&mut Manifest), expected: &str) {
        let mut edited = manifest.clone();
        edit(&mut edited);
        let message = edited.resolve(analysis).expect_err("it does not fit").to_string();
        assert!(message.contains(expected), "{message}");
    }

    fn dim(manifest: &mut Manifest) -> &mut KeptDim {
        manifest.kept.get_mut("qkv.weight").and_then(|dims| dims.get_mut(&0)).expect("it is there")
    }

    #[test]
    fn a_manifest_that_does_not_fit_is_refused_with_the_place() {
        let analysis = analysis();
        let manifest = Manifest::new(&analysis, &halved(&analysis));
        check(&analysis, &manifest, |m| m.version = 7, "version 7");
        check(&analysis, &manifest, |m| dim(m).size = 7, "`qkv.weight:0` of size 7");
        check(
            &analysis,
            &manifest,
            |m| drop(m.kept.insert("other".to_owned(), m.kept["qkv.weight"].clone())),
            "`other:0`",
        );
        check(&analysis, &manifest, |m| dim(m).positions.reverse(), "not ascending");
        check(&analysis, &manifest, |m| dim(m).positions.push(1 << 20), "below 24");
        check(&analysis, &manifest, |m| _ = dim(m).positions.pop(), "does not follow");
        check(&analysis, &manifest, |m| drop(m.kept.remove("qkv.weight")), "does not follow");
        check(&analysis, &manifest, |m| "0".repeat(16).clone_into(&mut m.plan_hash), "has the hash");
        let empty =
            |m: &mut Manifest| m.kept.values_mut().flat_map(BTreeMap::values_mut).for_each(|d| d.positions.clear());
        check(&analysis, &manifest, empty, "leaves nothing of");
    }
}
