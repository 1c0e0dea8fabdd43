//! What a cut changes in the text of a program: sizes and strides, arguments, operations.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::arguments;
use super::codes::{KEYWORD, POSITIONAL};
use super::cut::Cut;
use super::edits::Edits;
use super::error::Pt2Error;
use super::nodes::target;
use super::read::Program;
use super::sites::{ArgumentSite, MetaSite, NodeSite, SizeSite};
use super::strides;
use crate::graph::{Argument, Graph, Node};
use crate::ids::ValueId;

/// The program `text` as it is after a cut, of which `left` is the rewritten graph.
pub(super) fn program(program: &Program, text: &str, left: &Graph, cut: &Cut, train: bool) -> Result<String, Pt2Error> {
    let mut patch = Patch { program, text, edits: Edits::default(), symbols: HashMap::new() };
    for site in &program.sites.metas {
        patch.meta(site, left, cut)?;
    }
    let nodes = program.graph.nodes().zip(left.nodes()).zip(&program.sites.nodes);
    for (((_, was), (_, is)), site) in nodes {
        if let Some(site) = site {
            patch.node(site, was, is)?;
        }
    }
    if train {
        for switch in &program.sites.switches {
            patch.edits.replace(switch.place.clone(), json!({ "as_bool": true }).to_string());
        }
    }
    Ok(patch.edits.apply(text))
}

/// Writes new sizes and strides of a tensor where they stand.
pub(super) fn sizes(edits: &mut Edits, sites: &[SizeSite], sizes: &[i64]) -> Result<(), i64> {
    for (site, &size) in sites.iter().zip(sizes) {
        if site.size.hint() != Some(size) {
            edits.replace(site.place.clone(), site.size.resized(size).ok_or(size)?.json());
        }
    }
    Ok(())
}

struct Patch<'a> {
    program: &'a Program,
    text: &'a str,
    edits: Edits,
    /// The names of sizes that were worked out anew: by scope, name, and the size that it is where the other is its hint.
    symbols: HashMap<(usize, String, i64), String>,
}

impl Patch<'_> {
    fn meta(&mut self, site: &MetaSite, left: &Graph, cut: &Cut) -> Result<(), Pt2Error> {
        let (was, is) = (self.program.graph.shape(site.value), left.shape(site.value));
        if was == is {
            return Ok(());
        }
        let value = &self.program.graph.value(site.value).name;
        let symbolic = |size| Pt2Error::program(format!("value `{value}`"), format!("its size cannot become {size}"));
        sizes(&mut self.edits, &site.sizes, is).map_err(symbolic)?;
        if let Some(tensor) = cut.tensor(site.value) {
            sizes(&mut self.edits, &site.strides, &tensor.strides).map_err(symbolic)?;
            return sizes(&mut self.edits, std::slice::from_ref(&site.offset), &[0]).map_err(symbolic);
        }
        let hints: Option<Vec<i64>> = site.strides.iter().map(|stride| stride.size.hint()).collect();
        if let Some(hints) = hints {
            // A stride tells nothing that loading relies on: one that cannot be expressed stays.
            for (stride, new) in site.strides.iter().zip(strides::follow(was, &hints, is)) {
                if let Some(size) = stride.size.resized(new).filter(|_| stride.size.hint() != Some(new)) {
                    self.edits.replace(stride.place.clone(), size.json());
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, site: &NodeSite, was: &Node, is: &Node) -> Result<(), Pt2Error> {
        if was.op != is.op || was.overload != is.overload {
            return self.operation(site, was, is);
        }
        for (name, argument) in &is.arguments {
            let before = was.argument(name);
            if before == Some(argument) {
                continue;
            }
            let place = site.arguments.iter().find(|(other, _)| other == name).map(|(_, place)| place);
            let json = match place {
                Some(place) if !place.symbols.is_empty() => self.symbolic(site, place, name, before, argument)?,
                _ => self.json(site, argument)?,
            };
            if let Some(place) = place {
                self.edits.replace(place.place.clone(), json.to_string());
            } else {
                let added = json!({ "name": name, "arg": json, "kind": KEYWORD }).to_string();
                self.edits.append(self.text, &site.inputs, &added);
            }
        }
        Ok(())
    }

    /// Puts another operation in the place of one.
    fn operation(&mut self, site: &NodeSite, was: &Node, is: &Node) -> Result<(), Pt2Error> {
        self.edits.replace(site.target.clone(), json!(target(is)).to_string());
        let mut inputs = Vec::new();
        for (name, argument) in &is.arguments {
            let same = site.arguments.iter().find(|(other, _)| other == name && was.argument(name) == Some(argument));
            let json = match same {
                Some((_, place)) => self.text.get(place.place.clone()).unwrap_or_default().to_owned(),
                None => self.json(site, argument)?.to_string(),
            };
            inputs.push(format!("{{\"name\": {}, \"arg\": {json}, \"kind\": {POSITIONAL}}}", json!(name)));
        }
        self.edits.replace(site.inputs.clone(), format!("[{}]", inputs.join(", ")));
        Ok(())
    }

    fn json(&self, site: &NodeSite, argument: &Argument) -> Result<Json, Pt2Error> {
        let names = &self.program.sites.scopes[site.scope].names;
        let name = |value: ValueId| names.get(&value).cloned();
        let unnamed = || Pt2Error::program(format!("node `{}`", site.name), "it would read a value of another scope");
        arguments::json(argument, &name).ok_or_else(unnamed)
    }

    /// An argument in which symbolic sizes stand: those that change are worked out anew.
    fn symbolic(
        &mut self,
        site: &NodeSite,
        place: &ArgumentSite,
        name: &str,
        before: Option<&Argument>,
        argument: &Argument,
    ) -> Result<Json, Pt2Error> {
        let list = |argument: &Argument| match argument {
            Argument::Ints(sizes) => sizes.clone(),
            Argument::Int(size) => vec![*size],
            _ => Vec::new(),
        };
        let (was, is) = (before.map(list).unwrap_or_default(), list(argument));
        let mut elements = Vec::new();
        for (index, &size) in is.iter().enumerate() {
            let symbol = place.symbols.get(index).and_then(Option::as_ref);
            elements.push(match symbol {
                None => json!({ "as_int": size }),
                Some(symbol) if was.get(index) == Some(&size) => json!({ "as_name": symbol }),
                Some(symbol) => {
                    let node = || format!("node `{}`", site.name);
                    let error = || Pt2Error::Symbolic { node: node(), argument: name.to_owned(), size };
                    json!({ "as_name": self.resized(site, symbol, size).ok_or_else(error)? })
                }
            });
        }
        match (argument, elements.pop()) {
            (Argument::Int(_), Some(element)) => Ok(json!({ "as_sym_int": element })),
            (_, last) => {
                elements.extend(last);
                Ok(json!({ "as_sym_ints": elements }))
            }
        }
    }

    /// The name of the size that is `size` where `symbol` is its hint, worked out before the node.
    fn resized(&mut self, site: &NodeSite, symbol: &str, size: i64) -> Option<String> {
        let key = (site.scope, symbol.to_owned(), size);
        if let Some(known) = self.symbols.get(&key) {
            return Some(known.clone());
        }
        let scope = &self.program.sites.scopes[site.scope];
        let whole = scope.symbols.get(symbol)?;
        let hint = whole.hint()?;
        let divisor = gcd(size, hint);
        let (times, parts) = (size / divisor, hint / divisor);
        let mut name = symbol.to_owned();
        let mut value = hint;
        for (target, number, next) in [("mul", times, hint.checked_mul(times)?), ("floordiv", parts, size)] {
            if number == 1 {
                continue;
            }
            let mut new = format!("{name}_{target}_{number}");
            while scope.taken.contains(&new) {
                new.push('_');
            }
            let node = json!({
                "target": format!("_operator.{target}"),
                "inputs": [
                    { "name": "a", "arg": { "as_sym_int": { "as_name": name } }, "kind": POSITIONAL },
                    { "name": "b", "arg": { "as_int": number }, "kind": POSITIONAL },
                ],
                "outputs": [{ "as_sym_int": { "as_name": new } }],
                "metadata": {},
                "is_hop_single_tensor_return": null,
                "name": new,
            });
            self.edits.insert(site.place.start, format!("{node}, "));
            value = next;
            let entry = format!("{}: {}", json!(new), whole.resized(value)?.json());
            self.edits.append(self.text, &scope.symbols_place, &entry);
            name = new;
        }
        debug_assert_eq!(value, size, "the last step gives the size");
        self.symbols.insert(key, name.clone());
        Some(name)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
