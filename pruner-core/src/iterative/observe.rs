//! Who looks on while a run goes: logs, bars, and what users bring.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::events::{Event, History};
use crate::files::{persist, temporary};

/// How far the work of the moment is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The step that is being made, or was made last.
    pub step: usize,
    /// The steps of the run.
    pub steps: usize,
    /// What is being done.
    pub doing: Doing,
}

impl Progress {
    pub(super) fn new(step: usize, steps: usize, doing: Doing) -> Self {
        Self { step, steps, doing }
    }
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Doing {
    /// It scores, plans and cuts.
    Pruning,
    /// It trains.
    Training {
        /// Which epoch after the step, from 1.
        epoch: usize,
        /// How many there are after the step.
        epochs: usize,
        /// Whether it is one of those after the last step.
        is_final: bool,
        /// The part of the epoch that is over.
        done: f64,
    },
    /// It judges the network.
    Evaluating,
}

/// Is told what happens in a run.
pub trait Observer {
    /// Something happened. An error ends the run; one with a checkpoint can go on from the part of the work before.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// The run goes on from a checkpoint; these are the events up to it, the last of which says so.
    fn resumed(&mut self, history: &History) -> io::Result<()> {
        history.events().last().map_or(Ok(()), |event| self.event(event))
    }

    /// How far the work is.
    fn progress(&mut self, progress: Progress) {
        let _ = progress;
    }
}

/// A closure that is told every event.
impl<F: FnMut(&Event)> Observer for F {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self(event);
        Ok(())
    }
}

/// Writes every event as a line of JSON, as soon as it happens.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl JsonLines {
    /// Writes to a file. What stands there is replaced with the first event; a run that goes on from a checkpoint begins it
    /// with the events before.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn begin(&mut self, events: &[Event]) -> io::Result<()> {
        let mut file = BufWriter::new(temporary(&self.path)?);
        events.iter().try_for_each(|event| write(&mut file, event))?;
        persist(file.into_inner().map_err(io::IntoInnerError::into_error)?, &self.path)?;
        self.file = Some(BufWriter::new(File::options().append(true).open(&self.path)?));
        Ok(())
    }
}

impl Observer for JsonLines {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.file {
            Some(file) => {
                write(file, event)?;
                file.flush()
            }
            None => self.begin(std::slice::from_ref(event)),
        }
    }

    fn resumed(&mut self, history: &History) -> io::Result<()> {
        self.begin(history.events())
    }
}

fn write(out: &mut dyn io::Write, event: &Event) -> io::Result<()> {
    writeln!(out, "{}", event.to_json_line()?)
}
