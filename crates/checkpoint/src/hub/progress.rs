//! What a download tells whoever waits for it.

use std::error::Error;
use std::time::Duration;

/// Receives the steps of a download; every method does nothing unless implemented, and `()` ignores them all.
pub trait HubProgress {
    /// The revision is this commit.
    fn resolved(&self, commit: &str) {
        let _ = commit;
    }

    /// So many files are not in the cache, of so many bytes in all (as far as the hub gave their sizes).
    fn planned(&self, files: usize, bytes: u64) {
        let _ = (files, bytes);
    }

    /// So many of a file's bytes are here. The first call of a file gives what an interrupted download had left;
    /// the number falls to 0 if the server cannot resume.
    fn position(&self, file: &str, done: u64, size: u64) {
        let _ = (file, done, size);
    }

    /// The file is in the cache, whole and checked.
    fn finished(&self, file: &str) {
        let _ = file;
    }

    /// Something that may pass went wrong with a file or with the list of files; the next attempt follows after `wait`.
    fn retrying(&self, what: &str, error: &dyn Error, wait: Duration) {
        let _ = (what, error, wait);
    }

    /// Another process is downloading the same file; this one waits for it.
    fn waiting(&self, file: &str) {
        let _ = file;
    }
}

impl HubProgress for () {}
