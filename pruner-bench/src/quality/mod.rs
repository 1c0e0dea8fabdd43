//! How good pruned networks are: real small ones, trained on all of Fashion-MNIST, and a sentence encoder, by every criterion and
//! scope, beside Torch-Pruning on the same trained networks.

mod criteria;
mod cut;
mod dense;
mod encoder;
mod measure;
mod models;
mod options;
mod page;
mod peer;
mod plot;
mod progress;
mod row;
mod store;
mod workers;

use std::io::Write;
use std::path::{Path, PathBuf};

use pruner_core::calibration::CalibrationError;
use pruner_core::exec::{ExecError, LoadError, SaveError};
use pruner_core::pruner::PruneError;
use pruner_core::pt2::Pt2Error;
use pruner_core::trace::TraceError;
use tch::TchError;

pub use criteria::Criterion;
pub use models::Model;
pub use options::{Options, Scale};
pub use progress::Work;
pub use row::{Accuracies, Cell, Cosine, Dense, Encoded, Outcome, Part, Row, Tool};
pub use store::{About, Results, Store};

use crate::data::DataError;
use crate::files::{self, FileError, say};
use crate::train::TrainError;

/// The libtorch that `tch` is made for.
const LIBTORCH: &str = "2.11.0";

/// Why measuring stopped. What was measured before is kept, and the next run goes on from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// A file cannot be read or written, or has something else in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder holds what was measured with other numbers of images.
    #[error("{} holds results of another scale: name another folder with `--results`, or delete it", dir.display())]
    Scale {
        /// The folder.
        dir: PathBuf,
    },
    /// A network whose weights were lost comes out otherwise when it is trained again.
    #[error(
        "{model} {seed} was trained to an accuracy of {before} when its cells were measured, and now to {after}: bring the weights of that \
         time, or delete the results"
    )]
    Retrained {
        /// The name of the network.
        model: &'static str,
        /// Its seed.
        seed: u64,
        /// Its accuracy then.
        before: f64,
        /// And now.
        after: f64,
    },
    /// A job in Python failed; it said why on standard error.
    #[error("the Python job `{job}` failed: {why}")]
    Python {
        /// The job.
        job: String,
        /// How it ended.
        why: String,
    },
    /// The sentence encoder returns nothing.
    #[error("the sentence encoder returns no embedding")]
    NoEmbedding,
    /// The plot cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Plot(String),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A network cannot be cut.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// Statistics of batch norms cannot be measured.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A network cannot be run.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// An archive cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An archive cannot be read.
    #[error(transparent)]
    Pt2(#[from] Pt2Error),
    /// The program of an archive cannot be made to run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// Measures what is asked for and is not there yet, and writes the page and the plot. Tells in `text` what will be done.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<(), QualityError> {
    let mut store = Store::open(options.results_dir())?;
    if !options.page {
        let threads = measure::cores();
        let versions = measure::versions(options)?;
        store.set_about(About { scale: options.scale(), threads, versions })?;
        measure::measure(options, &mut store, text)?;
    }
    let docs = options.docs_dir();
    write_page(&store, &docs)?;
    Ok(say(text, &format!("see {} and {}", docs.join(PAGE).display(), docs.join(PLOT).display()))?)
}

const PAGE: &str = "quality.md";
const PLOT: &str = "quality.svg";

fn write_page(store: &Store, docs: &Path) -> Result<(), QualityError> {
    files::create_dir(docs)?;
    files::write(docs.join(PAGE), page::page(store.results()))?;
    Ok(files::write(docs.join(PLOT), plot::plot(store.results())?)?)
}

#[cfg(test)]
mod tests;
