//! `tlora inspect`.
use crate::arguments::InspectOptions;
use crate::exit::Exit;
use crate::failure::Failure;
pub(crate) fn run(_options: &InspectOptions) -> Result<Exit, Failure> { Ok(Exit::Done) }
