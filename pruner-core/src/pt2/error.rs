//! Why an archive cannot be read or written.

use std::io;
use std::path::PathBuf;

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pt2Error {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no archive, or a damaged one.
    #[error("{}: no whole `.pt2` archive: {what}; write it again with `torch.export.save`", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An entry of the archive is missing or not as it should be.
    #[error("entry `{entry}`: {what}")]
    Entry {
        /// The entry, without the root folder of the archive.
        entry: String,
        /// What is wrong with it.
        what: String,
    },
    /// An entry is no JSON of the kind expected.
    #[error("entry `{entry}`: {source}")]
    Json {
        /// The entry, without the root folder of the archive.
        entry: String,
        /// Where, and what was expected.
        source: serde_json::Error,
    },
    /// The program was written in another version of the schema.
    #[error(
        "the program has schema version {major}.{minor}, and {} is read: export the model again with torch 2.11",
        accepted()
    )]
    Schema {
        /// The major version.
        major: u64,
        /// The minor version.
        minor: u64,
    },
    /// A tensor is stored as a pickle.
    #[error("`{name}` is stored as a pickle, which is never read: export a model whose weights are plain tensors")]
    Pickle {
        /// The name of the parameter, buffer or constant.
        name: String,
    },
    /// The metadata of a stored tensor contradicts its bytes.
    #[error("stored tensor `{name}`: {what}")]
    Tensor {
        /// The name of the parameter, buffer or constant.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A safetensors file cannot be read or written, or its tensors are not the archive's.
    #[error("{}: {what}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The program is not well formed, or uses what has no place in a graph.
    #[error("program, {place}: {what}")]
    Program {
        /// The node, value or list.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A size that the program works out by itself would have to be another.
    #[error("{node}: argument `{argument}` is worked out from symbolic sizes and cannot become {size}")]
    Symbolic {
        /// The node.
        node: String,
        /// The argument.
        argument: String,
        /// The size that it must have.
        size: i64,
    },
    /// The analysis is of another graph.
    #[error("the analysis is of another graph than the archive's: analyse the graph that was read from it")]
    OtherGraph,
}

/// The versions of the schema that are read.
fn accepted() -> String {
    let (major, minor) = super::schema::ACCEPTED;
    format!("{major}.0 to {major}.{minor} (and later minor versions)")
}

impl Pt2Error {
    pub(super) fn entry(entry: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Entry { entry: entry.into(), what: what.into() }
    }

    pub(super) fn tensor(name: &str, what: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), what: what.into() }
    }

    pub(super) fn program(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Program { place: place.into(), what: what.into() }
    }
}
