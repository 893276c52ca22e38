//! `tlora man`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::arguments::{Cli, ManOptions};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::print;

pub(crate) fn run(options: &ManOptions) -> Result<Exit, Failure> {
    let Some(directory) = &options.output else {
        return print(|out| Man::new(Cli::command()).render(out));
    };
    fs_err::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|error| Failure::unknown("cannot write the man pages").caused_by(error))?;
    Ok(Exit::Done)
}
