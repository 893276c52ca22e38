//! What the kernels promise: values, gradients, and the same bits in every batch and on every machine.

mod bits;
mod gradients;
mod support;
mod values;
