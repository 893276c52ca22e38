//! Where a benchmark runs, and what it takes of the memory there.

use clap::ValueEnum;
use tlora_model::Compute;

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// This machine's processor
    Cpu,
    /// The first NVIDIA GPU
    #[cfg(feature = "cuda")]
    Cuda,
    /// The kernels of the GPU on the processor, slowly: to see that everything runs
    #[cfg(feature = "cuda")]
    Emulator,
}

/// The type of weights, keys and values on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    /// f32
    Float32,
    /// bf16
    Bfloat16,
}

#[cfg(not(feature = "cuda"))]
impl Place {
    pub(crate) fn compute(self, _: Dtype) -> Result<Compute, std::convert::Infallible> {
        match self {
            Self::Cpu => Ok(Compute::F32),
        }
    }
}

#[cfg(feature = "cuda")]
impl Place {
    /// Opens the device.
    pub(crate) fn compute(self, dtype: Dtype) -> Result<Compute, tlora_cuda::CudaError> {
        use tlora_cuda::{Device, Storage};
        let device = match self {
            Self::Cpu => return Ok(Compute::F32),
            Self::Cuda => Device::open(0)?,
            Self::Emulator => Device::emulated(),
        };
        let storage = match dtype {
            Dtype::Float32 => Storage::F32,
            Dtype::Bfloat16 => Storage::Bf16,
        };
        Ok(Compute::Cuda { device, storage })
    }
}

/// The name of the device.
pub(crate) fn name(compute: &Compute) -> String {
    match compute {
        #[cfg(feature = "cuda")]
        Compute::Cuda { device, .. } => device.name().to_owned(),
        _ => "cpu".to_owned(),
    }
}

/// Bytes of a number of keys and values.
pub(crate) fn cache_number(compute: &Compute) -> usize {
    match compute {
        #[cfg(feature = "cuda")]
        Compute::Cuda {
            storage: tlora_cuda::Storage::Bf16,
            ..
        } => 2,
        _ => 4,
    }
}

/// Lets the peak of the memory begin anew: a shape before this one may have been larger.
pub(crate) fn forget_peak(compute: &Compute) {
    match compute {
        #[cfg(feature = "cuda")]
        Compute::Cuda { device, .. } => device.forget_peak(),
        // The resident memory, where that can be had.
        _ => drop(fs_err::write("/proc/self/clear_refs", "5")),
    }
}

/// The peak of the memory: of buffers on a device, else the resident memory where /proc says it.
pub(crate) fn peak(compute: &Compute) -> Option<usize> {
    #[cfg(feature = "cuda")]
    if let Compute::Cuda { device, .. } = compute {
        return device.memory().ok().map(|memory| memory.peak);
    }
    let _ = compute;
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kibibytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
