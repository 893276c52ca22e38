//! Numbers that kernels use as indices, with their bound: a kernel does not compare them.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::Result;

/// Indices on the device.
#[derive(Debug)]
pub struct Indices {
    values: Buffer<u32>,
    bound: usize,
}

impl Indices {
    /// Uploads indices.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn new(device: &Device, values: &[u32]) -> Result<Self> {
        let largest = values.iter().max();
        Ok(Self {
            values: Buffer::from_slice(device, values)?,
            bound: largest.map_or(0, |&largest| largest as usize + 1),
        })
    }

    /// Some of them, in the same memory; the bound stays that of all.
    ///
    /// # Errors
    /// They go beyond the end.
    pub fn part(&self, at: usize, len: usize) -> Result<Self> {
        Ok(Self {
            values: self.values.part(at, len)?,
            bound: self.bound,
        })
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One more than the largest.
    #[must_use]
    pub const fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) const fn buffer(&self) -> &Buffer<u32> {
        &self.values
    }
}
