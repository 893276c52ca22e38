//! `tlora quickstart`.
use crate::arguments::QuickstartOptions;
use crate::exit::Exit;
use crate::failure::Failure;
pub(crate) fn run(_options: &QuickstartOptions) -> Result<Exit, Failure> { Ok(Exit::Done) }
