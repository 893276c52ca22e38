//! A training run on disk.
#![forbid(unsafe_code)]
