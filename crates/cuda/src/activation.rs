//! Activations on their way into a product.

use crate::buffer::{Buffer, Element};
use crate::launch::Kernel;

/// What the rows of a product may be: f32, or the bits of bf16, for products with a matrix that is kept in bf16. Those round
/// rows of f32, so that a result which nothing else reads is better written in bf16.
pub trait Activation: Element {
    /// The rows, if they are in f32.
    #[doc(hidden)]
    fn unrounded(rows: &Buffer<Self>) -> Option<&Buffer<f32>>;
    /// Whether the rows are in bf16.
    #[doc(hidden)]
    const ROUNDED: bool;
}

impl Activation for f32 {
    const ROUNDED: bool = false;
    fn unrounded(rows: &Buffer<Self>) -> Option<&Buffer<f32>> {
        Some(rows)
    }
}

impl Activation for u16 {
    const ROUNDED: bool = true;
    fn unrounded(_: &Buffer<Self>) -> Option<&Buffer<f32>> {
        None
    }
}

/// The kernel that writes such rows.
pub(crate) const fn writes<T: Activation>(f32: Kernel, bf16: Kernel) -> Kernel {
    if T::ROUNDED { bf16 } else { f32 }
}
