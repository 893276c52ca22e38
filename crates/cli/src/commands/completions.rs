//! `tlora completions`.

use clap::CommandFactory;

use crate::arguments::{Cli, CompletionsOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::print;

pub(crate) fn run(options: &CompletionsOptions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "tlora", &mut script);
    print(|out| out.write_all(&script))
}
