//! Names and globs of groups: their own, by parameter or layer, by one side of it, by role.

use std::collections::{BTreeMap, BTreeSet};

use glob::Pattern;

use super::LimitsError;
use crate::deps::{Group, Member, Side};
use crate::ids::GroupId;

/// The groups that the patterns of a list name, each with the first pattern that does.
pub(super) fn named(
    groups: &[&dyn Group],
    list: &'static str,
    patterns: &[String],
) -> Result<BTreeMap<GroupId, String>, LimitsError> {
    let mut named = BTreeMap::new();
    for text in patterns {
        let name = Name::new(list, text)?;
        let mut matched = false;
        let is_named = |group: &&&dyn Group| *group.name() == *text || name.matches(**group);
        for group in groups.iter().filter(is_named) {
            matched = true;
            named.entry(group.id()).or_insert_with(|| text.clone());
        }
        if !matched {
            let nearest = nearest(groups, text);
            return Err(LimitsError::Unmatched { list, pattern: text.clone(), nearest });
        }
    }
    Ok(named)
}

/// A name as it is written.
enum Name {
    /// `@heads`.
    Role(String),
    /// `conv1`, `conv1.weight:0`, `*.attn.*:in`.
    Member(Pattern, Option<Place>),
}

/// Which dimensions of what is named.
#[derive(Clone, Copy)]
enum Place {
    Dim(usize),
    In,
    Out,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "in" => Some(Self::In),
            "out" => Some(Self::Out),
            _ => text.parse().ok().map(Self::Dim),
        }
    }

    /// How the side that a dimension is on is written.
    fn of(side: Side) -> &'static str {
        match side {
            Side::Input => "in",
            Side::Output | Side::PerCoordinate => "out",
        }
    }

    fn has(self, member: &Member) -> bool {
        match self {
            Self::Dim(dim) => member.dim == dim,
            Self::In => member.side == Side::Input,
            Self::Out => member.side != Side::Input,
        }
    }
}

impl Name {
    fn new(list: &'static str, text: &str) -> Result<Self, LimitsError> {
        if let Some(role) = text.strip_prefix('@') {
            return Ok(Self::Role(role.to_owned()));
        }
        let placed = text.rsplit_once(':').and_then(|(name, place)| Some((name, Place::parse(place)?)));
        let (name, place) = placed.map_or((text, None), |(name, place)| (name, Some(place)));
        let name = Pattern::new(name).map_err(|error| {
            let problem = error.msg.to_owned();
            LimitsError::Glob { list, pattern: text.to_owned(), problem }
        })?;
        Ok(Self::Member(name, place))
    }

    /// Whether it names the group by its role, or a member of it or a layer above one.
    fn matches(&self, group: &dyn Group) -> bool {
        match self {
            Self::Role(role) => group.role().to_string() == *role,
            Self::Member(name, place) => group.members().iter().any(|member| {
                place.is_none_or(|place| place.has(member)) && layers(&member.name).any(|layer| name.matches(layer))
            }),
        }
    }
}

/// The name, and those of the layers that it is in.
fn layers(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.rsplit_once('.').map(|(layer, _)| layer))
}

/// The most similar name of something that is there, when one is similar.
fn nearest(groups: &[&dyn Group], text: &str) -> Option<String> {
    const SIMILAR: f64 = 0.6;
    let mut names: BTreeSet<String> = groups.iter().map(|group| format!("@{}", group.role())).collect();
    names.extend(groups.iter().map(|group| group.name().to_owned()));
    for member in groups.iter().flat_map(|group| group.members()) {
        names.insert(format!("{}:{}", member.name, member.dim));
        for layer in layers(&member.name) {
            names.insert(layer.to_owned());
            names.insert(format!("{layer}:{}", Place::of(member.side)));
        }
    }
    names
        .into_iter()
        // What is sought as a role is no layer.
        .filter(|name| name.starts_with('@') || !text.starts_with('@'))
        .map(|name| (strsim::normalized_damerau_levenshtein(text, &name), name))
        .filter(|(similarity, name)| *similarity >= SIMILAR || name.eq_ignore_ascii_case(text))
        // Of equally similar names the first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| name)
}
