//! What a machine is, as far as it may matter to what it computes.

use serde::Serialize;

/// The commit that this program was built from, if the build knew it.
const COMMIT: Option<&str> = option_env!("TLORA_COMMIT");

/// A machine and the program on it.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) tlora: &'static str,
    pub(crate) commit: Option<&'static str>,
    pub(crate) system: String,
    /// That the kernels use.
    pub(crate) instructions: String,
    pub(crate) threads: usize,
    /// Bytes.
    pub(crate) memory_total: Option<usize>,
    /// What there is of CUDA; none in a program without GPU support.
    pub(crate) cuda: Option<String>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        Self {
            tlora: env!("CARGO_PKG_VERSION"),
            commit: COMMIT,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            instructions: format!("{:?}", tlora_kernels::Isa::detect()),
            threads: rayon::current_num_threads(),
            memory_total: memory(),
            cuda: cuda(),
        }
    }
}

/// Bytes of memory, where the system says it.
fn memory() -> Option<usize> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(feature = "cuda")]
#[expect(clippy::unnecessary_wraps, reason = "none without GPU support")]
fn cuda() -> Option<String> {
    Some(tlora_cuda::probe().to_string())
}

#[cfg(not(feature = "cuda"))]
const fn cuda() -> Option<String> {
    None
}
