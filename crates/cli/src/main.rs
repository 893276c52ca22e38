//! `tlora`, the command. One file per command in `commands/`; everything that computes is in the libraries below.
//!
//! Data goes to stdout, everything else to stderr. The exit codes are one table, [`exit::Exit`].

mod adapter_file;
mod arguments;
mod base;
mod commands;
mod device;
mod doctor;
mod engine;
mod environment;
mod escape;
mod exit;
mod explain;
mod failure;
mod input;
mod key_file;
mod progress;
mod report;
mod table;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => run(cli.command).unwrap_or_else(|failure| failure.print()),
        Err(error) => Exit::from_usage(&error),
    };
    exit.into()
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(options) => commands::init::run(&options),
        Command::Merge(options) => commands::merge::run(&options),
        Command::Inspect(options) => commands::inspect::run(&options),
        Command::Convert(options) => commands::convert::run(&options),
        Command::Export(options) => commands::export::run(&options),
        Command::Train(options) => commands::train::run(&options),
        Command::Sweep(options) => commands::sweep::run(&options),
        Command::Report(options) => commands::report::run(&options),
        Command::Eval(options) => commands::eval::run(&options),
        Command::Digest(options) => commands::digest::run(&options),
        Command::Verify(options) => commands::verify::run(&options),
        Command::Sign(options) => commands::sign::run(&options),
        Command::Attest(options) => commands::attest::run(&options),
        Command::Keygen(options) => commands::keygen::run(&options),
        Command::Doctor(options) => commands::doctor::run(&options),
        Command::Quickstart(options) => commands::quickstart::run(&options),
        Command::Completions(options) => commands::completions::run(&options),
        Command::Man(options) => commands::man::run(&options),
    }
}
