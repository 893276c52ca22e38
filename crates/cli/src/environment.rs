//! Threads, cache and progress, from the options that several commands share.

use std::num::NonZero;
use std::thread;

use tlora_rebuild::{BasisNote, Cache, Run};

use crate::arguments::{CacheOptions, DtypeOption, RunOptions};
use crate::escape::Untrusted;
use crate::failure::Failure;
use crate::progress::Bar;
use crate::terminal::warn;

/// What a command that computes needs.
pub(crate) struct Environment {
    pub(crate) bar: Bar,
    threads: NonZero<usize>,
    cache: Option<Cache>,
}

impl Environment {
    /// Checks that this machine computes as it must, before anything else.
    pub(crate) fn new(cache: &CacheOptions, run: &RunOptions) -> Result<Self, Failure> {
        tlora_basis::self_test()?;
        let threads = run
            .threads
            .and_then(|threads| NonZero::new(usize::from(threads)));
        let threads = threads
            .or_else(|| thread::available_parallelism().ok())
            .unwrap_or(NonZero::<usize>::MIN);
        let cache = if cache.no_cache {
            None
        } else {
            Cache::open(cache.cache_dir.clone())
        };
        Ok(Self {
            bar: Bar::new(run.quiet),
            threads,
            cache,
        })
    }

    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            threads: self.threads,
            cache: self.cache.as_ref(),
            progress: &self.bar,
        }
    }
}

/// Warns about bases that are not quite what one expects.
pub(crate) fn warn_about(notes: &[BasisNote]) {
    for note in notes {
        let module = Untrusted(&note.module);
        if note.effective_rank < note.rank {
            let BasisNote {
                effective_rank,
                rank,
                ..
            } = note;
            warn(format_args!(
                "{module} has only {effective_rank} of {rank} singular directions; the others are zero"
            ));
        }
        if let Some(tie) = &note.near_tie {
            let (first, second) = (tie.index, tie.index + 1);
            warn(format_args!(
                "{module}: singular values {first} and {second} are nearly equal, so the order of their directions means little"
            ));
        }
    }
}

impl From<DtypeOption> for tlora_basis::WeightDtype {
    fn from(option: DtypeOption) -> Self {
        match option {
            DtypeOption::F32 => Self::F32,
            DtypeOption::Bf16 => Self::Bf16,
            DtypeOption::F16 => Self::F16,
        }
    }
}

impl From<DtypeOption> for tlora_format::Precision {
    fn from(option: DtypeOption) -> Self {
        match option {
            DtypeOption::F32 => Self::F32,
            DtypeOption::Bf16 => Self::Bf16,
            DtypeOption::F16 => Self::F16,
        }
    }
}
