//! Runs every row of README.md in this directory: the table is the list. No input may panic, abort, hang, need much
//! memory, leave an output behind, or say something to the terminal or the CI that it was not asked for.
#![cfg_attr(target_os = "linux", expect(clippy::unwrap_used, reason = "a test"))]

#[cfg(target_os = "linux")]
mod cases;
#[cfg(target_os = "linux")]
mod harmless;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod seeded;
#[cfg(target_os = "linux")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(target_os = "linux")]
mod table;

/// Limits of memory, FIFOs and devices are tested where they are the same everywhere.
#[cfg(target_os = "linux")]
fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    libtest_mimic::run(&arguments, rows::trials()).exit();
}

#[cfg(not(target_os = "linux"))]
fn main() {}
