//! Instruction sets, and which one is used.

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// What every machine has; NEON on aarch64, by the compiler.
    Portable,
}

impl Isa {
    /// The best that this machine has.
    #[must_use]
    pub fn detect() -> Self {
        Self::all()[0]
    }

    /// All that this machine has, the best first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let all = [Self::Avx512, Self::Avx2, Self::Portable];
        all.into_iter().filter(|isa| isa.is_here()).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn is_here(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        match self {
            Self::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Self::Avx2 => avx2,
            Self::Portable => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_here(self) -> bool {
        self == Self::Portable
    }
}

/// Tests compare instruction sets by choosing one for everything.
#[doc(hidden)]
pub mod forced {
    use super::Isa;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// The instruction set in use; 0 until the first kernel asks.
    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    /// Uses this instruction set from now on, in all threads; none for the best.
    ///
    /// # Panics
    /// The machine does not have it.
    pub fn force(isa: Option<Isa>) {
        let isa = isa.unwrap_or_else(Isa::detect);
        assert!(
            Isa::all().contains(&isa),
            "an instruction set of this machine"
        );
        CHOSEN.store(code(isa), Ordering::Relaxed);
    }

    const fn code(isa: Isa) -> u8 {
        match isa {
            Isa::Portable => 1,
            Isa::Avx2 => 2,
            Isa::Avx512 => 3,
        }
    }

    pub(crate) fn isa() -> Isa {
        match CHOSEN.load(Ordering::Relaxed) {
            1 => Isa::Portable,
            2 => Isa::Avx2,
            3 => Isa::Avx512,
            _ => {
                let isa = Isa::detect();
                CHOSEN.store(code(isa), Ordering::Relaxed);
                isa
            }
        }
    }
}
