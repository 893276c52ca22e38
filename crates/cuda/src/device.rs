//! Devices, and what of their memory is in use.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::Backend;
use crate::error::Result;

/// A device; clones are the same one. It does one operation after another, in the order in which they are asked for; an
/// operation returns before it is done.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    backend: Backend,
    held: AtomicUsize,
    peak: AtomicUsize,
}

/// Bytes of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Free, as the driver sees it: what was given back to its pool counts as taken.
    pub free: usize,
    /// All.
    pub total: usize,
    /// Held by buffers of ours now.
    pub held: usize,
    /// Held by buffers of ours at the most, since the beginning or the last [`Device::forget_peak`].
    pub peak: usize,
}

impl Device {
    /// Opens a device by its number, loads the kernels and opens cuBLAS.
    ///
    /// # Errors
    /// No driver, no cuBLAS, no such device, or one of them is too old; see [`crate::probe`].
    pub fn open(ordinal: usize) -> Result<Self> {
        Backend::open(ordinal).map(Self::new)
    }

    /// The kernels on the CPU, slowly, for tests.
    #[cfg(feature = "emulator")]
    #[must_use]
    pub fn emulated() -> Self {
        Self::emulated_with(crate::Emulation::default())
    }

    /// The kernels on the CPU, with settings.
    #[cfg(feature = "emulator")]
    #[must_use]
    pub fn emulated_with(emulation: crate::Emulation) -> Self {
        Self::new(Backend::emulated(emulation))
    }

    fn new(backend: Backend) -> Self {
        Self(Arc::new(Inner {
            backend,
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }))
    }

    /// The name that NVIDIA gives it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.backend.name()
    }

    /// What of its memory is in use.
    ///
    /// # Errors
    /// The driver's.
    pub fn memory(&self) -> Result<Memory> {
        let (free, total) = self.0.backend.memory()?;
        Ok(Memory {
            free,
            total,
            held: self.0.held.load(Ordering::Relaxed),
            peak: self.0.peak.load(Ordering::Relaxed),
        })
    }

    /// Counts the peak from what is held now.
    pub fn forget_peak(&self) {
        let held = self.0.held.load(Ordering::Relaxed);
        self.0.peak.store(held, Ordering::Relaxed);
    }

    /// Waits until all operations are done.
    ///
    /// # Errors
    /// One of them failed.
    pub fn synchronize(&self) -> Result<()> {
        self.0.backend.synchronize()
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    /// Memory for a buffer; 0 for none.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<u64> {
        if bytes == 0 {
            return Ok(0);
        }
        let address = self.0.backend.allocate(bytes)?;
        let held = self.0.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.0.peak.fetch_max(held, Ordering::Relaxed);
        Ok(address)
    }

    /// Gives memory back, once what was asked for before is done.
    pub(crate) fn release(&self, address: u64, bytes: usize) {
        if bytes > 0 {
            self.0.backend.release(address, bytes);
            self.0.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Device").field(&self.name()).finish()
    }
}
