//! Archives of graphs that no archive was read for, such as traced ones.

mod names;
mod program;
mod samples;

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use self::samples::Samples;
use super::error::Pt2Error;
use super::write::{self, Contents, Entry};
use crate::graph::verify::verify;
use crate::graph::{Graph, Node, Origin};
use crate::ids::ValueId;

/// The folder of all entries, and the name of the program.
const ROOT: &str = "archive";
const MODEL: &str = "model";

/// The folders of stored tensors, and what the entries of each are called.
const FOLDERS: [(&str, &str); 2] = [("weights", "weight"), ("constants", "tensor")];

/// What an archive says of itself.
const MARKS: [(&str, &str); 4] =
    [("archive_format", "pt2"), ("archive_version", "0"), (".data/version", "6"), ("byteorder", "little")];

/// What an archive says of a graph that the graph itself does not.
pub trait Source {
    /// How a value lies in memory.
    fn layout(&self, value: ValueId) -> Layout;

    /// How the operation of a node is called.
    fn call(&self, node: &Node) -> Result<Call, Pt2Error>;

    /// Writes the elements of an input, parameter, buffer or constant: row by row, little-endian.
    fn write(&self, value: ValueId, out: &mut dyn Write) -> io::Result<()>;
}

/// How a value lies in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The elements between neighbours in each dimension; what is stored lies row by row whatever is said here.
    pub strides: Vec<i64>,
    /// Whether gradients reach it.
    pub requires_grad: bool,
}

/// How an operation is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The arguments that are given by their names only.
    pub keywords: Vec<String>,
    /// What it returns, in order.
    pub returned: Vec<Returned>,
}

/// What an operation returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// A tensor.
    Tensor,
    /// A list of so many tensors.
    Tensors(usize),
    /// A number or something else that is no tensor.
    Other,
}

/// Writes a graph as an archive that `torch.export.load` reads and trains.
///
/// The program takes the inputs of the graph by position, and returns its outputs: the tensor itself where there is one.
/// Its sizes are those of the graph, the batch among them. The inputs that `source` writes are the sample inputs of the
/// archive. Nodes without gradients stand in sub-graphs that say so.
pub fn create(graph: &Graph, source: &dyn Source, path: &Path) -> Result<(), Pt2Error> {
    verify(graph).map_err(|error| Pt2Error::program("graph", error.to_string()))?;
    let program = program::json(graph, source)?.to_string();
    let samples = Samples::new(graph)?.archive(source);
    let samples = samples.map_err(|source| Pt2Error::Io { path: path.to_owned(), source })?;
    let stored = stored(graph);
    let lists = FOLDERS.map(|(folder, _)| {
        (format!("data/{folder}/{MODEL}_{folder}_config.json"), list(graph, &stored, folder, source))
    });
    let (program_name, samples_name) = (format!("models/{MODEL}.json"), format!("data/sample_inputs/{MODEL}.pt"));

    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (name, value) in &stored {
        let stream = move |out: &mut dyn Write| source.write(*value, out);
        entries.push((name, Contents::Stream(bytes(graph, *value)?, Box::new(stream))));
    }
    entries.extend(lists.iter().map(|(name, text)| (name.as_str(), text.as_bytes().into())));
    entries.push((&program_name, program.as_bytes().into()));
    entries.push((&samples_name, samples.as_slice().into()));
    entries.extend(MARKS.map(|(name, text)| (name, text.as_bytes().into())));
    write::write(path, ROOT, entries.into_iter().map(Ok))
}

/// The bytes of the elements of a value.
fn bytes(graph: &Graph, value: ValueId) -> Result<u64, Pt2Error> {
    let found = graph.value(value);
    let meta = &found.meta;
    let elements = meta.shape.iter().try_fold(meta.dtype.bytes() as u64, |all, &size| all.checked_mul(size as u64));
    elements.ok_or_else(|| Pt2Error::tensor(&found.name, format!("the shape {:?} is impossible", meta.shape)))
}

/// The tensors that are stored, each with its entry.
fn stored(graph: &Graph) -> Vec<(String, ValueId)> {
    let mut counts = [0; FOLDERS.len()];
    let mut entry = |value: ValueId| {
        let at = usize::from(graph.value(value).origin == Origin::Constant);
        let ((folder, name), number) = (FOLDERS[at], counts[at]);
        counts[at] += 1;
        format!("data/{folder}/{name}_{number}")
    };
    graph.stored().map(|(value, _)| (entry(value), value)).collect()
}

/// The entry that lists the tensors of a folder.
fn list(graph: &Graph, stored: &[(String, ValueId)], folder: &str, source: &dyn Source) -> String {
    let below = format!("data/{folder}/");
    let mut config = serde_json::Map::new();
    for (entry, value) in stored {
        let Some(path) = entry.strip_prefix(&below) else { continue };
        let found = graph.value(*value);
        let meta = program::meta(&found.meta, &program::layout(graph, *value, source));
        let is_param = found.origin == Origin::Parameter;
        let payload = json!({ "path_name": path, "is_param": is_param, "use_pickle": false, "tensor_meta": meta });
        config.insert(found.name.clone(), payload);
    }
    json!({ "config": config }).to_string()
}
