//! The progress bar: one line on stderr, when that is a terminal and nobody asked for quiet.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tlora_rebuild::{Progress, Stage};

use crate::escape::Untrusted;
use crate::terminal::note;

/// Often enough to look alive, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: u64 = 24;

/// Shows stage, bar, bytes and the time left.
pub(crate) struct Bar {
    shown: bool,
    done: AtomicU64,
    state: Mutex<State>,
}

struct State {
    label: &'static str,
    total: u64,
    started: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    pub(crate) fn new(quiet: bool) -> Self {
        let state = State {
            label: "",
            total: 0,
            started: Instant::now(),
            drawn: None,
        };
        Self {
            shown: !quiet && std::io::stderr().is_terminal(),
            done: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    /// Starts a new bar.
    pub(crate) fn begin(&self, label: &'static str, total: u64) {
        self.clear();
        self.done.store(0, Ordering::Relaxed);
        if let Ok(mut state) = self.state.lock() {
            *state = State {
                label,
                total,
                started: Instant::now(),
                drawn: None,
            };
        }
    }

    /// So many bytes are done in all.
    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.draw(done);
    }

    /// Starts a line that counts tokens.
    pub(crate) fn activity(&self, label: &'static str, completions: usize) {
        self.begin(label, completions as u64);
    }

    /// So many tokens are drawn of whatever [`Self::activity`] began.
    pub(crate) fn tokens(&self, tokens: usize, elapsed: Duration) {
        if !self.shown {
            return;
        }
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if state.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            state.drawn = Some(Instant::now());
            let rate = tokens as u128 * 1000 / elapsed.as_millis().max(1);
            write_stderr(&format!(
                "\r{} {} completions, {tokens} tokens, {rate} tokens/s\x1b[K",
                state.label, state.total
            ));
        }
    }

    /// Writes a line above the bar.
    pub(crate) fn note(&self, line: std::fmt::Arguments<'_>) {
        self.clear();
        note(format_args!("{}", Untrusted(line)));
    }

    fn draw(&self, done: u64) {
        if !self.shown {
            return;
        }
        // Whoever holds the lock is drawing; one drawing is enough.
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if state.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            state.drawn = Some(Instant::now());
            write_stderr(&format!(
                "\r{}\x1b[K",
                line(state.label, done, state.total, state.started.elapsed())
            ));
        }
    }

    fn clear(&self) {
        if self.shown {
            write_stderr("\r\x1b[K");
        }
    }
}

impl Progress for Bar {
    fn start(&self, stage: Stage, total: u64) {
        self.begin(label(stage), total);
    }

    fn advance(&self, bytes: u64) {
        self.draw(
            self.done
                .fetch_add(bytes, Ordering::Relaxed)
                .saturating_add(bytes),
        );
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

const fn label(stage: Stage) -> &'static str {
    match stage {
        Stage::Digest => "reading the base",
        Stage::Bases => "singular vectors",
        Stage::Merge => "merging",
        Stage::Measure => "measuring",
        Stage::Export => "exporting",
        Stage::Compare => "comparing",
        _ => "working",
    }
}

fn line(label: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let done = done.min(total);
    let filled = (u128::from(WIDTH) * u128::from(done) / u128::from(total.max(1)))
        .try_into()
        .unwrap_or(usize::MAX);
    let empty = usize::try_from(WIDTH)
        .unwrap_or(usize::MAX)
        .saturating_sub(filled);
    let (bar, rest) = ("█".repeat(filled), "░".repeat(empty));
    format!(
        "{label:<17} {bar}{rest} {} / {}  {}",
        size(done),
        size(total),
        time_left(done, total, elapsed)
    )
}

fn time_left(done: u64, total: u64, elapsed: Duration) -> String {
    // In the first second the estimate is noise.
    if done == 0 || elapsed < Duration::from_secs(1) {
        return String::new();
    }
    let seconds =
        u128::from(elapsed.as_secs()) * u128::from(total.saturating_sub(done)) / u128::from(done);
    format!("{}:{:02} left", seconds / 60, seconds % 60)
}

/// A number of bytes for people, in powers of 1000.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            return format!("{}.{} {name}", bytes / unit, bytes % unit / (unit / 10));
        }
    }
    format!("{bytes} B")
}

fn write_stderr(text: &str) {
    // A closed stderr leaves nobody to tell.
    let _closed = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_bytes_and_the_time_left() {
        let shown = line(
            "merging",
            1_500_000_000,
            3_000_000_000,
            Duration::from_secs(62),
        );
        assert_eq!(
            shown,
            format!(
                "merging           {}{} 1.5 GB / 3.0 GB  1:02 left",
                "█".repeat(12),
                "░".repeat(12)
            )
        );
    }

    #[test]
    fn survives_nothing_to_do() {
        assert_eq!(
            line("merging", 0, 0, Duration::ZERO),
            format!("merging           {} 0 B / 0 B  ", "░".repeat(24))
        );
    }

    #[test]
    fn sizes_are_cut_off_rather_than_rounded_up() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_990), "1.9 kB");
        assert_eq!(size(269_060_552), "269.0 MB");
    }
}
