//! How often, and after which wait, something that may pass is tried again.

use std::time::Duration;

use super::error::HubError;
use super::options::HubOptions;
use super::progress::HubProgress;

const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Counts the attempts in a row that brought nothing.
pub(super) struct Backoff<'a> {
    options: &'a HubOptions,
    progress: &'a dyn HubProgress,
    what: &'a str,
    failures: u32,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(
        options: &'a HubOptions,
        progress: &'a dyn HubProgress,
        what: &'a str,
    ) -> Self {
        Self {
            options,
            progress,
            what,
            failures: 0,
        }
    }

    /// The last attempt brought something.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next attempt, or gives the error back if there shall be none.
    pub(super) fn pause(&mut self, error: HubError) -> Result<(), HubError> {
        if !error.is_transient() || self.failures >= self.options.retries {
            return Err(error);
        }
        let doubled = self
            .options
            .first_wait
            .saturating_mul(2_u32.saturating_pow(self.failures));
        let wait = doubled
            .max(error.retry_after().unwrap_or_default())
            .min(LONGEST_WAIT);
        self.failures += 1;
        self.progress.retrying(self.what, &error, wait);
        std::thread::sleep(wait);
        Ok(())
    }

    /// Repeats a step that has no state of its own.
    pub(super) fn run<T>(
        mut self,
        mut step: impl FnMut() -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        loop {
            match step() {
                Ok(value) => return Ok(value),
                Err(error) => self.pause(error)?,
            }
        }
    }
}
