//! Archives of `torch.export` (`.pt2`): read into a graph, cut, written back for `torch.export.load`.
//!
//! An archive is a zip of stored entries below one root folder: the program (`models/….json`), the bytes of every stored
//! tensor (`data/weights/…`, `data/constants/…`) and lists of what these are, and sample inputs. The file is mapped, so
//! that bytes are read when they are used; checksums of entries are not compared, since PyTorch may be told to write none. Of
//! the program, what the analysis needs is parsed and remembered with the place where it stands; writing edits the text in
//! those places. No pickle is ever read: the sample inputs are copied, and tensors that are stored as pickles are refused.
//!
//! Symbolic sizes have the value in the graph that they had when the program was exported. What they keep from being cut
//! is pinned by nodes `aten::sym_size`, which the program need not have. Sub-graphs that only set a mode are inlined, and
//! what the program changes of its variables at its end is copied to them by nodes `aten::copy_`.
//!
//! [`create`] writes the archive of a graph that came from elsewhere.
//!
//! ```no_run
//! use pruner_core::deps::{Analysis, Group as _, Kept};
//! use pruner_core::pt2::{Mode, Pt2};
//!
//! let model = Pt2::open("model.pt2".as_ref())?;
//! let analysis = Analysis::new(model.graph())?;
//! let mut kept = Kept::all();
//! for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.size() > 1) {
//!     kept.remove(&analysis, group.id(), &[0]);
//! }
//! model.write(&analysis, &kept, Mode::AsExported, "small.pt2".as_ref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod arguments;
mod codes;
mod create;
mod cut;
mod edits;
mod error;
mod map;
mod nodes;
mod patch;
mod payload;
mod read;
mod schema;
mod sites;
mod span;
mod stored;
mod strides;
mod symbols;
mod weights;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

pub use create::{Call, Layout, Returned, Source, create};
pub use error::Pt2Error;
pub use nodes::SWITCHES;
pub use payload::StoredTensor;

use self::archive::Archive;
use self::cut::Cut;
use self::edits::Edits;
use self::read::Program;
use self::stored::StoredList;
use self::write::Contents;
use crate::deps::{Analysis, Kept};
use crate::graph::{Graph, Origin};
use crate::ids::ValueId;

/// An exported program with its tensors, mapped from a file.
#[derive(Debug)]
pub struct Pt2 {
    archive: Archive,
    /// The entry of the program.
    entry: String,
    program: Program,
    lists: Vec<StoredList>,
}

/// How batch norm and dropout are written: an exported program cannot be switched once it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As they were exported.
    #[default]
    AsExported,
    /// So that they train.
    Train,
}

impl Pt2 {
    /// Maps an archive and reads its program.
    pub fn open(path: &Path) -> Result<Self, Pt2Error> {
        let archive = Archive::open(path)?;
        let model = archive.model()?;
        let entry = format!("models/{model}.json");
        let lists = read::lists(&archive, &model)?;
        let program = read::read(archive.json(&entry)?, &entry, &lists)?;
        Ok(Self { archive, entry, program, lists })
    }

    /// The program as a graph.
    pub fn graph(&self) -> &Graph {
        &self.program.graph
    }

    /// What of the program its graph does not say, each with the node: autocast that is on. What is written still has it.
    pub fn warnings(&self) -> &[String] {
        &self.program.warnings
    }

    /// How a parameter, buffer or constant is laid out in the bytes of its entry, and those bytes; little-endian.
    pub fn tensor(&self, value: ValueId) -> Option<(&StoredTensor, &[u8])> {
        let tensor = self.program.stored.get(&value)?;
        Some((tensor, self.archive.bytes(&tensor.entry).ok()?))
    }

    /// Writes the archive of what is left. All that the cut does not touch is written as it was.
    pub fn write(&self, analysis: &Analysis, kept: &Kept, mode: Mode, path: &Path) -> Result<(), Pt2Error> {
        self.check(analysis)?;
        let cut = Cut::new(&self.program, analysis, kept);
        let left = analysis.rewrite(kept);
        let text = self.archive.json(&self.entry)?;
        let mut texts = BTreeMap::new();
        let program = patch::program(&self.program, text, &left, &cut, mode == Mode::Train)?;
        texts.insert(self.entry.as_str(), program);
        for list in &self.lists {
            let mut edits = Edits::default();
            for (name, stored) in &list.tensors {
                let Some(tensor) = cut.entry(&stored.tensor.entry).and_then(|(value, _)| cut.tensor(value)) else {
                    continue;
                };
                let symbolic = |size| Pt2Error::tensor(name, format!("its size cannot become {size}"));
                patch::sizes(&mut edits, &stored.sizes, &tensor.meta.shape).map_err(symbolic)?;
                patch::sizes(&mut edits, &stored.strides, &tensor.strides).map_err(symbolic)?;
                patch::sizes(&mut edits, std::slice::from_ref(&stored.offset), &[0]).map_err(symbolic)?;
            }
            texts.insert(&list.entry, edits.apply(self.archive.json(&list.entry)?));
        }
        write::write(
            path,
            self.archive.root(),
            self.archive.names().iter().map(|name| {
                if let Some(text) = texts.remove(name.as_str()) {
                    return Ok((name.as_str(), text.into()));
                }
                let bytes = self.archive.bytes(name)?;
                let Some((value, positions)) = cut.entry(name) else { return Ok((name, bytes.into())) };
                let tensor = &self.program.stored[&value];
                let positions = positions.clone();
                let size = tensor.cut_bytes(&positions);
                Ok((name, Contents::Stream(size, Box::new(move |out| tensor.gather(bytes, &positions, out)))))
            }),
        )
    }

    /// Writes the archive with zeros in every parameter where a cut takes something away, and nothing smaller: what
    /// the cut program is to be compared with.
    pub fn write_masked(&self, analysis: &Analysis, kept: &Kept, path: &Path) -> Result<(), Pt2Error> {
        self.check(analysis)?;
        let cut = Cut::new(&self.program, analysis, kept);
        write::write(
            path,
            self.archive.root(),
            self.archive.names().iter().map(|name| {
                let bytes = self.archive.bytes(name)?;
                let trained = |value: ValueId| self.program.graph.value(value).origin == Origin::Parameter;
                let Some((value, positions)) = cut.entry(name).filter(|(value, _)| trained(*value)) else {
                    return Ok((name.as_str(), bytes.into()));
                };
                let tensor = &self.program.stored[&value];
                let positions = positions.clone();
                let stream = move |out: &mut dyn std::io::Write| out.write_all(&tensor.masked(bytes, &positions));
                Ok((name, Contents::Stream(bytes.len() as u64, Box::new(stream))))
            }),
        )
    }

    /// That an analysis is of the graph of this archive.
    fn check(&self, analysis: &Analysis) -> Result<(), Pt2Error> {
        let (own, other) = (self.graph(), analysis.graph());
        let values = own.values().len() == other.values().len()
            && own.values().zip(other.values()).all(|((_, own), (_, other))| own == other);
        let nodes = own.nodes().len() == other.nodes().len()
            && own.nodes().zip(other.nodes()).all(|((_, own), (_, other))| own.op == other.op);
        if values && nodes { Ok(()) } else { Err(Pt2Error::OtherGraph) }
    }
}
