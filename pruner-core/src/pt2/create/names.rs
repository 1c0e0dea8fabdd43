//! What the values of a graph are called in a program.

use std::collections::{BTreeMap, BTreeSet};

use super::super::error::Pt2Error;
use crate::graph::{Graph, Origin};
use crate::ids::ValueId;

/// The name of every value, each an identifier of its own.
pub(super) struct Names {
    values: Vec<String>,
    /// The names that are given, each with the last number behind it that is given, too.
    taken: BTreeMap<String, usize>,
}

impl Names {
    /// Names all values, if what is stored has names that a module can have.
    pub(super) fn new(graph: &Graph) -> Result<Self, Pt2Error> {
        check_stored(graph)?;
        let mut names = Self { values: Vec::new(), taken: BTreeMap::new() };
        for (_, value) in graph.values() {
            let wish = match value.origin {
                Origin::Parameter => format!("p_{}", value.name),
                Origin::Buffer => format!("b_{}", value.name),
                Origin::Constant => format!("c_{}", value.name),
                Origin::Input if value.name.is_empty() => "input".to_owned(),
                Origin::Input => value.name.clone(),
                Origin::Node { node, .. } => operation(&graph.node(node).op).to_owned(),
            };
            let name = names.free(&wish);
            names.values.push(name);
        }
        Ok(names)
    }

    pub(super) fn value(&self, value: ValueId) -> &str {
        &self.values[value.index()]
    }

    /// A name like `wish` that nothing else has.
    pub(super) fn free(&mut self, wish: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut name: String = wish.chars().map(plain).collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            name.insert(0, '_');
        }
        let Some(&last) = self.taken.get(&name) else {
            self.taken.insert(name.clone(), 0);
            return name;
        };
        // From the last on: a deep network has thousands of nodes of one operation.
        let mut count = last + 1;
        let mut free = format!("{name}_{count}");
        while self.taken.contains_key(&free) {
            count += 1;
            free = format!("{name}_{count}");
        }
        self.taken.insert(name, count);
        self.taken.insert(free.clone(), 0);
        free
    }
}

/// The name of an operation without its namespace.
pub(super) fn operation(op: &str) -> &str {
    op.rsplit("::").next().unwrap_or(op)
}

/// That the names of what is stored are those of attributes of modules, none inside of another.
fn check_stored(graph: &Graph) -> Result<(), Pt2Error> {
    let known: BTreeSet<&str> = graph.stored().map(|(_, value)| value.name.as_str()).collect();
    if let Some(name) = known.iter().find(|name| name.split('.').any(str::is_empty)) {
        return Err(Pt2Error::tensor(name, "its name is no path of attributes, such as `layer.weight`"));
    }
    let inside = |name: &&&str| name.match_indices('.').any(|(at, _)| known.contains(&name[..at]));
    match known.iter().find(inside) {
        Some(name) => Err(Pt2Error::tensor(name, "its name is inside of that of another stored tensor")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_past_those_that_are_given() {
        let mut names = Names { values: Vec::new(), taken: BTreeMap::new() };
        let given = ["relu", "relu_2", "relu", "relu", "relu_2", "relu", "1x", "1x"].map(|wish| names.free(wish));
        assert_eq!(given, ["relu", "relu_2", "relu_1", "relu_3", "relu_2_1", "relu_4", "_1x", "_1x_1"]);
    }
}
