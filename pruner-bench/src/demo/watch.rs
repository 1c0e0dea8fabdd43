//! How far a part of the demonstration is: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::prune::{Pruned, Step};
use super::show::Show;

/// Who looks on while a network is pruned.
pub(super) trait Watch {
    /// The part of the run that is over.
    fn part(&mut self, done: f64);

    /// A step that is over with its training.
    fn step(&mut self, step: &Step);

    /// The training after the last step is over.
    fn finish(&mut self, run: &Pruned);
}

/// The finest part of the work that moves the bar.
const PARTS: u64 = 1000;

/// A bar on standard error; it is gone once it is dropped.
pub(super) struct Bar<'a, 'b> {
    bar: ProgressBar,
    rows: Option<&'a mut Show<'b>>,
}

impl<'a, 'b> Bar<'a, 'b> {
    /// A bar at its beginning.
    pub(super) fn new(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("   {msg} [{bar:24}] {percent:>3} %, {eta} left")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        // Indicatif shows nothing where standard error is no terminal.
        let bar = ProgressBar::new(PARTS).with_style(style).with_message(what).with_finish(ProgressFinish::AndClear);
        Self { bar, rows: None }
    }

    /// With a row of the table for every step.
    pub(super) fn with_rows(self, rows: &'a mut Show<'b>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// Moves it to where a part of the work is over.
    pub(super) fn set(&self, done: f64) {
        self.bar.set_position((done * PARTS as f64) as u64);
    }
}

impl Watch for Bar<'_, '_> {
    fn part(&mut self, done: f64) {
        self.set(done);
    }

    fn step(&mut self, step: &Step) {
        if let Some(rows) = &mut self.rows {
            self.bar.suspend(|| rows.row(step));
        }
    }

    fn finish(&mut self, run: &Pruned) {
        if let Some(rows) = &mut self.rows {
            self.bar.suspend(|| rows.finish(run));
        }
    }
}
