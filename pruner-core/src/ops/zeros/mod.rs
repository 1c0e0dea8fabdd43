//! How zeros pass through operations: where a result is zero, given where the operands are.
//!
//! A masked network has zeros where the cut one has nothing, and where activations are multiplied with activations it
//! computes the same only as long as they stay zeros. A row says what an operation does to them by a formula of its
//! arguments, a sum of products such as `input weight + bias?`: the sum is zero where every product is, a product where one
//! of its arguments is. `?` marks an argument that may be absent, `|` stands between two names of the same, and what
//! follows `/` is divided by. Of an operation without a row, those that users register among them, nothing is known to
//! be zero.

mod table;
#[cfg(test)]
mod tests;

use super::error::RuleError;
use super::node::NodeView;
use crate::graph::Argument;

/// How one node passes zeros on, its operands named by their slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zeros {
    /// The products whose sum the results are; `None` where nothing is known.
    pub products: Option<Vec<Vec<usize>>>,
    /// Whether a position of a result comes from those products alone that have its axis, and not from the sum of all.
    pub pieces: bool,
    /// What the sum is divided by: zero divided by zero is not zero.
    pub divisors: Vec<usize>,
    /// What gives no finite number where it is zero, the divisors among them.
    pub singular: Vec<usize>,
    /// How many of the results this is said of, the first ones.
    pub results: usize,
    /// What the node multiplies with results of its own, step after step.
    pub recurrent: Vec<usize>,
    /// The operands whose memory the results may be.
    pub shared: Vec<usize>,
    /// The operands that are written to.
    pub written: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Row {
    /// The first result is what the formula says, in memory of its own.
    New(&'static str),
    /// All results are what the formula says, perhaps in memory of the operands.
    View(&'static str),
    /// Every result is made of the arguments side by side.
    Pieces(&'static str),
    /// Every result is made of the arguments side by side, and multiplied with them in the next step.
    Recurrent(&'static str),
    /// The first result is in memory of its own, and not zero.
    Other,
    /// Attributes of the node decide which of the others it is.
    Of(fn(&NodeView) -> Result<Row, RuleError>),
}

/// The argument that an operation gives no finite number of where it is zero.
#[derive(Clone, Copy)]
enum Singular {
    /// This one.
    Always(&'static str),
    /// This one, where attributes of the node say so.
    Where(&'static str, fn(&NodeView) -> bool),
}

/// How a node passes zeros on.
pub fn zeros(node: &NodeView) -> Zeros {
    let operands = || (0..node.slots().len()).filter(|&slot| node.operand(slot).is_some());
    let row = match row(node.op()).filter(|_| !writes_elsewhere(node)) {
        Some(Row::Of(row)) => row(node).ok(),
        row => row,
    };
    let mut zeros = match row {
        None | Some(Row::Of(_)) => Zeros { shared: operands().collect(), ..Zeros::default() },
        Some(Row::New(text)) => sum(node, text, 1),
        Some(Row::View(text)) => Zeros { shared: operands().collect(), ..sum(node, text, node.results().len()) },
        Some(Row::Pieces(text)) => pieces(node, text),
        Some(Row::Recurrent(text)) => {
            let pieces = pieces(node, text);
            let weights = pieces.products.iter().flatten().flatten().copied();
            Zeros { recurrent: weights.filter(|&slot| node.slots()[slot].argument != "hx").collect(), ..pieces }
        }
        Some(Row::Other) => Zeros::default(),
    };
    zeros.singular = singular(node).into_iter().chain(zeros.divisors.iter().copied()).collect();
    if writes_elsewhere(node) || (is_in_place(node.op()) && zeros.products.is_none()) {
        zeros.written = operands().collect();
    } else if is_in_place(node.op()) {
        zeros.written = operands().take(1).collect();
        zeros.shared.extend(operands().take(1));
    }
    zeros
}

/// Whether a node writes to what it reads, by the naming of libtorch.
fn is_in_place(op: &str) -> bool {
    let name = op.rsplit(':').next().unwrap_or_default();
    if name.ends_with("__") { name.starts_with("__i") } else { name.ends_with('_') }
}

/// Whether the result goes to a tensor that is given for it.
fn writes_elsewhere(node: &NodeView) -> bool {
    node.overload().ends_with("out") || !node.is_none("out")
}

/// The row of an operation; an in-place form has that of the operation without the underscore.
fn row(op: &str) -> Option<Row> {
    of_operation(table::ROWS, op)
}

/// The entry of an operation, or else that of the operation that it is the in-place form of.
fn of_operation<T: Copy>(table: &[(&str, T)], op: &str) -> Option<T> {
    let find = |op: &str| table.binary_search_by(|(name, _)| (*name).cmp(op)).ok();
    let place = find(op).or_else(|| find(op.strip_suffix('_')?))?;
    Some(table[place].1)
}

/// The slots of what an operation gives no finite number of where it is zero, beside what a formula divides by.
fn singular(node: &NodeView) -> Vec<usize> {
    match of_operation(table::SINGULAR, node.op()) {
        Some(Singular::Always(argument)) => slots(node, argument).collect(),
        Some(Singular::Where(argument, is)) if is(node) => slots(node, argument).collect(),
        Some(Singular::Where(..)) | None => Vec::new(),
    }
}

fn sum(node: &NodeView, text: &str, results: usize) -> Zeros {
    let mut zeros = Zeros { results, ..Zeros::default() };
    zeros.products = summands(node, text, &mut zeros.divisors);
    zeros
}

/// The products of a formula. What is zero by an argument or by being absent is left out; a number that is not zero is
/// a product that never is.
fn summands(node: &NodeView, text: &str, divisors: &mut Vec<usize>) -> Option<Vec<Vec<usize>>> {
    let mut products = Vec::new();
    for summand in text.split('+').filter(|summand| !summand.is_empty()) {
        let (product, divisor) = summand.split_once('/').unwrap_or((summand, ""));
        divisors.extend(divisor.split_ascii_whitespace().flat_map(|name| slots(node, name)));
        let (mut factors, mut absent, mut zero) = (Vec::new(), true, false);
        for names in product.split_ascii_whitespace() {
            let found = names.trim_end_matches('?').split('|').find_map(|name| Some((name, node.argument(name)?)));
            match found {
                None if names.ends_with('?') => continue,
                None => return None,
                Some((name, Argument::Value(_) | Argument::Values(_))) => factors.extend(slots(node, name)),
                Some((_, argument)) => zero |= number(argument)? == 0.0,
            }
            absent = false;
        }
        if !absent && !zero {
            products.push(factors);
        }
    }
    Some(products)
}

fn pieces(node: &NodeView, text: &str) -> Zeros {
    let names = text.split_ascii_whitespace().map(|name| name.trim_end_matches('?'));
    let products = names.flat_map(|name| slots(node, name)).map(|slot| vec![slot]).collect();
    Zeros { products: Some(products), pieces: true, results: node.results().len(), ..Zeros::default() }
}

/// The slots of the tensors of an argument.
fn slots<'n>(node: &'n NodeView, name: &'n str) -> impl Iterator<Item = usize> + 'n {
    let slots = node.slots().iter().enumerate();
    slots.filter(move |(_, slot)| slot.argument == name && slot.value.is_some()).map(|(slot, _)| slot)
}

fn number(argument: &Argument) -> Option<f64> {
    match argument {
        Argument::Bool(value) => Some(f64::from(u8::from(*value))),
        Argument::Int(value) => Some(*value as f64),
        Argument::Float(value) => Some(*value),
        _ => None,
    }
}

/// `clamp` and its like, by numbers with zero between them.
fn between(node: &NodeView) -> Result<Row, RuleError> {
    let hard = node.op().trim_end_matches('_') == "aten::hardtanh";
    let (least, most) = if hard { ("min_val", "max_val") } else { ("min", "max") };
    let (lowest, highest) = if hard { (-1.0, 1.0) } else { (f64::NEG_INFINITY, f64::INFINITY) };
    let inside = node.float_or(least, lowest)? <= 0.0 && node.float_or(most, highest)? >= 0.0;
    Ok(if inside { Row::New("self") } else { Row::Other })
}

/// `pow` with a number above zero.
fn power(node: &NodeView) -> Result<Row, RuleError> {
    Ok(if node.float_or("exponent", 0.0)? > 0.0 { Row::New("self") } else { Row::Other })
}

/// `pow` with a number below zero.
fn negative_power(node: &NodeView) -> bool {
    node.float_or("exponent", 0.0).is_ok_and(|exponent| exponent < 0.0)
}

/// `alpha_dropout`, which adds a constant where it trains.
fn alpha_dropout(node: &NodeView) -> Result<Row, RuleError> {
    Ok(if node.bool_or("train", true)? { Row::Other } else { Row::View("input") })
}
