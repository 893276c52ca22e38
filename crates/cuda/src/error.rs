//! What can go wrong between a program and a GPU.

/// Why there is no device, or why it did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// The driver's library cannot be opened.
    #[error("there is no NVIDIA driver: libcuda cannot be opened")]
    NoDriver,
    /// The driver is older than the kernels.
    #[error(
        "the NVIDIA driver is for CUDA {}.{}, wanted {}.{} or newer",
        found / 1000, found % 1000 / 10, wanted / 1000, wanted % 1000 / 10
    )]
    OldDriver {
        /// Its version of CUDA, as 1000 · major + 10 · minor.
        found: i32,
        /// The least, likewise.
        wanted: i32,
    },
    /// cuBLAS cannot be opened.
    #[error(
        "libcublas cannot be opened; it comes with CUDA 12 or 13, or with the PyPI package nvidia-cublas, and LD_LIBRARY_PATH says where it is"
    )]
    NoCublas,
    /// There are fewer devices.
    #[error("there is no CUDA device {ordinal}; there are {count}")]
    NoDevice {
        /// The number asked for, from 0.
        ordinal: usize,
        /// Devices that the driver shows.
        count: usize,
    },
    /// The device is older than the kernels.
    #[error("{name} has compute capability {}.{}, wanted 8.0 or newer", found.0, found.1)]
    OldDevice {
        /// Its name.
        name: String,
        /// Its compute capability.
        found: (i32, i32),
    },
    /// The device's memory does not suffice.
    #[error(
        "the device has no {wanted} bytes left: {free} of {total} are free; compute fewer tokens at once"
    )]
    OutOfMemory {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes free.
        free: usize,
        /// Bytes that it has.
        total: usize,
    },
    /// A buffer has another size than the operation's other arguments say.
    #[error("{operation}: {what} is {found}, wanted {wanted}")]
    Size {
        /// The operation.
        operation: &'static str,
        /// What has the size.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The size that fits.
        wanted: usize,
    },
    /// A number is beyond what the kernels do.
    #[error("{operation}: {what} is {found}, which the kernels do not do; wanted {wanted}")]
    Limit {
        /// The operation.
        operation: &'static str,
        /// What has the number.
        what: &'static str,
        /// The number.
        found: usize,
        /// What they do.
        wanted: &'static str,
    },
    /// Rows in bf16 are multiplied with a matrix in f32.
    #[error("{operation}: the rows are rounded to bf16 and the matrix is not")]
    Rounded {
        /// The operation.
        operation: &'static str,
    },
    /// Two arguments are on different devices.
    #[error("{operation}: its buffers are on different devices")]
    OtherDevice {
        /// The operation.
        operation: &'static str,
    },
    /// The driver refused something, or found out that something before has failed.
    #[error("{during}: the CUDA driver says {code}")]
    Driver {
        /// What was being done.
        during: &'static str,
        /// The driver's name of the error.
        code: String,
    },
    /// cuBLAS refused something.
    #[error("{during}: cuBLAS says {code}")]
    Cublas {
        /// What was being done.
        during: &'static str,
        /// Its name of the error.
        code: String,
    },
    /// The emulator found a mistake in a kernel or its launch.
    #[error("the kernel {kernel}: {reason}")]
    Emulator {
        /// The kernel.
        kernel: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// A result of an operation on a device.
pub type Result<T> = std::result::Result<T, CudaError>;

/// An error unless a size is as wanted.
pub(crate) const fn want(
    operation: &'static str,
    what: &'static str,
    found: usize,
    wanted: usize,
) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(CudaError::Size {
        operation,
        what,
        found,
        wanted,
    })
}

/// A size as the kernels take it.
pub(crate) fn size(operation: &'static str, what: &'static str, value: usize) -> Result<u32> {
    // Kernels compute a little beyond a size before they compare.
    u32::try_from(value)
        .ok()
        .filter(|&value| value <= i32::MAX.unsigned_abs())
        .ok_or(CudaError::Limit {
            operation,
            what,
            found: value,
            wanted: "less than 2^31",
        })
}

/// Rows of `width` elements; the last may not be a part of one.
pub(crate) const fn whole_rows(
    operation: &'static str,
    what: &'static str,
    len: usize,
    width: usize,
) -> Result<usize> {
    if width == 0 || !len.is_multiple_of(width) {
        return Err(CudaError::Size {
            operation,
            what,
            found: len,
            wanted: if width == 0 {
                1
            } else {
                len.next_multiple_of(width)
            },
        });
    }
    Ok(len / width)
}
