//! A process that answers requests, and is ended when it takes too long.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::request::Request;

/// The process of one side.
pub(super) struct Side {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    /// What it may still take for all its answers.
    left: Duration,
    limit: Duration,
}

/// Why there is no answer, in a line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Failure {
    /// The process says so.
    #[error("{0}")]
    Said(String),
    /// It was ended.
    #[error("not done within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It is over.
    #[error("the process ended: {0}")]
    Ended(String),
}

impl Side {
    /// Starts a process that may take `limit` for all its answers.
    pub(super) fn start(mut command: Command, limit: Duration) -> Result<Self, Failure> {
        let program = command.get_program().display().to_string();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| Failure::Ended(format!("{program}: {error}")))?;
        let requests = child.stdin.take().expect("standard input is a pipe");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let (sender, answers) = mpsc::channel();
        // A pipe cannot be read with a time limit: a thread does, until the process ends.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, requests, answers, left: limit, limit })
    }

    /// Asks within what is left of the limit.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        let start = Instant::now();
        let answer = self.ask_within(request, self.left);
        self.left = self.left.saturating_sub(start.elapsed());
        answer
    }

    /// Asks within a time of its own, which is not taken from the limit.
    pub(super) fn ask_within<T: DeserializeOwned>(&mut self, request: &Request, limit: Duration) -> Result<T, Failure> {
        let text = serde_json::to_string(request).expect("a request is JSON");
        if writeln!(self.requests, "{text}").and_then(|()| self.requests.flush()).is_err() {
            return Err(self.ended());
        }
        let line = match self.answers.recv_timeout(limit) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                return Err(Failure::TimedOut(limit.max(self.limit)));
            }
        };
        let understood = |line: &str| {
            let answer: Value = serde_json::from_str(line)?;
            if let Some(error) = answer["error"].as_str() {
                return Ok(Err(Failure::Said(error.to_owned())));
            }
            serde_json::from_value(answer).map(Ok)
        };
        understood(&line).unwrap_or_else(|error| Err(Failure::Said(format!("`{line}` is no answer: {error}"))))
    }

    /// What is left of the limit.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    fn ended(&mut self) -> Failure {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        Failure::Ended(status)
    }

    fn end(&mut self) {
        // One that is over already is no error to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::request::{Costs, Done};

    fn shell(script: &str, limit_ms: u64) -> Side {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Side::start(command, Duration::from_millis(limit_ms)).expect("there is a shell")
    }

    #[test]
    fn answers_come_in_turn_and_an_error_is_one() {
        let mut side = shell("read a; echo '{\"params\": 1, \"macs\": 2}'; read b; echo '{\"error\": \"no\"}'", 60_000);
        let costs: Costs = side.ask(&Request::Ready).expect("it answers");
        assert_eq!((costs.params, costs.macs), (1, 2));
        assert_eq!(side.ask::<Done>(&Request::Ready).expect_err("it says no"), Failure::Said("no".to_owned()));
    }

    #[test]
    fn what_hangs_is_ended_within_its_limit() {
        let mut side = shell("exec sleep 600", 50);
        let start = Instant::now();
        let failure = side.ask::<Done>(&Request::Groups).expect_err("it sleeps");
        assert_eq!(failure, Failure::TimedOut(Duration::from_millis(50)));
        assert!(start.elapsed() < Duration::from_mins(1));
        assert_eq!(side.left(), Duration::ZERO);
        assert!(side.ask::<Done>(&Request::Groups).is_err(), "it is over");
    }

    #[test]
    fn a_process_that_ends_says_how() {
        let failure = shell("read a; exit 3", 60_000).ask::<Done>(&Request::Ready).expect_err("it ends");
        assert_eq!(failure.to_string(), "the process ended: exit status: 3");
    }
}
