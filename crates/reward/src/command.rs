//! `command`: a program of the user's, one JSON object a line in and out.
//!
//! The program is started at the first batch and kept. It reads `{"id", "question", "completion", "gold"}` from each line
//! and writes `{"id", "reward"}` for each, in any order; a whole batch is sent before it has to answer anything. It has to
//! flush its output after each line, or at the end of what it can read. If it ends or is silent for too long it is started
//! again with what it has not answered, so it must not depend on what it saw before.
//!
//! Slowness is never a score: it is an error once the restarts are used up, so that results do not depend on a clock.

use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::external::{Batch, Reply, ReplyError, Request, beginning, seconds};
use crate::{Answer, GoldError, RewardError, Score, Verifier, verifier};

mod error;
mod process;

pub use error::{CommandError, StderrTail};
use process::{Output, Process};

/// Options of `command`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// The program and its arguments. No shell reads them.
    pub argv: Vec<String>,
    /// How long the next answer may take, the start of the program included.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: f64,
    /// How often the program is started again in one batch.
    #[serde(default = "default_restarts")]
    pub restarts: u32,
}

const fn default_timeout() -> f64 {
    60.0
}

const fn default_restarts() -> u32 {
    2
}

/// The verifier `command`.
#[derive(Debug)]
pub struct Command {
    argv: Vec<String>,
    timeout: Duration,
    restarts: u32,
    process: Mutex<Option<Process>>,
}

/// Why an exchange stopped before all answers had a reward.
enum Stop {
    /// Starting again may help.
    Ended,
    Slow,
    /// The program is wrong.
    Reply(u64, ReplyError),
    LongLine(u64),
}

impl Command {
    /// Starts nothing yet.
    ///
    /// # Errors
    /// [`CommandError`] for options that cannot be meant.
    pub fn new(settings: &CommandSettings) -> Result<Self, CommandError> {
        if settings.argv.first().is_none_or(String::is_empty) {
            return Err(CommandError::NoProgram);
        }
        let timeout = seconds(settings.timeout_seconds).ok_or(CommandError::Timeout {
            found: settings.timeout_seconds,
        })?;
        Ok(Self {
            argv: settings.argv.clone(),
            timeout,
            restarts: settings.restarts,
            process: Mutex::new(None),
        })
    }

    fn program(&self) -> String {
        self.argv.first().cloned().unwrap_or_default()
    }

    /// Sends what is open and takes the replies, from as many processes as it may take.
    fn run(&self, batch: &mut Batch<'_>) -> Result<(), CommandError> {
        let mut kept = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let mut starts = 1;
        loop {
            let mut process = match kept.take() {
                Some(process) => process,
                None => self.start()?,
            };
            let stop = match self.exchange(&mut process, batch) {
                Ok(()) => {
                    *kept = Some(process);
                    return Ok(());
                }
                Err(stop) => stop,
            };
            let again = matches!(stop, Stop::Ended | Stop::Slow) && starts <= self.restarts;
            let (status, stderr) = process.stop(matches!(stop, Stop::Ended));
            if !again {
                return Err(self.error(stop, batch, starts, status, stderr));
            }
            starts += 1;
        }
    }

    fn start(&self) -> Result<Process, CommandError> {
        Process::start(&self.argv).map_err(|source| CommandError::Start {
            program: self.program(),
            source,
        })
    }

    fn exchange(&self, process: &mut Process, batch: &mut Batch<'_>) -> Result<(), Stop> {
        match process.pending() {
            None => {}
            Some(Output::Line(number, line)) => {
                let text = beginning(&line);
                return Err(Stop::Reply(number, ReplyError::Unasked { text }));
            }
            Some(Output::LongLine(number)) => return Err(Stop::LongLine(number)),
            Some(Output::End) => return Err(Stop::Ended),
        }
        process.send(lines(batch.open()));
        while batch.open().next().is_some() {
            let output = process.next(self.timeout).ok_or(Stop::Slow)?;
            match output {
                Output::Line(number, line) => Reply::from_json(&line)
                    .and_then(|reply| batch.take(reply))
                    .map_err(|error| Stop::Reply(number, error))?,
                Output::LongLine(number) => return Err(Stop::LongLine(number)),
                Output::End => return Err(Stop::Ended),
            }
        }
        Ok(())
    }

    fn error(
        &self,
        stop: Stop,
        batch: &Batch<'_>,
        starts: u32,
        status: Option<ExitStatus>,
        stderr: String,
    ) -> CommandError {
        let (program, stderr) = (self.program(), StderrTail(stderr));
        let open = batch.open().count();
        match stop {
            Stop::Ended => CommandError::Ended {
                program,
                status: status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
                open,
                starts,
                stderr,
            },
            Stop::Slow => CommandError::Slow {
                program,
                seconds: self.timeout.as_secs_f64(),
                open,
                id: batch
                    .open()
                    .next()
                    .map_or("", |answer| answer.id)
                    .to_owned(),
                starts,
                stderr,
            },
            Stop::Reply(line, source) => CommandError::Line {
                program,
                line,
                source,
                stderr,
            },
            Stop::LongLine(line) => CommandError::LongLine {
                program,
                line,
                limit: process::MAX_LINE,
                stderr,
            },
        }
    }
}

/// One JSON object a line.
fn lines<'a>(answers: impl Iterator<Item = &'a Answer<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    for answer in answers {
        let request = serde_json::to_value(Request::new(answer)).unwrap_or_default();
        out.extend(request.to_string().bytes());
        out.push(b'\n');
    }
    out
}

impl Verifier for Command {
    fn id(&self) -> String {
        format!("command {:?} 1", self.argv)
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        verifier::present(gold).map(drop)
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        let mut batch = Batch::new(answers)?;
        if !answers.is_empty() {
            self.run(&mut batch)?;
        }
        Ok(batch.into_scores())
    }
}
