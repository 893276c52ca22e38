//! `tlora doctor`: does this machine, or its GPU, compute as it should?
//!
//! Small random models are computed in several ways that have to agree; each way is a [`Check`] with a bound that says where it
//! is from. Nothing of a user's is read.

mod checks;
mod machine;
mod models;

use serde::Serialize;
use tlora_model::{Compute, ModelError};

use crate::device::Chosen;
pub(crate) use machine::Machine;

/// One thing that has to hold.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What is compared.
    pub(crate) what: &'static str,
    /// The largest difference, or the number of exceptions.
    pub(crate) found: f64,
    /// The most that it may be.
    pub(crate) bound: f64,
    pub(crate) holds: bool,
}

impl Check {
    fn new(name: &'static str, what: &'static str, found: f64, bound: f64) -> Self {
        Self {
            name,
            what,
            found,
            bound,
            // Not a number is within no bound.
            holds: found <= bound,
        }
    }
}

/// Bytes of the device beside the plan that a run of that size would print.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryUse {
    pub(crate) planned: usize,
    /// None for this machine, whose allocator is not asked.
    pub(crate) peak: Option<usize>,
    /// Of the whole device, before.
    pub(crate) free: Option<usize>,
}

/// All that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) machine: Machine,
    /// What was checked.
    pub(crate) device: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) mismatch: Vec<models::Agreement>,
    pub(crate) memory: MemoryUse,
    pub(crate) holds: bool,
}

/// Where the model is computed, in the types that there are there.
pub(crate) struct Subject {
    /// With f32 weights, which is compared most closely.
    single: Compute,
    /// With bf16 weights, if that is another arithmetic.
    half: Option<Compute>,
}

impl Subject {
    fn of(compute: &Compute) -> Self {
        match compute {
            #[cfg(feature = "cuda")]
            Compute::Cuda { device, .. } => {
                let with = |storage| Compute::Cuda {
                    device: device.clone(),
                    storage,
                };
                Self {
                    single: with(tlora_cuda::Storage::F32),
                    half: Some(with(tlora_cuda::Storage::Bf16)),
                }
            }
            _ => Self {
                single: Compute::F32,
                half: None,
            },
        }
    }

    /// Whether this machine's processor is the subject: its order of operations is fixed, so its bounds are 0.
    const fn is_here(&self) -> bool {
        self.half.is_none()
    }
}

/// Checks what was chosen. `begins` hears the name of each check.
pub(crate) fn examine(
    chosen: &Chosen,
    mut begins: impl FnMut(&'static str),
) -> Result<Report, ModelError> {
    let subject = Subject::of(&chosen.compute);
    let mut checks = Vec::new();
    for (name, check) in checks::ALL {
        begins(name);
        checks.extend(check(&subject)?);
    }
    begins("memory");
    Ok(Report {
        version: 1,
        machine: Machine::look(),
        device: chosen.text.clone(),
        mismatch: models::agreements(&subject)?,
        memory: models::memory(&subject)?,
        holds: checks.iter().all(|check| check.holds),
        checks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a subject fails.
    fn failed(subject: &Subject) -> Vec<&'static str> {
        let checks = checks::ALL
            .iter()
            .flat_map(|(_, check)| check(subject).unwrap());
        checks
            .filter(|check| !check.holds)
            .map(|check| check.name)
            .collect()
    }

    #[test]
    fn this_machine_holds() {
        assert_eq!(failed(&Subject::of(&Compute::F32)), [""; 0]);
    }

    #[cfg(feature = "cuda")]
    fn emulated(storage: tlora_cuda::Storage) -> Compute {
        Compute::Cuda {
            device: tlora_cuda::Device::emulated(),
            storage,
        }
    }

    /// The kernels of the GPU, on this machine.
    #[cfg(feature = "cuda")]
    #[test]
    fn the_emulated_device_holds() {
        let subject = Subject::of(&emulated(tlora_cuda::Storage::F32));
        assert_eq!(failed(&subject), [""; 0]);
        let memory = models::memory(&subject).unwrap();
        assert!(memory.peak.unwrap() > 0 && memory.planned > 0);
    }

    /// Arithmetic that is coarser than it says is found.
    #[cfg(feature = "cuda")]
    #[test]
    fn coarse_arithmetic_is_found() {
        let subject = Subject {
            single: emulated(tlora_cuda::Storage::Bf16),
            half: None,
        };
        for check in [checks::logits, checks::gradient] {
            let found = check(&subject).unwrap();
            assert!(found.iter().all(|check| !check.holds), "{found:?}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_within_no_bound() {
        assert!(!Check::new("", "", f64::NAN, 1.0).holds);
        assert!(Check::new("", "", 0.0, 0.0).holds);
        assert!(!Check::new("", "", 1e-9, 0.0).holds);
    }
}
