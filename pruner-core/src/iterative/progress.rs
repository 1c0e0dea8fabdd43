//! A bar on the terminal for a run.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::observe::{Doing, Observer, Progress};
use crate::events::Event;

/// The parts of a step that move the bar.
const PARTS: u64 = 100;

/// A bar on standard error that says which step is made and how good the network is; nothing where it is no terminal. It goes away with
/// the run.
#[derive(Debug)]
pub struct Bars {
    bar: ProgressBar,
    measure: String,
    quality: Option<f64>,
}

impl Default for Bars {
    fn default() -> Self {
        let style = "{spinner} {bar:30} {msg} {elapsed}";
        let bar = ProgressBar::no_length();
        bar.set_style(ProgressStyle::with_template(style).expect("the template is well formed"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, measure: String::new(), quality: None }
    }
}

impl Bars {
    fn say(&self, what: &str) {
        let quality = self.quality.map(|quality| format!(", {} {quality:.4}", self.measure)).unwrap_or_default();
        self.bar.set_message(format!("{what}{quality}"));
    }
}

impl Observer for Bars {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Started { measure, .. } => self.measure.clone_from(measure),
            Event::Evaluated { quality, .. } => self.quality = Some(*quality),
            Event::Skipped { step, .. } => self.say(&format!("step {step} pruned nothing: not trained")),
            Event::Stopped { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        Ok(())
    }

    fn resumed(&mut self, history: &crate::events::History) -> io::Result<()> {
        history.events().iter().try_for_each(|event| self.event(event))
    }

    fn progress(&mut self, Progress { step, steps, doing }: Progress) {
        let before = PARTS * step.saturating_sub(1) as u64;
        let (place, what) = match doing {
            Doing::Pruning => (before, "pruning".to_owned()),
            Doing::Training { epoch, epochs, is_final, done } => {
                let part = (epoch.saturating_sub(1) as f64 + done) / epochs.max(1) as f64;
                let place = if is_final { PARTS * steps as u64 } else { before + (PARTS as f64 * part) as u64 };
                (place, format!("{} epoch {epoch} of {epochs}", if is_final { "last training," } else { "training," }))
            }
            Doing::Evaluating => (self.bar.position().max(before), "evaluating".to_owned()),
        };
        self.bar.set_length(PARTS * steps as u64);
        self.bar.set_position(place);
        self.say(&format!("step {step} of {steps}: {what}"));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
