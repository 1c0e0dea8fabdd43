//! Both sides by turns on one model.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use super::request::{Costs, Done, Grouped, OwnStep, Request, Stepped};
use super::row::{Own, Peer, Row};
use super::side::{Failure, Side};
use super::{CompareError, THREADS};
use crate::files::FileError;

/// What a start may take beside the limit of a model: Python imports much and makes the model.
const START: Duration = Duration::from_mins(3);

/// What is measured with.
pub(super) struct Bench<'a> {
    pub(super) python: &'a Path,
    /// Where archives are kept.
    pub(super) work: &'a Path,
    pub(super) rounds: usize,
    /// What Torch-Pruning may take for one model.
    pub(super) limit: Duration,
}

impl Bench<'_> {
    /// Measures a model. The side that begins changes from round to round.
    pub(super) fn measure(&self, model: &str) -> Result<Row, CompareError> {
        let archive = self.archive(model)?;
        let mut own = self.own(&archive)?;
        let before: Costs = answered(model, own.ask(&Request::Count { archive: archive.clone() }))?;
        let mut row = Row {
            model: model.to_owned(),
            params: before.params,
            macs: before.macs,
            own: Own::default(),
            peer: Peer::default(),
        };
        let threads = THREADS.to_string();
        let command = job(self.python, [OsStr::new("serve"), model.as_ref(), "--threads".as_ref(), threads.as_ref()]);
        let mut rival = Rival { side: Side::start(command, self.limit), spent: Duration::ZERO };
        if let Ok(side) = &mut rival.side
            && let Err(failure) = side.ask_within::<Done>(&Request::Ready, START)
        {
            rival.side = Err(failure);
        }
        for round in 0..=self.rounds {
            // Each has the first turn in every other round.
            if round % 2 == 0 {
                own_turn(model, &mut own, &mut row.own)?;
                rival.turn(round, &mut row.peer);
            } else {
                rival.turn(round, &mut row.peer);
                own_turn(model, &mut own, &mut row.own)?;
            }
            if round == 0 && !row.peer.step_ms.0.is_empty() {
                self.count_rival(model, &mut rival, &mut own, &mut row.peer);
            }
        }
        Ok(row)
    }

    /// Counts what Torch-Pruning left, as we count.
    fn count_rival(&self, model: &str, rival: &mut Rival, own: &mut Side, peer: &mut Peer) {
        let cut = self.work.join(format!("{model}.peer.pt2"));
        let counted = rival.export(&cut).and_then(|()| own.ask::<Costs>(&Request::Count { archive: cut }));
        match counted {
            Ok(costs) => peer.macs_left = Some(costs.macs),
            Err(failure) => drop(peer.failures.insert("cut model".to_owned(), failure.to_string())),
        }
    }

    /// The archive of a model, exported if it is not there yet.
    fn archive(&self, model: &str) -> Result<PathBuf, CompareError> {
        let archive = self.work.join(format!("{model}.pt2"));
        if !archive.exists() {
            // What is cut short leaves no archive that would be taken for a whole one.
            let new = self.work.join(format!("{model}.new.pt2"));
            let mut command = job(self.python, [OsStr::new("export"), model.as_ref(), new.as_ref()]);
            let status = command.status().map_err(|error| CompareError::python("export", &error.to_string()))?;
            if !status.success() {
                return Err(CompareError::python(&format!("export {model}"), &status.to_string()));
            }
            fs::rename(&new, &archive).map_err(FileError::write(&archive))?;
        }
        Ok(archive)
    }

    /// The process of our own side, which is this program.
    fn own(&self, archive: &Path) -> Result<Side, CompareError> {
        let program = env::current_exe().map_err(FileError::read("the path of this program"))?;
        let mut command = Command::new(program);
        command.arg("--serve").arg(archive);
        // A step of ours has no limit of its own: what is too slow is to be seen.
        Side::start(command, START + self.limit * 10)
            .map_err(|failure| CompareError::Own { model: archive.display().to_string(), why: failure.to_string() })
    }
}

/// What Torch-Pruning still does; once it was ended, nothing.
struct Rival {
    side: Result<Side, Failure>,
    spent: Duration,
}

impl Rival {
    /// One round, unless it would go beyond the limit judging by the rounds before.
    fn turn(&mut self, round: usize, peer: &mut Peer) {
        let Ok(side) = &mut self.side else {
            self.tell(peer);
            return;
        };
        if round > 0 && side.left() < self.spent / (round as u32) {
            return;
        }
        let before = side.left();
        if !peer.failures.contains_key("groups") {
            match side.ask::<Grouped>(&Request::Groups) {
                Ok(found) => {
                    peer.groups = Some(found.groups);
                    peer.groups_ms.0.push(found.groups_ms);
                    peer.forward_ms.0.push(found.forward_ms);
                }
                Err(_) if !peer.groups_ms.0.is_empty() => {}
                Err(failure) => drop(peer.failures.insert("groups".to_owned(), failure.to_string())),
            }
        }
        if !peer.failures.contains_key("step") {
            match side.ask::<Stepped>(&Request::Step) {
                Ok(made) => {
                    peer.step_ms.0.push(made.step_ms);
                    peer.grown_bytes = peer.grown_bytes.max(Some(made.grown_bytes));
                    peer.params_left = Some(made.params);
                }
                // Ended in a later round, it was measured in those before.
                Err(_) if !peer.step_ms.0.is_empty() => {}
                Err(failure) => drop(peer.failures.insert("step".to_owned(), failure.to_string())),
            }
        }
        self.spent += before.saturating_sub(side.left());
    }

    fn export(&mut self, archive: &Path) -> Result<(), Failure> {
        let request = Request::Export { archive: archive.to_owned() };
        self.side.as_mut().map_err(|failure| failure.clone())?.ask_within::<Done>(&request, START).map(drop)
    }

    fn tell(&self, peer: &mut Peer) {
        if let Err(failure) = &self.side {
            peer.failures.insert("start".to_owned(), failure.to_string());
        }
    }
}

fn own_turn(model: &str, side: &mut Side, own: &mut Own) -> Result<(), CompareError> {
    let found: Grouped = answered(model, side.ask(&Request::Groups))?;
    own.groups = found.groups;
    own.read_ms.0.push(found.read_ms);
    own.groups_ms.0.push(found.groups_ms);
    let made: Stepped = answered(model, side.ask(&Request::Step))?;
    own.step_ms.0.push(made.step_ms);
    own.grown_bytes = own.grown_bytes.max(made.grown_bytes);
    own.params_left = made.params;
    if let Some(OwnStep { score_ms, plan_ms, apply_ms, copy_ms, tensor_copy_ms, bytes, bytes_kept, macs }) = made.own {
        own.score_ms.0.push(score_ms);
        own.plan_ms.0.push(plan_ms);
        own.apply_ms.0.push(apply_ms);
        own.copy_ms.0.push(copy_ms);
        own.tensor_copy_ms.0.push(tensor_copy_ms);
        (own.bytes, own.bytes_kept, own.macs_left) = (bytes, bytes_kept, macs);
    }
    Ok(())
}

fn answered<T>(model: &str, answer: Result<T, Failure>) -> Result<T, CompareError> {
    answer.map_err(|failure| CompareError::Own { model: model.to_owned(), why: failure.to_string() })
}

/// A job of the Python side, which the path of Python's modules has to hold.
pub(super) fn job<'a>(python: &Path, args: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "compare"]).args(args).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}
