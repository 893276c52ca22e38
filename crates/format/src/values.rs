//! Runs of float values in a file: v, factors, projections.

use crate::Precision;

/// Size of one value, as a factor of sizes in 64 bits.
pub(crate) const fn bytes(precision: Precision) -> u64 {
    match precision {
        Precision::F32 => 4,
        Precision::Bf16 | Precision::F16 => 2,
    }
}

/// The bit patterns of whole values; a rest that is none is left out.
pub(crate) fn unpack(precision: Precision, bytes: &[u8]) -> Vec<u32> {
    match precision {
        Precision::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&chunk| u32::from_le_bytes(chunk))
            .collect(),
        Precision::Bf16 | Precision::F16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&chunk| u32::from(u16::from_le_bytes(chunk)))
            .collect(),
    }
}

/// Appends bit patterns as they stand in a file; those of 16-bit types are at most 0xFFFF.
pub(crate) fn pack_into(out: &mut Vec<u8>, precision: Precision, patterns: &[u32]) {
    for pattern in patterns {
        let [a, b, c, d] = pattern.to_le_bytes();
        match precision {
            Precision::F32 => out.extend([a, b, c, d]),
            Precision::Bf16 | Precision::F16 => out.extend([a, b]),
        }
    }
}

/// The first value that is infinite, a NaN or −0, with its index (R17, R32).
pub(crate) fn first_forbidden(precision: Precision, patterns: &[u32]) -> Option<(usize, f64)> {
    let forbidden = |bits: u32| !precision.is_finite(bits) || precision.is_negative_zero(bits);
    let (index, &bits) = patterns
        .iter()
        .enumerate()
        .find(|&(_, &bits)| forbidden(bits))?;
    Some((index, precision.to_f64(bits)))
}
