//! What skipping saves: iterative pruning that trains only after the steps that pruned something, beside the same that trains after every
//! step, over networks, schedulers and `round_to`.

mod networks;
mod options;
mod page;
mod plot;
mod row;
mod run;
mod store;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};

use pruner_core::iterative::IterativeError;
use pruner_core::pruner::PruneError;
use pruner_core::registry::RegistryError;
use pruner_core::trace::TraceError;
use tch::TchError;

pub use networks::Net;
pub use options::{Options, Scale};
pub use row::{Outcome, Row, Setting};
pub use store::{About, Results};

use crate::data::DataError;
use crate::demo::{DemoError, DeviceError};
use crate::files::{self, FileError, say};
use crate::train::TrainError;

/// Why measuring stopped. What was measured before is kept, and the next run goes on from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SkipError {
    /// A file cannot be read or written, or has something else in it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder holds what was measured elsewhere or otherwise.
    #[error(
        "{} holds results of another machine or scale: name another folder with `--results`, or delete it", dir.display()
    )]
    About {
        /// The folder.
        dir: PathBuf,
    },
    /// No scheduler has this name.
    #[error(transparent)]
    Scheduler(#[from] RegistryError),
    /// The device is not there.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The images are not found.
    #[error(transparent)]
    Images(#[from] Box<DemoError>),
    /// The images cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A network cannot be traced.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A network cannot be pruned.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A run stopped before its end.
    #[error(transparent)]
    Iterative(#[from] IterativeError),
    /// The plot cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Plot(String),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

const PAGE: &str = "skip.md";
const PLOT: &str = "skip.svg";

/// Measures what is asked for and is not there yet, and writes the page and the plot of all that was measured. Tells in `text` how far it is.
pub fn run(options: &Options, text: &mut dyn Write) -> Result<(), SkipError> {
    if !options.page {
        run::measure(options, text)?;
    }
    let Some(docs) = options.docs_dir() else { return Ok(()) };
    write_page(&options.results_dir(), &docs)?;
    Ok(say(text, &format!("see {} and {}", docs.join(PAGE).display(), docs.join(PLOT).display()))?)
}

fn write_page(results: &Path, docs: &Path) -> Result<(), SkipError> {
    let all = store::read_all(results)?;
    files::create_dir(docs)?;
    files::write(docs.join(PAGE), page::page(&all))?;
    Ok(files::write(docs.join(PLOT), plot::plot(&all)?)?)
}
