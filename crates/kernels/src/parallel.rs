//! Sharing out work: results do not depend on it, because each output is computed by one task alone.

use rayon::prelude::*;

/// Operations below which a task is not worth a thread.
const WORTH: usize = 1 << 17;

/// Whether work of so many operations is shared out.
pub(crate) fn is_worth(operations: usize) -> bool {
    operations >= WORTH && rayon::current_num_threads() > 1
}

/// Calls `task` for each number, on several threads if the whole is worth it.
pub(crate) fn each(count: usize, operations: usize, task: impl Fn(usize) + Sync + Send) {
    if is_worth(operations) && count > 1 {
        (0..count).into_par_iter().with_min_len(1).for_each(task);
    } else {
        (0..count).for_each(task);
    }
}

/// Splits rows of `width` into lots for the threads and calls `task` with the first row and each lot.
pub(crate) fn rows<T: Send>(
    data: &mut [T],
    width: usize,
    operations: usize,
    task: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    let count = data.len() / width.max(1);
    if !is_worth(operations) || count < 2 {
        task(0, data);
        return;
    }
    let lot = count.div_ceil(4 * rayon::current_num_threads()).max(1);
    data.par_chunks_mut(lot * width)
        .enumerate()
        .for_each(|(number, rows)| task(number * lot, rows));
}

/// A pointer that tasks share, who write to different places behind it.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

#[expect(unsafe_code, reason = "a pointer knows nothing of threads")]
// SAFETY: whoever uses the pointer writes only to places that no other task touches.
unsafe impl<T: Send> Send for Shared<T> {}
#[expect(unsafe_code, reason = "a pointer knows nothing of threads")]
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer; a method, so that closures capture the whole.
    pub(crate) const fn get(self) -> *mut T {
        self.0
    }
}
