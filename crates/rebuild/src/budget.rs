//! Whole weights are held in memory for some computations: how many at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of weights that are held at once; one weight at least.
const BUDGET: u64 = 400 << 20;

/// Bytes that may be held at once. A single weight larger than that is held alone.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    held: Mutex<u64>,
    returned: Condvar,
}

/// Bytes that are held until this is dropped.
pub(crate) struct Held<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            limit: BUDGET,
            held: Mutex::new(0),
            returned: Condvar::new(),
        }
    }
}

impl Budget {
    /// Waits until so many bytes more may be held.
    pub(crate) fn take(&self, bytes: u64) -> Held<'_> {
        // The number is right even if a thread panicked while it held the lock.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while *held > 0 && held.saturating_add(bytes) > self.limit {
            held = self
                .returned
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *held = held.saturating_add(bytes);
        Held {
            budget: self,
            bytes,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self
            .budget
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(self.bytes);
        self.budget.returned.notify_all();
    }
}
