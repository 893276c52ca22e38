//! What goes wrong with a program.

use crate::ReplyError;

/// Why a program gave no scores.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no program.
    #[error("the verifier `command` has no program: argv is empty")]
    NoProgram,
    /// A time that cannot be waited for.
    #[error("timeout_seconds of the verifier `command` is {found}, not above 0 and at most 86400")]
    Timeout {
        /// As it was given.
        found: f64,
    },
    /// The program could not be started.
    #[error("the verifier {program:?} does not start")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before it had answered everything.
    #[error(
        "the verifier {program:?} ended ({status}) with {open} answers to go, started {starts} times{stderr}"
    )]
    Ended {
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// Answers without a reward.
        open: usize,
        /// How often it was started in this batch, or was still running from the one before.
        starts: u32,
        /// The end of what it wrote there.
        stderr: StderrTail,
    },
    /// It did not answer in time.
    #[error(
        "the verifier {program:?} gave no answer for {seconds} s with {open} to go, {id:?} the first of them, started {starts} times{stderr}"
    )]
    Slow {
        /// Its name.
        program: String,
        /// How long it was waited for.
        seconds: f64,
        /// Answers without a reward.
        open: usize,
        /// The first one of them.
        id: String,
        /// How often it was started in this batch, or was still running from the one before.
        starts: u32,
        /// The end of what it wrote there.
        stderr: StderrTail,
    },
    /// A line of its output is wrong.
    #[error("line {line} of the verifier {program:?}{stderr}")]
    Line {
        /// Its name.
        program: String,
        /// From 1, since it was started.
        line: u64,
        /// What is wrong with it.
        source: ReplyError,
        /// The end of what it wrote there.
        stderr: StderrTail,
    },
    /// A line of its output is too long.
    #[error("line {line} of the verifier {program:?} is longer than {limit} bytes{stderr}")]
    LongLine {
        /// Its name.
        program: String,
        /// From 1, since it was started.
        line: u64,
        /// What a line may have.
        limit: u64,
        /// The end of what it wrote there.
        stderr: StderrTail,
    },
}

/// The end of what a program wrote to stderr, without control characters. Shown on lines of its own, if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StderrTail(pub String);

impl std::fmt::Display for StderrTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.0.trim().lines();
        lines
            .enumerate()
            .try_for_each(|(number, line)| match number {
                0 => write!(f, "; its last words:\n  {line}"),
                _ => write!(f, "\n  {line}"),
            })
    }
}
