//! What a long run tells whoever waits for it.

/// A part of a run. Each has its own number of bytes to get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Hashing the base.
    Digest,
    /// Computing singular vectors, as far as the cache does not have them.
    Bases,
    /// Reading the base and writing the merged checkpoint.
    Merge,
    /// Measuring an update without writing anything.
    Measure,
    /// Computing the factors of an adapter and writing them.
    Export,
    /// Comparing the modules of an adapter with the checkpoint that it is made from.
    Compare,
}

/// Receives the progress of a run, from any thread; `()` ignores it.
pub trait Progress: Sync {
    /// A stage begins that has `total` bytes of weights to read.
    fn start(&self, stage: Stage, total: u64) {
        let _ = (stage, total);
    }

    /// So many bytes more are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }
}

impl Progress for () {}
