//! What does the work: a GPU through its driver, or the emulator. Everything above this is the same code for both.

mod driver;
#[cfg(feature = "emulator")]
mod emulator;

use crate::error::Result;
use crate::launch::{Arg, Grid, Kernel};
use driver::Driver;
#[cfg(feature = "emulator")]
pub use emulator::Emulation;
#[cfg(feature = "emulator")]
use emulator::Emulator;

/// A product of a matrix in memory order, outputs × columns, and rows; all are addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub operation: &'static str,
    /// bf16 matrix and rows, else f32; the result is f32.
    pub bf16: bool,
    /// y = x·Wᵀ, or its gradient: y = x·W.
    pub transposed: bool,
    pub w: u64,
    pub outputs: u32,
    pub columns: u32,
    pub x: u64,
    pub rows: u32,
    pub y: u64,
}

pub(crate) enum Backend {
    Driver(Driver),
    #[cfg(feature = "emulator")]
    Emulator(Emulator),
}

macro_rules! either {
    ($self:ident, $backend:ident => $body:expr) => {
        match $self {
            Self::Driver($backend) => $body,
            #[cfg(feature = "emulator")]
            Self::Emulator($backend) => $body,
        }
    };
}

impl Backend {
    pub(crate) fn open(ordinal: usize) -> Result<Self> {
        Driver::open(ordinal).map(Self::Driver)
    }

    #[cfg(feature = "emulator")]
    pub(crate) fn emulated(emulation: Emulation) -> Self {
        Self::Emulator(Emulator::new(emulation))
    }

    pub(crate) fn name(&self) -> &str {
        either!(self, backend => backend.name())
    }

    /// Free bytes, and all.
    pub(crate) fn memory(&self) -> Result<(usize, usize)> {
        either!(self, backend => backend.memory())
    }

    pub(crate) fn synchronize(&self) -> Result<()> {
        either!(self, backend => backend.synchronize())
    }

    /// An address of so many bytes, at least 1.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        either!(self, backend => backend.allocate(bytes))
    }

    pub(crate) fn release(&self, address: u64, bytes: usize) {
        either!(self, backend => backend.release(address, bytes));
    }

    pub(crate) fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        either!(self, backend => backend.clear(address, bytes))
    }

    pub(crate) fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        either!(self, backend => backend.upload(to, bytes))
    }

    pub(crate) fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        either!(self, backend => backend.download(from, bytes))
    }

    pub(crate) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        either!(self, backend => backend.copy(from, to, bytes))
    }

    pub(crate) fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()> {
        either!(self, backend => backend.launch(kernel, grid, args))
    }

    pub(crate) fn product(&self, product: &Product) -> Result<()> {
        if product.rows == 0 {
            return Ok(());
        }
        either!(self, backend => backend.product(product))
    }
}
