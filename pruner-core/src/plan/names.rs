//! Names and globs of groups: their own, by parameter or layer, by one side of it, by role, by id.

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
        let mut found: Vec<_> = groups.iter().filter(|group| *group.name() == *text || name.matches(**group)).collect();
        // A layer may be called as a group is by its id, and is then meant.
        if found.is_empty() {
            found.extend(groups.iter().filter(|group| group.id().to_string() == *text));
        }
        if found.is_empty() {
            return Err(unmatched(groups, list, text));
        }
        for group in found {
            named.entry(group.id()).or_insert_with(|| text.clone());
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

/// Why a name is that of nothing, with the names that could be meant.
fn unmatched(groups: &[&dyn Group], list: &'static str, text: &str) -> LimitsError {
    let roles = || groups.iter().map(|group| format!("@{}", group.role())).collect::<BTreeSet<_>>();
    let places = places(groups, text);
    let (sought, nearest, known) = if text.starts_with('@') {
        ("group by its role", nearest(roles(), text), roles().into_iter().collect())
    } else if places.is_empty() {
        let names = names(groups).into_iter().chain(roles());
        let own = groups.iter().map(|group| group.name().to_owned()).collect();
        ("parameter that has an axis in a group", nearest(names, text), own)
    } else {
        ("side or dimension of what is before its colon", None, places)
    };
    LimitsError::Unmatched { list, pattern: text.to_owned(), sought, nearest, known }
}

/// The sides, and then the dimensions, that there are of what a text names before its last colon.
fn places(groups: &[&dyn Group], text: &str) -> Vec<String> {
    let Some((name, pattern)) = text.rsplit_once(':').and_then(|(name, _)| Some((name, Pattern::new(name).ok()?)))
    else {
        return Vec::new();
    };
    let members = groups.iter().flat_map(|group| group.members());
    let named: Vec<_> = members.filter(|member| layers(&member.name).any(|layer| pattern.matches(layer))).collect();
    let sides: BTreeSet<_> = named.iter().map(|member| format!("{name}:{}", Place::of(member.side))).collect();
    let dims: BTreeSet<_> = named.iter().map(|member| format!("{name}:{}", member.dim)).collect();
    sides.into_iter().chain(dims).collect()
}

/// Every name of a group, of a parameter, of a layer and of a side of these.
fn names(groups: &[&dyn Group]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = groups.iter().map(|group| group.name().to_owned()).collect();
    for member in groups.iter().flat_map(|group| group.members()) {
        names.insert(format!("{}:{}", member.name, member.dim));
        for layer in layers(&member.name) {
            names.insert(layer.to_owned());
            names.insert(format!("{layer}:{}", Place::of(member.side)));
        }
    }
    names
}

/// The most similar of some names, of equally similar ones the first; `None` where none is similar.
fn nearest(names: impl IntoIterator<Item = String>, text: &str) -> Option<String> {
    const SIMILAR: f64 = 0.6;
    let text = text.to_lowercase();
    let similarity = |name: &str| strsim::normalized_damerau_levenshtein(&text, &name.to_lowercase());
    let similar =
        names.into_iter().map(|name| (similarity(&name), name)).filter(|(similarity, _)| *similarity >= SIMILAR);
    similar.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}
