//! Where a model runs: what `model.device` and `model.dtype` ask for, and what this machine has.

use tlora_model::Compute;
use tlora_train::config::{DeviceSetting, DtypeSetting, ModelSettings};

use crate::failure::Failure;

/// A place that was chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) compute: Compute,
    /// What it is, and why it is not a GPU, in a line.
    pub(crate) text: String,
    /// Names arithmetic other than this machine's: another device has other bits.
    pub(crate) arithmetic: Option<String>,
}

/// Opens what the settings ask for.
pub(crate) fn choose(settings: &ModelSettings) -> Result<Chosen, Failure> {
    let why = match settings.device {
        DeviceSetting::Cpu => None,
        DeviceSetting::Auto => match gpu::open(settings.dtype) {
            Ok(chosen) => return Ok(chosen),
            Err(missing) => missing.seen,
        },
        DeviceSetting::Cuda => {
            return gpu::open(settings.dtype).map_err(|missing| missing.into_failure());
        }
    };
    let text = match why {
        Some(why) => format!("CPU, float32 ({why})"),
        None => "CPU, float32".to_owned(),
    };
    if settings.dtype == DtypeSetting::Bfloat16 {
        return Err(Failure::unknown("model.dtype is bfloat16, which is for GPUs")
            .fact("device", text)
            .hint("a CPU computes with float32, which weights in bf16 are read into without loss: leave model.dtype at auto"));
    }
    Ok(Chosen {
        compute: Compute::F32,
        text,
        arithmetic: None,
    })
}

/// A program without GPU support.
#[cfg(not(feature = "cuda"))]
mod gpu {
    use super::{Chosen, DtypeSetting, Failure};

    pub(super) struct Missing {
        pub(super) seen: Option<String>,
    }

    pub(super) const fn open(_: DtypeSetting) -> Result<Chosen, Missing> {
        Err(Missing { seen: None })
    }

    impl Missing {
        pub(super) fn into_failure(self) -> Failure {
            Failure::unknown("model.device is cuda, and this program was built without GPU support")
                .hint("build it with --features cuda, which needs nothing of CUDA; docs/gpu.md has the commands")
        }
    }
}

#[cfg(feature = "cuda")]
mod gpu {
    use tlora_cuda::{CudaError, Device, Probe, Storage, probe};
    use tlora_model::Compute;

    use super::{Chosen, DtypeSetting, Failure};

    /// Why there is no GPU.
    pub(super) struct Missing {
        /// What there is of CUDA, and what of it cannot be used.
        pub(super) seen: Option<String>,
        found: Probe,
        error: CudaError,
    }

    impl Missing {
        fn new(found: Probe, error: CudaError) -> Self {
            let seen = match found.driver {
                None => found.to_string(),
                Some(_) => format!("{found}: {error}"),
            };
            Self {
                seen: Some(seen),
                found,
                error,
            }
        }

        pub(super) fn into_failure(self) -> Failure {
            Failure::unknown("model.device is cuda, and there is no GPU that can be used")
                .fact("found", self.found)
                .caused_by(self.error)
                .hint("wanted are an NVIDIA GPU of compute capability 8.0 or newer, its driver for CUDA 12.0 or newer, and cuBLAS where the \
                    loader finds it (LD_LIBRARY_PATH); docs/gpu.md says how. --device cpu runs on the CPU")
        }
    }

    /// Looks first: what is missing is said in a line, and nothing is opened.
    pub(super) fn open(dtype: DtypeSetting) -> Result<Chosen, Box<Missing>> {
        let found = probe();
        let opened = match found.missing() {
            Some(missing) => Err(missing),
            None => Device::open(0),
        };
        let device = match opened {
            Ok(device) => device,
            Err(error) => return Err(Box::new(Missing::new(found, error))),
        };
        let (storage, name) = match dtype {
            DtypeSetting::Float32 => (Storage::F32, "float32"),
            DtypeSetting::Auto | DtypeSetting::Bfloat16 => (Storage::Bf16, "bfloat16"),
        };
        Ok(Chosen {
            text: format!("{}, {name} ({found})", device.name()),
            arithmetic: Some(format!("{} {name}", device.name())),
            compute: Compute::Cuda { device, storage },
        })
    }
}
