//! The nodes of a program: operations become nodes of the graph, sub-graphs that only set a mode are inlined.

use super::arguments::{Names, tensors};
use super::codes;
use super::error::Pt2Error;
use super::read::{Reader, meta};
use super::schema::{self, Argument as Arg, NamedArgument};
use super::sites::{ArgumentSite, NodeSite, SwitchSite};
use super::span::Spanned;
use crate::graph::Argument;
use crate::ids::{NodeId, ValueId};

/// The operation that runs a sub-graph with gradients or without.
pub(super) const SET_GRAD: &str = "torch.ops.higher_order.wrap_with_set_grad_enabled";

/// The operation that runs a sub-graph with autocast on or off.
const AUTOCAST: &str = "torch.ops.higher_order.wrap_with_autocast";

/// The operations that run a sub-graph as it is.
const INLINED: [&str; 2] = [SET_GRAD, AUTOCAST];

/// The arguments that switch an operation between training and evaluation.
pub const SWITCHES: [&str; 3] = ["training", "train", "use_input_stats"];

impl Reader<'_> {
    /// Reads a node of `graph`, which is the scope number `scope`.
    pub(super) fn node(
        &mut self,
        graph: &schema::Graph,
        scope: usize,
        names: &mut Names,
        spanned: &Spanned<schema::Node>,
    ) -> Result<(), Pt2Error> {
        let node = &spanned.value;
        let target = &node.target.value;
        let wrong = |what: String| Pt2Error::program(place(node), what);
        if INLINED.contains(&target.as_str()) {
            return self.inline(graph, names, node);
        }
        let (op, overload) = operation(target).ok_or_else(|| wrong("its target names no operation".to_owned()))?;
        let mut arguments = Vec::new();
        let mut sites = Vec::new();
        for (index, NamedArgument { name, arg }) in node.inputs.value.iter().enumerate() {
            let name = if name.is_empty() { format!("arg{index}") } else { name.clone() };
            let (argument, symbols) = names.argument(&arg.value).map_err(wrong)?;
            let place = arg.place(self.text);
            if SWITCHES.contains(&name.as_str()) && matches!(arg.value, Arg::AsBool(_)) {
                self.sites.switches.push(SwitchSite { place: place.clone() });
            }
            sites.push((name.clone(), ArgumentSite { place, symbols }));
            arguments.push((name, argument));
        }
        let results: Vec<_> = node.outputs.iter().flat_map(tensors).collect();
        if results.is_empty() && arguments.iter().all(|(_, argument)| argument.values().next().is_none()) {
            // Arithmetic of sizes, and what is asserted of them.
            return Ok(());
        }
        let metas = results.iter().map(|name| meta(graph, name)).collect::<Result<_, _>>()?;
        let id = self.graph.add_node(op, overload, arguments, metas);
        self.graph.node_mut(id).no_grad = self.no_grad;
        let made = self.graph.node(id).results.clone();
        for (&value, name) in made.iter().zip(&results) {
            (*name).clone_into(&mut self.graph.value_mut(value).name);
            self.bind(graph, names, name, value)?;
        }
        let fixed = self.fixed(graph, id, &sites, &results);
        self.sites.nodes.push(Some(NodeSite {
            scope,
            name: node.name.clone().unwrap_or_else(|| target.clone()),
            place: spanned.place(self.text),
            target: node.target.place(self.text),
            inputs: node.inputs.place(self.text),
            arguments: sites,
        }));
        for (value, dim) in fixed {
            self.pin(value, dim);
        }
        Ok(())
    }

    /// The dimensions that symbolic sizes keep from being cut: those of results whose size is no multiple of symbols, and
    /// those of operands of which a symbolic size takes a part.
    fn fixed(
        &self,
        graph: &schema::Graph,
        id: NodeId,
        sites: &[(String, ArgumentSite)],
        results: &[&str],
    ) -> Vec<(ValueId, usize)> {
        let node = self.graph.node(id);
        let mut fixed = Vec::new();
        for (&value, name) in node.results.iter().zip(results) {
            let sizes = graph.tensor_values.get(*name).into_iter().flat_map(|meta| meta.sizes.iter().enumerate());
            fixed.extend(sizes.filter(|(_, size)| !size.value.is_divisible()).map(|(dim, _)| (value, dim)));
        }
        let symbolic = |name: &str| sites.iter().any(|(other, site)| other == name && !site.symbols.is_empty());
        let scalar = |(name, argument): &(String, Argument)| matches!(argument, Argument::Int(_)) && symbolic(name);
        let any = node.arguments.iter().any(|(name, _)| symbolic(name));
        let dim = match node.argument("dim") {
            Some(Argument::Int(dim)) if any => Some(*dim),
            _ if node.arguments.iter().any(scalar) => None,
            _ => return fixed,
        };
        for value in node.inputs() {
            let rank = self.graph.shape(value).len();
            match dim.map(|dim| if dim < 0 { dim.saturating_add(rank as i64) } else { dim }) {
                Some(dim) if (0..rank as i64).contains(&dim) => fixed.push((value, dim as usize)),
                _ => fixed.extend((0..rank).map(|dim| (value, dim))),
            }
        }
        fixed
    }

    /// Reads the sub-graph of a node as if its nodes stood in place of it.
    fn inline(&mut self, graph: &schema::Graph, names: &mut Names, node: &schema::Node) -> Result<(), Pt2Error> {
        let wrong = |what: String| Pt2Error::program(place(node), what);
        let inputs = &node.inputs.value;
        let sub_graph = inputs.iter().enumerate().find_map(|(at, input)| match &input.arg.value {
            Arg::AsGraph(sub) => Some((at, &sub.graph)),
            _ => None,
        });
        let (at, sub) = sub_graph.ok_or_else(|| wrong("it has no sub-graph".to_owned()))?;
        let operands = &inputs[at + 1..];
        if operands.len() != sub.inputs.len() {
            let counts = format!("{} operands for the {} inputs of its sub-graph", operands.len(), sub.inputs.len());
            return Err(wrong(counts));
        }
        let mut bound = Vec::new();
        for (operand, input) in operands.iter().zip(&sub.inputs) {
            if let Some(&name) = tensors(input).first() {
                match names.argument(&operand.arg.value).map_err(wrong)?.0 {
                    Argument::Value(value) => bound.push((name.to_owned(), value)),
                    _ => return Err(wrong(format!("the input `{name}` of its sub-graph is no tensor outside"))),
                }
            }
        }
        let outside = self.no_grad;
        if let (SET_GRAD, Some(Arg::AsBool(enabled))) =
            (node.target.value.as_str(), inputs.first().map(|input| &input.arg.value))
        {
            self.no_grad = !enabled;
        }
        self.warnings.extend(lost_autocast(node));
        let inside = self.scope(sub, bound);
        self.no_grad = outside;
        let inside = inside?;
        let made: Vec<_> = sub.outputs.iter().flat_map(tensors).collect();
        let results: Vec<_> = node.outputs.iter().flat_map(tensors).collect();
        if made.len() != results.len() {
            return Err(wrong(format!("{} results for {} outputs of its sub-graph", results.len(), made.len())));
        }
        for (made, result) in made.into_iter().zip(results) {
            let value = inside.values.get(made).copied();
            let value = value.ok_or_else(|| wrong(format!("nothing in its sub-graph makes `{made}`")))?;
            self.bind(graph, names, result, value)?;
        }
        Ok(())
    }
}

/// What is lost when the sub-graph of a node is inlined: autocast, where it is on.
fn lost_autocast(node: &schema::Node) -> Option<String> {
    let [device, dtype, enabled, ..] = &*node.inputs.value else { return None };
    let (AUTOCAST, Arg::AsBool(true)) = (node.target.value.as_str(), &enabled.arg.value) else { return None };
    let device = if let Arg::AsString(device) = &device.arg.value { device } else { "a device" };
    let dtype = if let Arg::AsScalarType(code) = dtype.arg.value { codes::dtype(code) } else { None };
    let dtype = dtype.map_or_else(|| "another type".to_owned(), |dtype| dtype.to_string());
    let place = place(node);
    Some(format!("{place}: its autocast to {dtype} on {device} is left out when the graph runs, which changes results"))
}

/// How a message names a node.
fn place(node: &schema::Node) -> String {
    let target = &node.target.value;
    format!("node `{}` ({target})", node.name.as_ref().unwrap_or(target))
}

/// How a program names the operation of a node.
pub(super) fn target(node: &crate::graph::Node) -> String {
    let overload = if node.overload.is_empty() { "default" } else { &node.overload };
    format!("torch.ops.{}.{overload}", node.op.replace("::", "."))
}

/// The operation and overload that a target names.
fn operation(target: &str) -> Option<(String, String)> {
    let Some(path) = target.strip_prefix("torch.ops.") else {
        return Some((target.replace('.', "::"), String::new())).filter(|(op, _)| op.contains("::"));
    };
    let mut parts = path.split('.');
    let (namespace, name) = (parts.next()?, parts.next()?);
    let overload = parts.next().filter(|overload| *overload != "default").unwrap_or_default();
    parts.next().is_none().then(|| (format!("{namespace}::{name}"), overload.to_owned()))
}
