//! Sixteen lanes on every instruction set, with one meaning.
//!
//! A kernel is a [`Kernel`]: it is written once over [`Simd`] and compiled for each instruction set. Every operation rounds as
//! IEEE 754 says, and products that are added are fused everywhere, so all of them give the same bits.
//!
//! Code over [`Simd`] uses loops and `#[inline(always)]` functions, never closures: a closure is compiled without the
//! instruction set of the function around it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod portable;

pub use isa::{Isa, forced};
use portable::{Baseline, Portable};

/// Lanes of a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen lanes of one type.
///
/// # Safety
/// Every method may only be called on a machine that has the implementing instruction set, inlined into a function that
/// enables it. Pointers must be valid for 16 elements, which need no alignment.
pub trait Simd: Copy {
    /// The element.
    type E: Float;
    /// Sixteen of them.
    type V: Copy;
    /// Rows of the tile of a matrix product, which has two vectors of columns: what the registers hold.
    const TILE_ROWS: usize;
    /// Whether sixteen sums, four vectors and a factor fit the registers.
    const MANY_REGISTERS: bool;

    unsafe fn splat(x: Self::E) -> Self::V;
    unsafe fn load(from: *const Self::E) -> Self::V;
    /// The even and the odd ones of 32 bf16 numbers, widened.
    unsafe fn load_bf16_pairs(from: *const u16) -> (Self::V, Self::V);
    unsafe fn store(to: *mut Self::E, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a·b + c, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// a where it is larger than b, else b.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The exponential; 0 from about −87.3 (f32) down, NaN of NaN. At most 2 units in the last place off.
    unsafe fn exp(v: Self::V) -> Self::V;
    /// Rows to columns.
    unsafe fn transpose(v: &mut [Self::V; LANES]);
    /// Asks for the line of memory at any address to be brought near.
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}
    /// Runs a kernel as a function of its own, so that its loops get registers for themselves.
    #[inline(always)]
    unsafe fn apart<K: Kernel<Self::E>>(kernel: K) -> K::Output {
        // SAFETY: the caller has the instruction set.
        unsafe { kernel.run::<Self>() }
    }
    /// Keeps the compiler from moving loads across, where it would run out of registers by loading too early.
    #[inline(always)]
    unsafe fn keep_order() {}
}

/// [`Simd::transpose`] by way of memory.
#[inline(always)]
unsafe fn transpose_in_memory<S: Simd>(v: &mut [S::V; LANES]) {
    let (mut rows, mut columns) = ([[S::E::ZERO; LANES]; LANES], [[S::E::ZERO; LANES]; LANES]);
    // SAFETY: 16 lanes fit; the caller has the instruction set.
    unsafe {
        for (row, &v) in rows.iter_mut().zip(v.iter()) {
            S::store(row.as_mut_ptr(), v);
        }
        for (i, row) in rows.iter().enumerate() {
            for (column, &x) in columns.iter_mut().zip(row) {
                column[i] = x;
            }
        }
        for (v, column) in v.iter_mut().zip(&columns) {
            *v = S::load(column.as_ptr());
        }
    }
}

/// Something to compute that is compiled for each instruction set.
pub trait Kernel<T> {
    /// What it gives.
    type Output;
    /// # Safety
    /// Only in a function that enables the instruction set of `S`. Implementations are `#[inline(always)]`.
    unsafe fn run<S: Simd<E = T>>(self) -> Self::Output;
}

/// An element of the kernels: f32, and f64 to check it.
pub trait Float:
    Copy
    + Send
    + Sync
    + PartialOrd
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + Dispatch
    + 'static
{
}

impl Float for f32 {}
impl Float for f64 {}

pub(crate) mod sealed {
    use super::{Isa, Kernel};

    /// What the kernels need of an element, and nobody else.
    pub trait Dispatch: Sized {
        const ZERO: Self;
        const ONE: Self;
        const NEGATIVE_INFINITY: Self;
        fn dispatch_on<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;
        fn square_root(self) -> Self;
        fn logarithm(self) -> Self;
        fn fused(self, factor: Self, addend: Self) -> Self;
        fn from_count(count: usize) -> Self;
        fn from_bf16(bits: u16) -> Self;
        fn from_f16(bits: u16) -> Self;
    }
}
pub(crate) use sealed::Dispatch;

/// Runs a kernel on the best instruction set.
#[inline]
pub(crate) fn dispatch<T: Float, K: Kernel<T>>(kernel: K) -> K::Output {
    T::dispatch_on(forced::isa(), kernel)
}

macro_rules! compiled_for {
    ($name:ident, $features:literal, $T:ty, $S:ty) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        #[inline(never)]
        unsafe fn $name<K: Kernel<$T>>(kernel: K) -> K::Output {
            // SAFETY: the features of `S` are enabled here, and the caller has checked that the machine has them.
            unsafe { kernel.run::<$S>() }
        }
    };
}
compiled_for!(
    f32_avx512,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
    f32,
    avx512::Avx512
);
compiled_for!(f32_avx2, "avx2,fma", f32, avx2::Avx2);
// The numbers that checks are made with: not worth a third copy of every kernel.
compiled_for!(f64_avx2, "avx2,fma", f64, Portable<f64>);

macro_rules! element {
    ($T:ty, $avx512:ident, $avx2:ident, $logarithm:expr) => {
        impl Dispatch for $T {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEGATIVE_INFINITY: Self = Self::NEG_INFINITY;
            #[inline]
            fn dispatch_on<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output {
                match isa {
                    // SAFETY: these are chosen on machines that have them only.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => unsafe { $avx512(kernel) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => unsafe { $avx2(kernel) },
                    // SAFETY: these need nothing.
                    _ => unsafe { kernel.run::<Baseline<$T>>() },
                }
            }
            #[inline]
            fn square_root(self) -> Self {
                self.sqrt()
            }
            #[inline]
            fn fused(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }
            #[expect(clippy::cast_precision_loss, reason = "row lengths are small")]
            fn from_count(count: usize) -> Self {
                count as Self
            }
            fn logarithm(self) -> Self {
                $logarithm(self)
            }
            #[inline]
            fn from_bf16(bits: u16) -> Self {
                Self::from(f32::from_bits(u32::from(bits) << 16))
            }
            fn from_f16(bits: u16) -> Self {
                half::f16::from_bits(bits).into()
            }
        }
    };
}
element!(f32, f32_avx512, f32_avx2, logarithm);
element!(f64, f64_avx2, f64_avx2, libm::log);

/// In f64, and rounded once.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding is what is wanted"
)]
fn logarithm(x: f32) -> f32 {
    libm::log(f64::from(x)) as f32
}

/// The sum of 16 lanes, in the one order: halves, quarters, eighths, pairs.
#[inline(always)]
pub(crate) unsafe fn sum<S: Simd>(v: S::V) -> S::E {
    let mut lanes = [S::E::ZERO; LANES];
    // SAFETY: 16 lanes fit, and the caller has the instruction set.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = lanes[i] + lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest of 16 lanes.
#[inline(always)]
pub(crate) unsafe fn largest<S: Simd>(v: S::V) -> S::E {
    let mut lanes = [S::E::ZERO; LANES];
    // SAFETY: as in `sum`.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut largest = lanes[0];
    for &lane in &lanes {
        if lane > largest {
            largest = lane;
        }
    }
    largest
}

/// Constants of the exponential of f32: x = n·ln 2 + r with |r| ≤ ln 2 / 2, then seven terms of Taylor's
/// series (error below 1e-8 relative).
pub(crate) mod exponential {
    pub(crate) const LOG2_E: f32 = std::f32::consts::LOG2_E;
    /// ln 2 in two parts, of which n times the first is exact.
    pub(crate) const LN2_HIGH: f32 = 0.693_359_4;
    pub(crate) const LN2_LOW: f32 = -2.121_944_4e-4;
    /// Adding this rounds to an integer, whose low bits are then n + 127.
    pub(crate) const MAGIC: f32 = 12_582_912.0 + 127.0;
    pub(crate) const LEAST: f32 = -87.3;
    pub(crate) const MOST: f32 = 88.3;
    /// 1/7!, 1/6!, …, 1/1!, 1/0!.
    pub(crate) const TERMS: [f32; 8] = [
        1.984_127e-4,
        1.388_888_9e-3,
        8.333_334e-3,
        4.166_666_8e-2,
        1.666_666_7e-1,
        0.5,
        1.0,
        1.0,
    ];
}
