//! The floating-point types of a file's values, as bit patterns and as `f64` (spec §1).
//!
//! Widening is exact. Narrowing goes from binary64 in one rounding, with integer code of our own: going through `f32`
//! would round twice.

/// The floating-point types that a file may use for its own values (spec §2, offset 11).
///
/// A bit pattern is held in a `u32`; those of the 16-bit types are zero-extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// IEEE 754 binary32.
    F32,
    /// The upper 16 bits of a binary32.
    Bf16,
    /// IEEE 754 binary16.
    F16,
}

/// A value that is a NaN, or beyond the largest finite value of the precision it should be stored in.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("value {index} is {value:?}, which {precision} cannot hold as a finite number")]
#[non_exhaustive]
pub struct NotFinite {
    /// Position of the value in the input.
    pub index: usize,
    /// The value.
    pub value: f64,
    /// The type it should be stored in.
    pub precision: Precision,
}

impl Precision {
    /// Size of one value in the file: 4 or 2 bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The value of a bit pattern, exactly.
    #[must_use]
    pub fn to_f64(self, bits: u32) -> f64 {
        match self {
            Self::F32 => f64::from(f32::from_bits(bits)),
            Self::Bf16 => f64::from(f32::from_bits(bits << 16)),
            Self::F16 => f16_to_f64(bits),
        }
    }

    /// The bit pattern nearest to `value`, ties to even; infinite if `value` is beyond the largest finite one.
    /// A NaN becomes a quiet NaN. Signed zeros are kept.
    #[must_use]
    pub const fn round(self, value: f64) -> u32 {
        let (exponent_bits, fraction_bits) = self.widths();
        narrow(value.to_bits(), exponent_bits, fraction_bits)
    }

    /// The bit patterns nearest to `values`, with −0 as +0: what a file can hold (spec R17, R32).
    ///
    /// # Errors
    /// If a value is a NaN or is not finite after rounding.
    pub fn pack(self, values: &[f64]) -> Result<Vec<u32>, NotFinite> {
        let pack_one = |(index, &value)| {
            let bits = self.positive_zero(self.round(value));
            self.is_finite(bits).then_some(bits).ok_or(NotFinite {
                index,
                value,
                precision: self,
            })
        };
        values.iter().enumerate().map(pack_one).collect()
    }

    /// Whether a bit pattern is neither an infinity nor a NaN.
    #[must_use]
    pub const fn is_finite(self, bits: u32) -> bool {
        let exponent = self.exponent_mask();
        bits & exponent != exponent
    }

    /// Whether a bit pattern is −0.
    #[must_use]
    pub const fn is_negative_zero(self, bits: u32) -> bool {
        bits == self.sign_bit()
    }

    /// The same pattern, with −0 as +0.
    pub(crate) const fn positive_zero(self, bits: u32) -> u32 {
        if self.is_negative_zero(bits) { 0 } else { bits }
    }

    const fn sign_bit(self) -> u32 {
        match self {
            Self::F32 => 1 << 31,
            Self::Bf16 | Self::F16 => 1 << 15,
        }
    }

    const fn exponent_mask(self) -> u32 {
        match self {
            Self::F32 => 0x7F80_0000,
            Self::Bf16 => 0x7F80,
            Self::F16 => 0x7C00,
        }
    }

    /// Numbers of exponent and of fraction bits.
    const fn widths(self) -> (u32, u32) {
        match self {
            Self::F32 => (8, 23),
            Self::Bf16 => (8, 7),
            Self::F16 => (5, 10),
        }
    }
}

fn f16_to_f64(bits: u32) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x3FF);
    let two_to_minus_24 = f64::from_bits(0x3E70_0000_0000_0000);
    let magnitude = match (bits & 0x7C00) >> 10 {
        0 => fraction * two_to_minus_24,
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        // 2^(e − 25) · (1024 + fraction) with e = 1 … 30; the shift below is 2^(e − 1).
        exponent => {
            (1024.0 + fraction) * f64::from(1_u32 << (exponent & 31) >> 1) * two_to_minus_24
        }
    };
    sign * magnitude
}

const F64_FRACTION_BITS: u32 = 52;
const F64_BIAS: i64 = 1023;

/// Rounds a binary64 pattern to a pattern with the given widths, to nearest even.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "exponents lie in −1100 … 2100, shifts are clamped to 0 … 63, and results have at most 32 bits"
)]
const fn narrow(bits: u64, exponent_bits: u32, fraction_bits: u32) -> u32 {
    let sign = ((bits >> 63) as u32) << (exponent_bits + fraction_bits);
    let largest_exponent = (1_i64 << exponent_bits) - 1;
    let infinity = (largest_exponent as u32) << fraction_bits;
    let fraction = bits & ((1 << F64_FRACTION_BITS) - 1);
    let source_exponent = ((bits >> F64_FRACTION_BITS) & 0x7FF) as i64;
    if source_exponent == 0x7FF {
        let quiet = if fraction == 0 {
            0
        } else {
            1 << (fraction_bits - 1)
        };
        return sign | infinity | quiet;
    }
    // Binary64 subnormals are far below half of the least value of every target; the implicit bit they lack is moot.
    let significand = fraction | (1 << F64_FRACTION_BITS);
    let exponent = source_exponent - F64_BIAS + (largest_exponent >> 1);
    if exponent >= largest_exponent {
        return sign | infinity;
    }
    let below_normal = if exponent < 1 { 1 - exponent } else { 0 };
    let shift = (F64_FRACTION_BITS - fraction_bits) as i64 + below_normal;
    // A shift of 54 leaves less than half, a larger one no more; 63 keeps the shift defined.
    let kept = round_shift(significand, if shift > 63 { 63 } else { shift as u32 });
    // A normal's implicit bit adds one to the exponent field, so that a carry out of the fraction does the right thing.
    let base = if exponent < 1 {
        0
    } else {
        (exponent as u32 - 1) << fraction_bits
    };
    sign | (base + kept as u32)
}

/// `value / 2^shift` to nearest even, for 1 ≤ `shift` ≤ 63 and `value` < 2^53.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "shift is 1 … 63, and quotients are far below 2^64"
)]
const fn round_shift(value: u64, shift: u32) -> u64 {
    let quotient = value >> shift;
    let rest = value & ((1 << shift) - 1);
    let half = 1_u64 << (shift - 1);
    if rest > half || (rest == half && quotient & 1 == 1) {
        quotient + 1
    } else {
        quotient
    }
}
