//! Roundings of binary64 to the 16-bit types, in one step (spec §6.10).

use crate::simd::{odd_to_bf16, round_to_odd};
use half::f16;
use tlora_format::Rounding;

/// The 16-bit types that PEFT may have rounded a basis to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfDtype {
    /// The upper 16 bits of a binary32.
    Bf16,
    /// IEEE 754 binary16.
    F16,
}

impl HalfDtype {
    /// The type that a file's basis rounding names, if it names one.
    #[must_use]
    pub const fn of(rounding: Rounding) -> Option<Self> {
        match rounding {
            Rounding::None => None,
            Rounding::Bf16 => Some(Self::Bf16),
            Rounding::F16 => Some(Self::F16),
        }
    }

    /// The bits of the nearest value, ties to even: R_d of spec §6.10. Too large a number becomes an infinity.
    #[must_use]
    pub fn round(self, x: f64) -> u16 {
        let odd = round_to_odd(x);
        match self {
            Self::Bf16 => odd_to_bf16(odd),
            Self::F16 => f16::from_f32_const(odd).to_bits(),
        }
    }

    /// The value with these bits.
    #[must_use]
    pub fn value(self, bits: u16) -> f64 {
        f64::from(match self {
            Self::Bf16 => f32::from_bits(u32::from(bits) << 16),
            Self::F16 => f16::from_bits(bits).to_f32_const(),
        })
    }

    /// The bits of +∞; those of a finite number without its sign are less.
    pub(crate) const fn infinity(self) -> u16 {
        match self {
            Self::Bf16 => 0x7F80,
            Self::F16 => 0x7C00,
        }
    }
}
