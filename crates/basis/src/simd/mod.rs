//! Eight binary64 lanes on every instruction set, with one meaning.
//!
//! The kernels (`crate::kernels`) are written once over [`Simd`] and compiled per instruction set; spec §6.1
//! fixes the order of every sum, so all of them return the same bits. Fused multiply-add is used
//! only where the product is exact.
//!
//! Vectors of binary64 are kept *paired*: blocks of 16 elements, the eight even ones before the eight odd ones. Two
//! packed 16-bit weights then unpack with one shift and one mask, without a shuffle.
//!
//! Code over [`Simd`] uses loops and `#[inline(always)]` functions, never closures: a closure is compiled without the
//! instruction set of the function around it, and every lane operation in it becomes a call.
#![expect(
    unsafe_code,
    reason = "vendor intrinsics and raw loads; callers prove the instruction set"
)]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod scalar;

/// Elements of a block: 8 even lanes and 8 odd lanes (spec §6.1, `lanes`).
pub(crate) const BLOCK: usize = 16;

/// Eight lanes of binary64.
///
/// # Safety
/// Every method may only be called on a machine that has the implementing instruction set, and inlined into a
/// function that enables it. Pointers must be valid for the access, which needs no alignment:
/// 8 elements for `load` and `store`, 16 weights for `bf16`, `f16`, `f32` and the `to_…` methods.
pub(crate) trait Simd: Copy {
    /// Eight lanes.
    type V: Copy;
    /// Rows that the dot product of a pass takes at once, per number of columns: what the registers hold.
    const DOT_ROWS_OF_2: usize;
    /// Whether the sums of a block stay in registers while rows are added to it, so that several are worth adding at once.
    const ADDS_ROWS_AT_ONCE: bool;

    unsafe fn splat(x: f64) -> Self::V;
    unsafe fn load(from: *const f64) -> Self::V;
    unsafe fn store(to: *mut f64, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c where a·b is exact, so that one rounding and two give the same value.
    unsafe fn mul_add_exact(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Per lane the larger of `a` and |b|; `b` is not NaN.
    unsafe fn max_abs(a: Self::V, b: Self::V) -> Self::V;
    /// The low 41 bits of each fraction cleared (spec §6.1, w_hi).
    unsafe fn high_part(v: Self::V) -> Self::V;
    /// ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)) of the lanes (spec §6.1).
    unsafe fn sum(v: Self::V) -> f64;
    /// 16 weights as (even, odd).
    unsafe fn bf16(from: *const u8) -> (Self::V, Self::V);
    unsafe fn f16(from: *const u8) -> (Self::V, Self::V);
    unsafe fn f32(from: *const u8) -> (Self::V, Self::V);
    /// Rounds (even, odd) to 16 weights, to nearest even, straight from binary64.
    unsafe fn to_bf16(even: Self::V, odd: Self::V, to: *mut u8);
    unsafe fn to_f16(even: Self::V, odd: Self::V, to: *mut u8);
    unsafe fn to_f32(even: Self::V, odd: Self::V, to: *mut u8);
}

/// Rounds to binary32 so that a further rounding to at most 22 bits is right: an inexact result is cut off
/// and its last bit set.
#[inline(always)]
pub(crate) fn round_to_odd(x: f64) -> f32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rounding is what is wanted"
    )]
    let nearest = x as f32;
    let back = f64::from(nearest);
    // An integer step towards zero undoes a rounding away from zero, from infinity too.
    let cut = nearest
        .to_bits()
        .wrapping_sub(u32::from(back.abs() > x.abs()));
    f32::from_bits(cut | u32::from(back != x))
}

/// Rounds a binary32 that came from [`round_to_odd`] to bf16, to nearest even.
#[inline(always)]
pub(crate) fn odd_to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}
