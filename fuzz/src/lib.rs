//! Fuzz targets for everything that reads bytes from elsewhere.
//!
//! [`target!`] makes one function a target of cargo-fuzz, and without cargo-fuzz a program that replays files.

pub mod readers;

use std::process::ExitCode;

pub use fs_err;
#[cfg(fuzzing)]
pub use libfuzzer_sys;

/// Gives the file its entry point: libFuzzer's under cargo-fuzz, else a `main` that calls the function with each file.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $run(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            $crate::replay($run)
        }
    };
}

/// Calls `run` with the content of each file named on the command line.
pub fn replay(run: impl Fn(&[u8])) -> ExitCode {
    let mut exit = ExitCode::SUCCESS;
    for path in std::env::args_os().skip(1) {
        match fs_err::read(&path) {
            Ok(bytes) => run(&bytes),
            Err(error) => {
                eprintln!("{error}");
                exit = ExitCode::from(2);
            }
        }
    }
    exit
}
