//! Ctrl-C: once finishes the step and saves, twice ends at once.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal::{note, warn};

static STOP: AtomicBool = AtomicBool::new(false);

/// Set when the user wants the run to end.
pub(crate) fn flag() -> &'static AtomicBool {
    // A process has one handler, whatever the number of its runs.
    static INSTALLED: LazyLock<bool> = LazyLock::new(|| {
        let handler = || {
            if STOP.swap(true, Ordering::Relaxed) {
                // The last checkpoint is on the disk.
                crate::exit::interrupted();
            }
            note(format_args!("finishing this step; once more ends at once"));
        };
        ctrlc::set_handler(handler).is_ok()
    });
    if !*INSTALLED {
        warn(format_args!("an interruption will end the run at once"));
    }
    &STOP
}
