//! One file per command: read the arguments, call the library, show the result.

pub(crate) mod attest;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod digest;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod quickstart;
pub(crate) mod report;
pub(crate) mod sign;
pub(crate) mod sweep;
pub(crate) mod train;
pub(crate) mod verify;
