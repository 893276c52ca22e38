//! The kernels on the CPU, for tests of everything but the GPU itself.
//!
//! Memory that was not written is not a number, and so is what stands around each buffer: a kernel that reads too much shows
//! it in its results. What stands around is compared after each launch: one that writes too much is an error.
#![expect(unsafe_code, reason = "addresses are those of the host's memory")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Product;
use crate::error::{CudaError, Result};
use crate::launch::{Arg, Grid, Kernel};

/// Settings of the emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emulation {
    /// Bytes of memory that it has.
    pub memory: usize,
    /// Threads run in the reverse order up to each barrier. Results are the same unless a barrier is missing.
    pub reversed: bool,
}

impl Default for Emulation {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            reversed: false,
        }
    }
}

/// Bytes around a buffer; also what buffers are aligned to.
const GUARD: usize = 256;
/// As a float not a number, as a row beyond everything.
const NOTHING: u8 = 0xff;

pub(crate) struct Emulator {
    emulation: Emulation,
    /// Bytes of the buffers by their addresses.
    buffers: Mutex<BTreeMap<u64, usize>>,
}

unsafe extern "C" {
    fn tlora_emulator_launch(
        name: *const c_char,
        codes: *const c_char,
        sizes: *const u32,
        arguments: *const *const c_void,
        reversed: c_int,
        message: *mut c_char,
        room: usize,
    ) -> c_int;
}

impl Emulator {
    pub(super) const fn new(emulation: Emulation) -> Self {
        Self {
            emulation,
            buffers: Mutex::new(BTreeMap::new()),
        }
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) const fn name(&self) -> &str {
        "emulator"
    }

    fn buffers(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn memory(&self) -> Result<(usize, usize)> {
        let used: usize = self.buffers().values().sum();
        Ok((
            self.emulation.memory.saturating_sub(used),
            self.emulation.memory,
        ))
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) const fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    pub(super) fn allocate(&self, bytes: usize) -> Result<u64> {
        let (free, total) = self.memory()?;
        let none_left = CudaError::OutOfMemory {
            wanted: bytes,
            free,
            total,
        };
        let Some(layout) = layout(bytes).filter(|_| bytes <= free) else {
            return Err(none_left);
        };
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            return Err(none_left);
        }
        // SAFETY: so many bytes were given.
        let address = unsafe {
            start.write_bytes(NOTHING, bytes + 2 * GUARD);
            start.add(GUARD).expose_provenance() as u64
        };
        self.buffers().insert(address, bytes);
        Ok(address)
    }

    pub(super) fn release(&self, address: u64, bytes: usize) {
        self.buffers().remove(&address);
        if let Some(layout) = layout(bytes) {
            // SAFETY: it was allocated with this layout, GUARD bytes before the address.
            unsafe { dealloc(pointer::<u8>(address).sub(GUARD), layout) };
        }
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        // SAFETY: the buffer has so many bytes.
        unsafe { pointer::<u8>(address).write_bytes(0, bytes) };
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the buffer has so many bytes.
        unsafe { pointer::<u8>(to).copy_from(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: the buffer has so many bytes.
        unsafe { pointer::<u8>(from).copy_to(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        // SAFETY: both buffers have so many bytes.
        unsafe { pointer::<u8>(from).copy_to(pointer::<u8>(to), bytes) };
        Ok(())
    }

    pub(super) fn launch(&self, kernel: Kernel, grid: Grid, args: &[Arg]) -> Result<()> {
        let wrong = |reason: String| CudaError::Emulator {
            kernel: kernel.name(),
            reason,
        };
        let text = |text: &str| CString::new(text).map_err(|error| wrong(error.to_string()));
        let codes: String = args.iter().map(|arg| arg.code).collect();
        let (name, codes) = (text(kernel.name())?, text(&codes)?);
        let sizes = [grid.x, grid.y, grid.threads, grid.shared];
        let pointers: Vec<*const c_void> = args
            .iter()
            .map(|arg| std::ptr::from_ref(&arg.bits).cast())
            .collect();
        let mut message = [0_u8; 256];
        // SAFETY: both texts end with a 0, there are four sizes, and the emulator compares the codes of the arguments with the
        // kernel's before it reads them.
        let status = unsafe {
            tlora_emulator_launch(
                name.as_ptr(),
                codes.as_ptr(),
                sizes.as_ptr(),
                pointers.as_ptr(),
                self.emulation.reversed.into(),
                message.as_mut_ptr().cast(),
                message.len(),
            )
        };
        if status != 0 {
            let end = message
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(message.len());
            return Err(wrong(String::from_utf8_lossy(&message[..end]).into_owned()));
        }
        if self
            .buffers()
            .iter()
            .any(|(&address, &bytes)| !guarded(address, bytes))
        {
            return Err(wrong("a write beyond a buffer".to_owned()));
        }
        Ok(())
    }

    /// f32 sums in the order of the columns.
    #[expect(clippy::unused_self, reason = "as the driver's")]
    pub(super) fn product(&self, product: &Product) -> Result<()> {
        let (rows, outputs, columns) = (
            product.rows as usize,
            product.outputs as usize,
            product.columns as usize,
        );
        let (inner, width) = if product.transposed {
            (outputs, columns)
        } else {
            (columns, outputs)
        };
        let element = |address: u64, at: usize| -> f32 {
            // SAFETY: the operation has compared the sizes of the buffers.
            unsafe {
                if product.bf16 {
                    f32::from_bits(u32::from(*pointer::<u16>(address).add(at)) << 16)
                } else {
                    *pointer::<f32>(address).add(at)
                }
            }
        };
        for row in 0..rows {
            for to in 0..width {
                let weight = |i: usize| {
                    let (output, column) = if product.transposed { (i, to) } else { (to, i) };
                    element(product.w, output * columns + column)
                };
                let sum = (0..inner).fold(0.0_f32, |sum, i| {
                    weight(i).mul_add(element(product.x, row * inner + i), sum)
                });
                // SAFETY: as above.
                unsafe { *pointer::<f32>(product.y).add(row * width + to) = sum };
            }
        }
        Ok(())
    }
}

/// A buffer with what stands around it.
fn layout(bytes: usize) -> Option<Layout> {
    Layout::from_size_align(bytes.checked_add(2 * GUARD)?, GUARD).ok()
}

fn pointer<T>(address: u64) -> *mut T {
    std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or_default())
}

/// Whether nothing was written around a buffer.
fn guarded(address: u64, bytes: usize) -> bool {
    // SAFETY: GUARD bytes before and after the buffer belong to it.
    let (before, after) = unsafe {
        (
            std::slice::from_raw_parts(pointer::<u8>(address).sub(GUARD), GUARD),
            std::slice::from_raw_parts(pointer::<u8>(address).add(bytes), GUARD),
        )
    };
    before.iter().chain(after).all(|&byte| byte == NOTHING)
}
