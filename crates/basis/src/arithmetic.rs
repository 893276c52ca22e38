//! The scalar rules of spec §6.1 and §6.3.

/// 41 significant bits: the product with a 12-bit weight term is then exact in binary64 (spec §6.1).
#[inline(always)]
pub(crate) fn rnd(x: f64) -> f64 {
    let bits = x.to_bits();
    if (bits >> 52) & 0x7FF < 623 {
        return 0.0;
    }
    f64::from_bits(bits.wrapping_add(1 << 11) & !0xFFF)
}

/// Entry `j` of start column `c`: an odd multiple of ½ below 2²³ (spec §6.3).
pub(crate) fn start_entry(c: u32, j: usize) -> f64 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let counter = (u64::from(c) << 32).wrapping_add(j as u64);
    let mut z = counter.wrapping_mul(GAMMA).wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    let uniform = (z >> 40) as f64;
    uniform - 8_388_608.0 + 0.5
}
