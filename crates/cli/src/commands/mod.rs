//! One file per command: read the arguments, call the library, show the result.

pub(crate) mod completions;
pub(crate) mod digest;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod quickstart;
