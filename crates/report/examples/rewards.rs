//! The rewards of runs, as a figure: `rewards TITLE OUT.svg NAME=RUN...`.

use std::error::Error;
use std::path::Path;

use tlora_report::{Run, reward_figure};

fn main() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "TITLE OUT.svg NAME=RUN...";
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or(USAGE);
    let (title, out) = (next()?, next()?);
    let mut runs = Vec::new();
    for argument in arguments {
        let (name, directory) = argument.split_once('=').ok_or(USAGE)?;
        runs.push((name.to_owned(), Run::read(Path::new(directory))?));
    }
    fs_err::write(out, reward_figure(&title, &runs))?;
    Ok(())
}
