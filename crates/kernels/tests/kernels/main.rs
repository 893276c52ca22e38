//! What the kernels promise: values, gradients, and the same bits in every batch and on every machine.
#![expect(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "numbers of tests are rounded on purpose, and what is missing fails the test"
)]

mod bits;
mod gradients;
mod products;
mod support;
mod values;
