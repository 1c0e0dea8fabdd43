//! From what was recorded to a graph: versions of tensors, dead operations, constants.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tch::{Device, Tensor, nn};

use super::{TraceError, fold};
use crate::aten::{self, Entry, Operator, Record, Recorder};
use crate::exec::GraphModule;
use crate::graph::{Argument, Graph, Origin, TensorMeta};
use crate::ids::ValueId;

/// The variables of a store by name, in its order, and which of them are trained.
pub(super) struct Variables {
    named: Vec<(String, Tensor)>,
    trained: Vec<bool>,
}

impl Variables {
    pub(super) fn of(vs: &nn::VarStore) -> Self {
        let mut named: Vec<_> = vs.variables().into_iter().collect();
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let trainable: BTreeSet<_> = vs.trainable_variables().iter().map(aten::variable_id).collect();
        let trained = named.iter().map(|(_, variable)| trainable.contains(&aten::variable_id(variable))).collect();
        Self { named, trained }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named.iter().map(|(name, variable)| (name.as_str(), variable))
    }
}

/// Makes the graph. `known` are the entries of the variables, then of the inputs.
pub(super) fn build(
    recorder: &Recorder,
    variables: &Variables,
    known: &[usize],
    inputs: &[Tensor],
    outputs: &[usize],
    device: Device,
) -> Result<GraphModule, TraceError> {
    let records = recorder.records().map_err(TraceError::Record)?;
    let entries = recorder.entries().map_err(TraceError::Record)?;
    let (of_variables, of_inputs) = known.split_at(variables.named.len());
    let mut roles = HashMap::new();
    for (index, &entry) in of_inputs.iter().enumerate() {
        roles.insert(entry, Role::Input(index));
    }
    for (index, &entry) in of_variables.iter().enumerate() {
        roles.entry(entry).or_insert(Role::Variable(index));
    }

    let mut builder = Builder { variables, entries, roles, values: Vec::new(), newest: HashMap::new() };
    let mut steps = records.into_iter().map(|record| builder.step(record)).collect::<Result<Vec<_>, _>>()?;
    let outputs: Vec<_> = outputs.iter().map(|&entry| builder.newest(entry)).collect();
    builder.drop_dead(&mut steps, &outputs);
    builder.check_parameter(&steps, &outputs)?;
    builder.fold(&mut steps)?;
    let mut module = builder.finish(steps, &outputs, inputs, device)?;
    module.add_warnings(recorder.notes());
    Ok(module)
}

#[derive(Clone, Copy)]
enum Role {
    Variable(usize),
    Input(usize),
}

/// A tensor between two changes of it.
struct Version {
    entry: Option<usize>,
    meta: Option<TensorMeta>,
    constant: Option<Tensor>,
}

struct Step {
    op: String,
    overload: String,
    operator: std::rc::Rc<Operator>,
    /// As in the record, the ids those of versions.
    arguments: Vec<(String, Argument)>,
    results: Vec<usize>,
    no_grad: bool,
}

impl Step {
    fn reads(&self) -> impl Iterator<Item = usize> + '_ {
        self.arguments.iter().flat_map(|(_, argument)| argument.values().map(ValueId::index))
    }

    fn writes(&self) -> impl Iterator<Item = usize> + '_ {
        let written = |name: &str| {
            self.operator.arguments().iter().any(|argument| argument.is_written() && argument.name == name)
                // The schema of `batch_norm` does not say that it writes its statistics.
                || name == "running_mean"
                || name == "running_var"
        };
        self.arguments
            .iter()
            .filter(move |(name, _)| written(name))
            .flat_map(|(_, argument)| argument.values().map(ValueId::index))
    }
}

struct Builder<'a> {
    variables: &'a Variables,
    entries: Vec<Entry>,
    roles: HashMap<usize, Role>,
    values: Vec<Version>,
    newest: HashMap<usize, usize>,
}

impl Builder<'_> {
    /// The version that a tensor has now.
    fn newest(&mut self, entry: usize) -> usize {
        *self.newest.entry(entry).or_insert_with(|| {
            let given = self.entries[entry].given.as_ref().map(Tensor::shallow_clone);
            let constant = given.filter(|_| !self.roles.contains_key(&entry));
            self.values.push(Version { entry: Some(entry), meta: None, constant });
            self.values.len() - 1
        })
    }

    fn step(&mut self, record: Record) -> Result<Step, TraceError> {
        let Record { op, overload, mut arguments, results, no_grad } = record;
        let operator = Operator::find(&op, &overload).map_err(TraceError::Record)?;
        for (_, argument) in &mut arguments {
            match argument {
                Argument::Value(id) => *id = ValueId::new(self.newest(id.index())),
                Argument::Values(ids) => {
                    for id in ids.iter_mut().flatten() {
                        *id = ValueId::new(self.newest(id.index()));
                    }
                }
                _ => {}
            }
        }
        let results = results
            .into_iter()
            .map(|(entry, meta)| {
                self.values.push(Version { entry, meta: Some(meta), constant: None });
                let version = self.values.len() - 1;
                if let Some(entry) = entry {
                    self.newest.insert(entry, version);
                }
                version
            })
            .collect();
        Ok(Step { op, overload, operator: operator.into(), arguments, results, no_grad })
    }

    /// The memory of a version; 0 where it has none of its own.
    fn storage(&self, version: usize) -> usize {
        self.values[version].entry.map_or(0, |entry| self.entries[entry].storage)
    }

    /// Keeps what makes an output, what writes to memory that is read after it, and what writes to a tensor that
    /// outlives the run.
    fn drop_dead(&self, steps: &mut Vec<Step>, outputs: &[usize]) {
        let lasting: BTreeSet<_> =
            self.entries.iter().filter(|entry| entry.given.is_some()).map(|entry| entry.storage).collect();
        let mut live: BTreeSet<usize> = outputs.iter().copied().collect();
        let mut memory: BTreeSet<usize> = outputs.iter().map(|&version| self.storage(version)).collect();
        memory.extend(lasting);
        memory.remove(&0);
        let mut kept = Vec::with_capacity(steps.len());
        while let Some(step) = steps.pop() {
            let made = step.results.iter().any(|result| live.contains(result));
            let written =
                step.operator.mutates() && step.writes().any(|version| memory.contains(&self.storage(version)));
            if made || written {
                live.extend(step.reads());
                memory.extend(step.reads().map(|version| self.storage(version)).filter(|&storage| storage != 0));
                kept.push(step);
            }
        }
        kept.reverse();
        *steps = kept;
    }

    fn check_parameter(&self, steps: &[Step], outputs: &[usize]) -> Result<(), TraceError> {
        let is_parameter = |version: &usize| {
            let role = self.values[*version].entry.and_then(|entry| self.roles.get(&entry));
            matches!(role, Some(&Role::Variable(index)) if self.variables.trained[index])
        };
        let mut reached: BTreeSet<usize> = (0..self.values.len()).filter(is_parameter).collect();
        let mut memory = BTreeSet::new();
        for step in steps {
            let depends = |version| reached.contains(&version) || memory.contains(&self.storage(version));
            if step.reads().any(depends) {
                memory.extend(step.writes().map(|version| self.storage(version)).filter(|&storage| storage != 0));
                reached.extend(&step.results);
            }
        }
        let depends = |version: &usize| reached.contains(version) || memory.contains(&self.storage(*version));
        if outputs.iter().any(depends) { Ok(()) } else { Err(TraceError::NoParameter) }
    }

    /// Replaces operations on constants by their results.
    fn fold(&mut self, steps: &mut Vec<Step>) -> Result<(), TraceError> {
        let changed: BTreeSet<_> = steps
            .iter()
            .flat_map(|step| step.writes().map(|version| self.storage(version)).collect::<Vec<_>>())
            .collect();
        let mut kept = Vec::with_capacity(steps.len());
        for step in steps.drain(..) {
            let settled = |version: usize| !changed.contains(&self.storage(version));
            let constant = |version: usize| self.values[version].constant.is_some() && settled(version);
            let foldable = fold::is_foldable(&step.op, &step.operator)
                && !step.results.is_empty()
                && step.results.iter().all(|&result| settled(result))
                && step.reads().all(constant);
            if !foldable {
                kept.push(step);
                continue;
            }
            let operands: Vec<_> =
                step.reads().map(|version| self.values[version].constant.as_ref().expect("checked above")).collect();
            let results = step
                .operator
                .call(&step.arguments, &operands)
                .map_err(|source| TraceError::Fold { op: step.op.clone(), source })?;
            for (&version, tensor) in step.results.iter().zip(results) {
                self.values[version].constant = Some(tensor);
            }
        }
        *steps = kept;
        Ok(())
    }

    fn finish(
        mut self,
        steps: Vec<Step>,
        outputs: &[usize],
        inputs: &[Tensor],
        device: Device,
    ) -> Result<GraphModule, TraceError> {
        let mut graph = Graph::new();
        let mut tensors = BTreeMap::new();
        let mut ids = HashMap::new();
        let mut input_ids = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let meta = aten::meta(input).map_err(TraceError::Record)?;
            input_ids.push(graph.add_input(format!("input{index}"), meta));
        }
        let mut used = vec![false; self.variables.named.len()];
        let mut constants = 0;
        let made: BTreeSet<usize> = steps.iter().flat_map(|step| step.results.iter().copied()).collect();
        for version in steps.iter().flat_map(Step::reads).chain(outputs.iter().copied()) {
            if made.contains(&version) || ids.contains_key(&version) {
                continue;
            }
            let entry = self.values[version].entry;
            let role = entry.and_then(|entry| self.roles.get(&entry).copied());
            let (name, origin, tensor) = match (role, self.values[version].constant.take()) {
                (Some(Role::Input(index)), _) => {
                    ids.insert(version, input_ids[index]);
                    continue;
                }
                (Some(Role::Variable(index)), _) => {
                    used[index] = true;
                    let origin = if self.variables.trained[index] { Origin::Parameter } else { Origin::Buffer };
                    let (name, variable) = &self.variables.named[index];
                    (name.clone(), origin, variable.shallow_clone())
                }
                (None, Some(tensor)) => {
                    constants += 1;
                    (format!("constant{}", constants - 1), Origin::Constant, tensor)
                }
                (None, None) => unreachable!("a tensor is given or made by a step that is kept"),
            };
            let meta =
                aten::meta(&tensor).map_err(|source| TraceError::Tensor { place: format!("`{name}`"), source })?;
            let id = graph.add_value(name, origin, meta);
            ids.insert(version, id);
            tensors.insert(id, tensor);
        }
        for step in steps {
            let metas = step
                .results
                .iter()
                .map(|&version| self.values[version].meta.clone().expect("results are recorded with their shapes"));
            let metas = metas.collect();
            let arguments =
                step.arguments.into_iter().map(|(name, argument)| (name, renamed(argument, &ids))).collect();
            let node = graph.add_node(step.op, step.overload, arguments, metas);
            graph.node_mut(node).no_grad = step.no_grad;
            for (&version, &id) in step.results.iter().zip(&graph.node(node).results) {
                ids.insert(version, id);
            }
        }
        graph.set_outputs(outputs.iter().map(|version| ids[version]).collect());
        let unused = self.unused(&used).into_iter().chain(unread(&graph)).chain(untrained(&graph));
        let warnings: Vec<_> = unused.collect();
        let mut module = GraphModule::new(graph, tensors, device)?;
        module.add_warnings(warnings);
        Ok(module)
    }

    fn unused(&self, used: &[bool]) -> Option<String> {
        let names: Vec<_> =
            self.variables.iter().zip(used).filter(|(_, used)| !**used).map(|((name, _), _)| name).collect();
        (!names.is_empty()).then(|| format!("no output depends on {}: not part of the graph", names.join(", ")))
    }
}

/// The inputs that no operation reads, as where they are read in another thread.
fn unread(graph: &Graph) -> Option<String> {
    let read: BTreeSet<_> =
        graph.nodes().flat_map(|(_, node)| node.inputs()).chain(graph.outputs().iter().copied()).collect();
    let names: Vec<_> = graph
        .inputs()
        .iter()
        .filter(|&input| !read.contains(input))
        .map(|&input| graph.value(input).name.as_str())
        .collect();
    (!names.is_empty())
        .then(|| format!("no output depends on {}: whatever they are, the graph computes the same", names.join(", ")))
}

/// Whether no parameter can be trained, as where the whole of the closure runs in `no_grad`.
fn untrained(graph: &Graph) -> Option<String> {
    let is_parameter = |value: ValueId| graph.value(value).origin == Origin::Parameter;
    let mut reading = graph.nodes().filter(|(_, node)| node.inputs().any(is_parameter)).peekable();
    (reading.peek().is_some() && reading.all(|(_, node)| node.no_grad)).then(|| {
        "every parameter is read without gradients: call `no_grad` outside of the closure to train the graph".to_owned()
    })
}

fn renamed(argument: Argument, ids: &HashMap<usize, ValueId>) -> Argument {
    match argument {
        Argument::Value(version) => Argument::Value(ids[&version.index()]),
        Argument::Values(versions) => {
            Argument::Values(versions.into_iter().map(|version| version.map(|version| ids[&version.index()])).collect())
        }
        other => other,
    }
}
