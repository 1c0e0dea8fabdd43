//! Exactness by numbers: on random networks, cutting a group that is said to be exact gives what masking it does.
//!
//! The networks are of tensors of rank 1 and 2, and a small interpreter runs them. It keeps memory as libtorch does: what is
//! written in place is seen by every value that shares it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use pruner_core::deps::{Analysis, AxisGroup, Group, Kept};
use pruner_core::graph::{Argument, Graph, Node, Origin, TensorMeta};
use pruner_core::ids::ValueId;

/// The rows of every activation.
const ROWS: i64 = 3;

/// What a random network does next, with values made before given by their places.
#[derive(Clone, Debug)]
enum Move {
    Linear {
        of: usize,
        size: i64,
        bias: bool,
        weight: Weight,
    },
    Relu(usize),
    Sigmoid(usize),
    AddOne(usize),
    Alias(usize),
    ReluInPlace(usize),
    AddOneInPlace(usize),
    /// Times a vector, trained or not.
    Scale(usize, bool),
    Add(usize, usize),
    Mul(usize, usize),
    Cat(usize, usize),
    /// Queries and keys contracted, and the scores with values.
    Attend(usize, usize, usize),
}

#[derive(Clone, Copy, Debug)]
enum Weight {
    Trained,
    Frozen,
    /// The sum of two parameters.
    Sum,
    /// The sigmoid of a parameter.
    Sigmoid,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let at = || 0_usize..64;
    let weight = prop_oneof![
        4 => Just(Weight::Trained),
        1 => Just(Weight::Frozen),
        1 => Just(Weight::Sum),
        1 => Just(Weight::Sigmoid),
    ];
    let linear = (at(), 2_i64..5, any::<bool>(), weight);
    let one = prop_oneof![
        6 => linear.prop_map(|(of, size, bias, weight)| Move::Linear { of, size, bias, weight }),
        2 => at().prop_map(Move::Relu),
        2 => at().prop_map(Move::Sigmoid),
        1 => at().prop_map(Move::AddOne),
        1 => at().prop_map(Move::Alias),
        1 => at().prop_map(Move::ReluInPlace),
        1 => at().prop_map(Move::AddOneInPlace),
        2 => (at(), any::<bool>()).prop_map(|(of, trained)| Move::Scale(of, trained)),
        2 => (at(), at()).prop_map(|(a, b)| Move::Add(a, b)),
        2 => (at(), at()).prop_map(|(a, b)| Move::Mul(a, b)),
        1 => (at(), at()).prop_map(|(a, b)| Move::Cat(a, b)),
        4 => (at(), at(), at()).prop_map(|(q, k, v)| Move::Attend(q, k, v)),
    ];
    prop::collection::vec(one, 2..16)
}

/// A network being built, with the activations that the next move may take.
struct Net {
    graph: Graph,
    made: Vec<ValueId>,
}

impl Net {
    fn of(moves: &[Move]) -> Graph {
        let mut graph = Graph::new();
        let input = graph.add_input("x", TensorMeta::f32([ROWS, 3]));
        let mut net = Self { graph, made: Vec::new() };
        let first = net.linear(input, 4, true, Weight::Trained);
        net.made.push(first);
        for step in moves {
            let made = net.step(step);
            net.made.push(made);
        }
        let last: Vec<ValueId> = net.made.iter().rev().take(3).copied().collect();
        let outputs = last.into_iter().map(|value| net.linear(value, 2, true, Weight::Trained)).collect();
        net.graph.set_outputs(outputs);
        net.graph
    }

    fn step(&mut self, step: &Move) -> ValueId {
        let pick = |at: &usize| self.made[at % self.made.len()];
        match step {
            Move::Linear { of, size, bias, weight } => self.linear(pick(of), *size, *bias, *weight),
            Move::Relu(of) => self.of_one("aten::relu", pick(of)),
            Move::Sigmoid(of) => self.of_one("aten::sigmoid", pick(of)),
            Move::AddOne(of) => self.add_one("aten::add.Scalar", pick(of)),
            Move::Alias(of) => self.of_one("aten::alias", pick(of)),
            Move::ReluInPlace(of) => self.of_one("aten::relu_", pick(of)),
            Move::AddOneInPlace(of) => self.add_one("aten::add_.Scalar", pick(of)),
            Move::Scale(of, trained) => {
                let of = pick(of);
                let origin = if *trained { Origin::Parameter } else { Origin::Buffer };
                let scale = self.stored(origin, &[self.width(of)]);
                self.of_two("aten::mul.Tensor", of, scale)
            }
            Move::Add(a, b) => self.of_two("aten::add.Tensor", pick(a), self.like(pick(a), *b)),
            Move::Mul(a, b) => self.of_two("aten::mul.Tensor", pick(a), self.like(pick(a), *b)),
            Move::Cat(a, b) => {
                let (a, b) = (pick(a), pick(b));
                let shape = [ROWS, self.width(a) + self.width(b)];
                let tensors = Argument::Values(vec![Some(a), Some(b)]);
                self.graph.call("aten::cat", vec![("tensors", tensors), ("dim", 1.into())], TensorMeta::f32(shape))
            }
            Move::Attend(q, k, v) => {
                let (q, k, v) = (pick(q), self.like(pick(q), *k), pick(v));
                let width = self.width(q);
                let k = self.graph.call("aten::t", vec![("self", k.into())], TensorMeta::f32([width, ROWS]));
                let scores = self.matmul(q, k, [ROWS, ROWS]);
                self.matmul(scores, v, [ROWS, self.width(v)])
            }
        }
    }

    fn linear(&mut self, of: ValueId, size: i64, bias: bool, weight: Weight) -> ValueId {
        let shape = [size, self.width(of)];
        let origin = if matches!(weight, Weight::Frozen) { Origin::Buffer } else { Origin::Parameter };
        let stored = self.stored(origin, &shape);
        let weight = match weight {
            Weight::Trained | Weight::Frozen => stored,
            Weight::Sigmoid => self.of_one("aten::sigmoid", stored),
            Weight::Sum => {
                let more = self.stored(origin, &shape);
                self.of_two("aten::add.Tensor", stored, more)
            }
        };
        let bias = if bias { Argument::Value(self.stored(Origin::Parameter, &[size])) } else { Argument::None };
        let arguments = vec![("input", of.into()), ("weight", weight.into()), ("bias", bias)];
        self.graph.call("aten::linear", arguments, TensorMeta::f32([ROWS, size]))
    }

    fn stored(&mut self, origin: Origin, shape: &[i64]) -> ValueId {
        let name = format!("w{}", self.graph.values().len());
        self.graph.add_value(name, origin, TensorMeta::f32(shape))
    }

    fn of_one(&mut self, op: &str, of: ValueId) -> ValueId {
        let shape = self.graph.shape(of).to_vec();
        self.graph.call(op, vec![("self", of.into())], TensorMeta::f32(shape))
    }

    fn add_one(&mut self, op: &str, of: ValueId) -> ValueId {
        let shape = self.graph.shape(of).to_vec();
        self.graph.call(op, vec![("self", of.into()), ("other", 1.0.into())], TensorMeta::f32(shape))
    }

    fn of_two(&mut self, op: &str, a: ValueId, b: ValueId) -> ValueId {
        let shape = self.graph.shape(a).to_vec();
        self.graph.call(op, vec![("self", a.into()), ("other", b.into())], TensorMeta::f32(shape))
    }

    fn matmul(&mut self, a: ValueId, b: ValueId, shape: [i64; 2]) -> ValueId {
        self.graph.call("aten::matmul", vec![("self", a.into()), ("other", b.into())], TensorMeta::f32(shape))
    }

    fn width(&self, value: ValueId) -> i64 {
        self.graph.shape(value)[1]
    }

    /// An activation of the width of `value`.
    fn like(&self, value: ValueId, at: usize) -> ValueId {
        let same: Vec<_> = self.made.iter().filter(|other| self.width(**other) == self.width(value)).collect();
        *same[at % same.len()]
    }
}

/// A tensor of rank 1 or 2; one of rank 1 is a row.
#[derive(Clone, Debug)]
struct Tensor {
    columns: usize,
    data: Vec<f64>,
}

impl Tensor {
    fn random(shape: &[i64], seed: u64) -> Self {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 * 2.0 - 1.0
        };
        let size: i64 = shape.iter().product();
        Self { columns: shape[shape.len() - 1] as usize, data: (0..size).map(|_| next()).collect() }
    }

    fn rows(&self) -> usize {
        self.data.len() / self.columns
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.data[row % self.rows() * self.columns + column]
    }

    fn new(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f64) -> Self {
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self { columns, data: places.map(|(row, column)| at(row, column)).collect() }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { columns: self.columns, data: self.data.iter().map(|x| f(*x)).collect() }
    }

    fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self::new(self.rows(), self.columns, |row, column| f(self.at(row, column), other.at(row, column)))
    }

    fn transposed(&self) -> Self {
        Self::new(self.columns, self.rows(), |row, column| self.at(column, row))
    }

    fn matmul(&self, other: &Self) -> Self {
        let sum = |row, column| (0..self.columns).map(|at| self.at(row, at) * other.at(at, column)).sum();
        Self::new(self.rows(), other.columns, sum)
    }
}

/// Runs a graph on tensors for what no node makes; gives the outputs.
fn run(graph: &Graph, given: &BTreeMap<ValueId, Tensor>) -> Vec<Tensor> {
    let mut memory: Vec<Tensor> = given.values().cloned().collect();
    let mut place: BTreeMap<ValueId, usize> = given.keys().enumerate().map(|(at, value)| (*value, at)).collect();
    for (_, node) in graph.nodes() {
        let read = |name: &str| match node.argument(name) {
            Some(Argument::Value(value)) => Some(memory[place[value]].clone()),
            _ => None,
        };
        let made = compute(node, &read, &|value| memory[place[&value]].clone());
        let own = node.inputs().next().map(|value| place[&value]);
        let at = match (node.op.as_str(), own) {
            ("aten::alias", Some(own)) => own,
            (op, Some(own)) if op.ends_with('_') => {
                memory[own] = made;
                own
            }
            _ => {
                memory.push(made);
                memory.len() - 1
            }
        };
        place.insert(node.results[0], at);
    }
    graph.outputs().iter().map(|output| memory[place[output]].clone()).collect()
}

fn compute(node: &Node, read: &impl Fn(&str) -> Option<Tensor>, value: &impl Fn(ValueId) -> Tensor) -> Tensor {
    let first = || read("self").expect("it has one");
    let second = || read("other").expect("it has another");
    match (node.op.trim_end_matches('_'), node.overload.as_str()) {
        ("aten::linear", _) => {
            let made = read("input").expect("an input").matmul(&read("weight").expect("a weight").transposed());
            read("bias").map_or(made.clone(), |bias| made.zip(&bias, |x, y| x + y))
        }
        ("aten::relu", _) => first().map(|x| x.max(0.0)),
        ("aten::sigmoid", _) => first().map(|x| 1.0 / (1.0 + (-x).exp())),
        ("aten::alias", _) => first(),
        ("aten::add", "Scalar") => first().map(|x| x + 1.0),
        ("aten::add", _) => first().zip(&second(), |x, y| x + y),
        ("aten::mul", _) => first().zip(&second(), |x, y| x * y),
        ("aten::t", _) => first().transposed(),
        ("aten::matmul", _) => first().matmul(&second()),
        ("aten::cat", _) => {
            let parts: Vec<Tensor> = node.inputs().map(value).collect();
            let [a, b] = &parts[..] else { panic!("two parts are joined") };
            let at = |row, column| if column < a.columns { a.at(row, column) } else { b.at(row, column - a.columns) };
            Tensor::new(a.rows(), a.columns + b.columns, at)
        }
        (op, _) => panic!("the interpreter does not know {op}"),
    }
}

/// The tensors of what no node makes: masked and sliced.
fn tensors(analysis: &Analysis, kept: &Kept, seed: u64) -> [BTreeMap<ValueId, Tensor>; 2] {
    let [mut of_masked, mut of_sliced] = [BTreeMap::new(), BTreeMap::new()];
    let graph = analysis.graph();
    for (id, value) in graph.values().filter(|(_, value)| !matches!(value.origin, Origin::Node { .. })) {
        let whole = Tensor::random(&value.meta.shape, seed ^ (id.index() as u64) << 32);
        let left: Vec<Vec<usize>> = analysis
            .dims(id)
            .iter()
            .zip(&value.meta.shape)
            .map(|(dim, &size)| match kept.positions(analysis, dim) {
                Some(positions) => positions.into_iter().map(|at| at as usize).collect(),
                None => (0..size as usize).collect(),
            })
            .collect();
        let (rows, columns) = match &left[..] {
            [columns] => (vec![0], columns.clone()),
            [rows, columns] => (rows.clone(), columns.clone()),
            _ => panic!("tensors are of rank 1 or 2"),
        };
        let trained = value.origin == Origin::Parameter;
        let stays = |row: usize, column: usize| !trained || (rows.contains(&row) && columns.contains(&column));
        let masked = |row, column| if stays(row, column) { whole.at(row, column) } else { 0.0 };
        let sliced = |row: usize, column: usize| whole.at(rows[row], columns[column]);
        of_masked.insert(id, Tensor::new(whole.rows(), whole.columns, masked));
        of_sliced.insert(id, Tensor::new(rows.len(), columns.len(), sliced));
    }
    [of_masked, of_sliced]
}

/// The largest difference between two runs, by the largest element.
fn difference(a: &[Tensor], b: &[Tensor]) -> f64 {
    let pairs = || a.iter().zip(b).flat_map(|(a, b)| a.data.iter().zip(&b.data));
    let scale = pairs().fold(1e-12, |scale: f64, (x, _)| scale.max(x.abs()));
    pairs().fold(0.0, |largest: f64, (x, y)| largest.max((x - y).abs())) / scale
}

/// Coordinates of a group to cut: those that `seed` has bits for, without the last that leaves a tensor empty.
fn some_of(group: &AxisGroup, seed: u64) -> Vec<u32> {
    let mut cut: Vec<u32> = Vec::new();
    for &coordinate in group.coordinates().iter().filter(|&&at| seed >> (at % 64) & 1 == 1) {
        cut.push(coordinate);
        let emptied = |cut: &[u32]| {
            group.members().iter().any(|member| member.layout.coordinates().flatten().all(|at| cut.contains(&at)))
        };
        if emptied(&cut) {
            cut.pop();
        }
    }
    cut
}

/// How far the cut network is from the masked one.
fn error(analysis: &Analysis, kept: &Kept, seed: u64) -> f64 {
    let [masked, sliced] = tensors(analysis, kept, seed);
    difference(&run(analysis.graph(), &masked), &run(&analysis.rewrite(kept), &sliced))
}

/// What was said of the groups of a network.
#[derive(Default)]
struct Counts {
    exact: usize,
    inexact: usize,
    /// Said to be inexact, where masking and cutting gave the same.
    without_difference: usize,
}

fn check(moves: &[Move], seed: u64) -> Counts {
    let graph = Net::of(moves);
    let analysis = Analysis::new(&graph).unwrap_or_else(|error| panic!("{error}\n{graph}"));
    let mut together = Kept::all();
    let mut counts = Counts::default();
    for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.size() > 1) {
        let cut = some_of(group, seed | 1 << (seed % group.size() as u64));
        let mut kept = Kept::all();
        kept.remove(&analysis, group.id(), &cut);
        let error = error(&analysis, &kept, seed);
        if group.inexact().is_some() {
            counts.inexact += 1;
            counts.without_difference += usize::from(error < 1e-9);
            continue;
        }
        counts.exact += 1;
        assert!(error < 1e-9, "{} without {cut:?}: masked and sliced differ by {error}\n{graph}", group.name());
        together.remove(&analysis, group.id(), &cut);
    }
    let error = error(&analysis, &together, seed);
    assert!(error < 1e-9, "all exact groups cut at once: masked and sliced differ by {error}\n{graph}");
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_network_cut_in_groups_that_are_exact_computes_what_it_does_masked(moves in moves(), seed in any::<u64>()) {
        check(&moves, seed);
    }
}

#[test]
fn random_networks_have_exact_groups_and_inexact_ones_and_most_of_these_do_differ() {
    let mut runner = TestRunner::deterministic();
    let (mut exact, mut inexact, mut without_difference) = (0, 0, 0);
    for seed in 0..500_u64 {
        let moves = moves().new_tree(&mut runner).expect("a strategy gives a value").current();
        let counts = check(&moves, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (exact, inexact) = (exact + counts.exact, inexact + counts.inexact);
        without_difference += counts.without_difference;
    }
    assert!(exact > 500 && inexact > 50, "{exact} groups are exact and {inexact} are not");
    assert!(without_difference * 2 < inexact, "{without_difference} of {inexact} inexact groups are exact by numbers");
}
