//! Group-relative policy optimisation as plain numbers.
#![forbid(unsafe_code)]
