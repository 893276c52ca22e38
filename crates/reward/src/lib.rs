//! Verifiers: what a completion answers, and whether it is right.
#![forbid(unsafe_code)]
