//! Names and globs of what is left alone.

use std::collections::{BTreeMap, BTreeSet};

use glob::Pattern;

use super::LimitsError;
use crate::deps::Group;
use crate::ids::GroupId;

/// The groups that `patterns` name, each with the first pattern that does.
pub(super) fn ignored(groups: &[&dyn Group], patterns: &[String]) -> Result<BTreeMap<GroupId, String>, LimitsError> {
    let mut ignored = BTreeMap::new();
    for text in patterns {
        let named = Named::new(text)?;
        let mut matched = false;
        for group in groups {
            if group.members().iter().any(|member| named.matches(&member.name, member.dim)) {
                matched = true;
                ignored.entry(group.id()).or_insert_with(|| text.clone());
            }
        }
        if !matched {
            return Err(LimitsError::IgnoreUnmatched { pattern: text.clone(), nearest: nearest(groups, text) });
        }
    }
    Ok(ignored)
}

struct Named {
    name: Pattern,
    dim: Option<usize>,
}

impl Named {
    fn new(text: &str) -> Result<Self, LimitsError> {
        let side = text.rsplit_once(':').and_then(|(name, dim)| Some((name, dim.parse().ok()?)));
        let (name, dim) = side.map_or((text, None), |(name, dim)| (name, Some(dim)));
        let name = Pattern::new(name)
            .map_err(|error| LimitsError::IgnoreGlob { pattern: text.to_owned(), problem: error.msg.to_owned() })?;
        Ok(Self { name, dim })
    }

    /// Whether it names the parameter or a layer above it.
    fn matches(&self, name: &str, dim: usize) -> bool {
        self.dim.is_none_or(|wanted| wanted == dim) && layers(name).any(|name| self.name.matches(name))
    }
}

/// The name, and those of the layers that it is in.
fn layers(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(layer, _)| layer))
}

/// The most similar name or side of a member or layer, when one is similar.
fn nearest(groups: &[&dyn Group], text: &str) -> Option<String> {
    const SIMILAR: f64 = 0.6;
    let mut names = BTreeSet::new();
    for member in groups.iter().flat_map(|group| group.members()) {
        names.extend(layers(&member.name).map(str::to_owned));
        names.insert(format!("{}:{}", member.name, member.dim));
    }
    names
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(text, &name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        // Of equally similar names the first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name)
}
