//! Memory of a device.
#![expect(unsafe_code, reason = "numbers are looked at as bytes")]

use std::marker::PhantomData;
use std::sync::Arc;

use crate::device::Device;
use crate::error::{Result, want};

mod sealed {
    pub trait Sealed {}
}

/// What a buffer may hold: f32, f64, u32, i32, and u16 for the bits of a bf16.
pub trait Element: sealed::Sealed + Copy + Default + 'static {
    /// The code of memory that a kernel reads.
    #[doc(hidden)]
    const READ: &'static str;
    /// The code of memory that a kernel writes.
    #[doc(hidden)]
    const WRITE: &'static str;
}

macro_rules! element {
    ($($T:ty, $read:literal, $write:literal;)*) => {
        $(impl sealed::Sealed for $T {}
        impl Element for $T {
            const READ: &'static str = $read;
            const WRITE: &'static str = $write;
        })*
    };
}
element! {
    f32, "rf", "wf";
    f64, "rd", "wd";
    u16, "rh", "wh";
    u32, "ru", "wu";
    i32, "ri", "wi";
}

/// So many elements on a device. The memory is given back when the last buffer on it is dropped.
#[derive(Debug)]
pub struct Buffer<T: Element> {
    memory: Arc<Memory>,
    address: u64,
    len: usize,
    element: PhantomData<T>,
}

/// What the device gave.
#[derive(Debug)]
struct Memory {
    device: Device,
    address: u64,
    bytes: usize,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.device.release(self.address, self.bytes);
    }
}

impl<T: Element> Buffer<T> {
    /// Memory with anything in it.
    ///
    /// # Errors
    /// The device has not so much left.
    pub fn uninitialised(device: &Device, len: usize) -> Result<Self> {
        let bytes = len * size_of::<T>();
        let address = device.allocate(bytes)?;
        let memory = Memory {
            device: device.clone(),
            address,
            bytes,
        };
        Ok(Self {
            memory: Arc::new(memory),
            address,
            len,
            element: PhantomData,
        })
    }

    /// Some of the elements, in the same memory: what is written to one is read from the other. Buffers of f32 that kernels
    /// read as activations have to begin at a multiple of four elements.
    ///
    /// # Errors
    /// They go beyond the end.
    pub fn part(&self, at: usize, len: usize) -> Result<Self> {
        self.inside("part", at, len)?;
        Ok(Self {
            memory: self.memory.clone(),
            address: self.place(at),
            len,
            element: PhantomData,
        })
    }

    /// Zeros.
    ///
    /// # Errors
    /// The device has not so much left.
    pub fn zeros(device: &Device, len: usize) -> Result<Self> {
        let mut buffer = Self::uninitialised(device, len)?;
        buffer.clear()?;
        Ok(buffer)
    }

    /// A copy of values of the host.
    ///
    /// # Errors
    /// The device has not so much memory left.
    pub fn from_slice(device: &Device, values: &[T]) -> Result<Self> {
        let mut buffer = Self::uninitialised(device, values.len())?;
        buffer.upload(0, values)?;
        Ok(buffer)
    }

    /// Elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it is.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.memory.device
    }

    /// Writes zeros.
    ///
    /// # Errors
    /// The driver's.
    pub fn clear(&mut self) -> Result<()> {
        self.device().backend().clear(self.address, self.bytes())
    }

    /// Overwrites elements from `at` on with values of the host. Waits until they are there.
    ///
    /// # Errors
    /// They go beyond the end.
    pub fn upload(&mut self, at: usize, values: &[T]) -> Result<()> {
        self.inside("upload", at, values.len())?;
        self.device()
            .backend()
            .upload(self.place(at), as_bytes(values))
    }

    /// All values, once everything before has been done.
    ///
    /// # Errors
    /// The driver's: also those of operations before.
    pub fn download(&self) -> Result<Vec<T>> {
        let mut values = vec![T::default(); self.len];
        // SAFETY: the elements are plain numbers, which any bytes are.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<u8>(), self.bytes())
        };
        self.device().backend().download(self.address, bytes)?;
        Ok(values)
    }

    /// Overwrites `len` elements from `at` on with those of another buffer from `from_at` on.
    ///
    /// # Errors
    /// They go beyond an end, or the buffers are on different devices.
    pub fn copy_from(&mut self, at: usize, from: &Self, from_at: usize, len: usize) -> Result<()> {
        self.inside("copy", at, len)?;
        from.inside("copy", from_at, len)?;
        if self.device() != from.device() {
            return Err(crate::CudaError::OtherDevice { operation: "copy" });
        }
        let bytes = len * size_of::<T>();
        self.device()
            .backend()
            .copy(from.place(from_at), self.place(at), bytes)
    }

    fn inside(&self, operation: &'static str, at: usize, len: usize) -> Result<()> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            end => want(
                operation,
                "the end of the elements",
                end.unwrap_or(usize::MAX),
                self.len,
            ),
        }
    }

    const fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    const fn place(&self, at: usize) -> u64 {
        self.address + (at * size_of::<T>()) as u64
    }

    pub(crate) const fn address(&self) -> u64 {
        self.address
    }
}

fn as_bytes<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: the elements are plain numbers without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
}
