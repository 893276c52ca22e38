//! What there is of CUDA, without using it.
#![expect(unsafe_code, reason = "questions to the driver's library")]

use std::fmt;

use cudarc::cublas::sys as cublas;
use cudarc::driver::result::{self, device};
use cudarc::driver::sys;

use crate::error::{CudaError, Result};

/// The oldest version of CUDA whose drivers take the kernels (PTX ISA 8.0), as 1000 · major + 10 · minor.
pub const OLDEST_DRIVER: i32 = 12_000;

/// What a machine has of CUDA. Written out it is one line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The driver's version of CUDA, as 1000 · major + 10 · minor; none without a driver.
    pub driver: Option<i32>,
    /// Whether cuBLAS can be opened.
    pub cublas: bool,
    /// The devices, or why the driver shows none.
    pub devices: std::result::Result<Vec<DeviceInfo>, CudaError>,
}

/// A device that the driver shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its number.
    pub ordinal: usize,
    /// The name that NVIDIA gives it.
    pub name: String,
    /// Its compute capability.
    pub capability: (i32, i32),
    /// Bytes of its memory.
    pub memory: usize,
}

/// Looks for a driver, cuBLAS and devices. Uses no device, and does not fail.
#[must_use]
pub fn probe() -> Probe {
    let driver = driver_version();
    Probe {
        // SAFETY: opens a library and closes it.
        cublas: unsafe { cublas::is_culib_present() },
        devices: driver.clone().and_then(|_| devices()),
        driver: driver.ok(),
    }
}

impl Probe {
    /// Why no device can be opened; none if one can.
    #[must_use]
    pub fn missing(&self) -> Option<CudaError> {
        match &self.devices {
            Err(error) => return Some(error.clone()),
            Ok(devices) if devices.is_empty() => {
                return Some(CudaError::NoDevice {
                    ordinal: 0,
                    count: 0,
                });
            }
            Ok(_) => (),
        }
        if let Err(error) = check_version(self.driver.unwrap_or_default()) {
            return Some(error);
        }
        (!self.cublas).then_some(CudaError::NoCublas)
    }
}

/// The driver's version of CUDA.
pub(crate) fn driver_version() -> Result<i32> {
    // SAFETY: opens a library and closes it.
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaError::NoDriver);
    }
    let mut version = 0;
    // SAFETY: the library is there, and the call needs no device.
    let status = unsafe { sys::cuDriverGetVersion(&raw mut version) };
    status.result().map_err(|error| CudaError::Driver {
        during: "asking for the driver's version",
        code: format!("{:?}", error.0),
    })?;
    Ok(version)
}

pub(crate) const fn check_version(found: i32) -> Result<()> {
    if found < OLDEST_DRIVER {
        return Err(CudaError::OldDriver {
            found,
            wanted: OLDEST_DRIVER,
        });
    }
    Ok(())
}

/// The devices; the driver is there.
fn devices() -> Result<Vec<DeviceInfo>> {
    let failed = |error: result::DriverError| CudaError::Driver {
        during: "looking for devices",
        code: format!("{:?}", error.0),
    };
    result::init().map_err(failed)?;
    let count = device::get_count().map_err(failed)?;
    (0..count)
        .map(|ordinal| info(ordinal).map_err(failed))
        .collect()
}

/// One device; the driver is initialised.
pub(crate) fn info(ordinal: i32) -> std::result::Result<DeviceInfo, result::DriverError> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
    };
    let handle = device::get(ordinal)?;
    // SAFETY: the driver has just given the handle.
    let (major, minor, memory) = unsafe {
        (
            device::get_attribute(handle, MAJOR)?,
            device::get_attribute(handle, MINOR)?,
            device::total_mem(handle)?,
        )
    };
    Ok(DeviceInfo {
        ordinal: usize::try_from(ordinal).unwrap_or_default(),
        name: device::get_name(handle)?,
        capability: (major, minor),
        memory,
    })
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(version) = self.driver else {
            return f.write_str("no NVIDIA driver");
        };
        write!(f, "CUDA {}.{}", version / 1000, version % 1000 / 10)?;
        match &self.devices {
            Err(error) => write!(f, ", no device ({error})")?,
            Ok(devices) if devices.is_empty() => f.write_str(", no device")?,
            Ok(devices) => {
                for device in devices {
                    write!(f, ", {device}")?;
                }
            }
        }
        f.write_str(if self.cublas {
            ", cuBLAS"
        } else {
            ", no cuBLAS"
        })
    }
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ordinal,
            name,
            capability: (major, minor),
            memory,
        } = self;
        let gib = memory >> 30;
        write!(f, "device {ordinal} {name} ({major}.{minor}, {gib} GiB)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine without a driver gets an answer, and a device is not opened but an error given.
    #[test]
    fn a_machine_without_a_driver_is_told_so() {
        let found = probe();
        assert!(!found.to_string().is_empty());
        if found.driver.is_some() {
            return;
        }
        assert_eq!(found.to_string(), "no NVIDIA driver");
        assert_eq!(found.missing(), Some(CudaError::NoDriver));
        assert_eq!(crate::Device::open(0).err(), Some(CudaError::NoDriver));
    }

    #[test]
    fn a_probe_is_one_line() {
        let device = DeviceInfo {
            ordinal: 0,
            name: "NVIDIA H100".to_owned(),
            capability: (9, 0),
            memory: 80 << 30,
        };
        let mut found = Probe {
            driver: Some(12_080),
            cublas: true,
            devices: Ok(vec![device]),
        };
        assert_eq!(
            found.to_string(),
            "CUDA 12.8, device 0 NVIDIA H100 (9.0, 80 GiB), cuBLAS"
        );
        assert_eq!(found.missing(), None);
        found.driver = Some(11_080);
        let old = found.missing().unwrap().to_string();
        assert_eq!(
            old,
            "the NVIDIA driver is for CUDA 11.8, wanted 12.0 or newer"
        );
        found.devices = Ok(Vec::new());
        assert_eq!(
            found.missing(),
            Some(CudaError::NoDevice {
                ordinal: 0,
                count: 0
            })
        );
    }
}
