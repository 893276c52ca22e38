//! The exit codes, one table for all commands; README.md shows the same.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done, or it holds.
    Done,
    /// 1: the answer is no. The input was read and is not what it has to be: another base, a broken file.
    No,
    /// 2: could not find out: usage, a missing file, I/O, the environment.
    Unknown,
    /// 3: nothing is wrong as far as it could be found out, and something that was asked for could not be.
    Inconclusive,
}

impl Exit {
    /// Prints what clap has to say, which may be the help page that was asked for.
    pub(crate) fn from_usage(error: &clap::Error) -> Self {
        // A closed stdout or stderr leaves nobody to tell.
        let _closed = error.print();
        if error.use_stderr() {
            Self::Unknown
        } else {
            Self::Done
        }
    }
}

/// Ends the process as an interrupted one ends (128 + SIGINT).
#[expect(clippy::exit, reason = "a second interruption wants no cleaning up")]
pub(crate) fn interrupted() -> ! {
    std::process::exit(130)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Unknown => 2,
            Exit::Inconclusive => 3,
        })
    }
}
