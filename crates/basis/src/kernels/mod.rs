//! The loops that take the time, compiled once per instruction set and chosen at run time.
#![expect(
    unsafe_code,
    reason = "function pointers to code for a detected instruction set"
)]

mod merge;
mod pass;
mod vector;

use crate::eigh::Eigen;
use crate::simd::{BLOCK, scalar::Scalar};
use crate::{Weight, WeightDtype};
pub(crate) use merge::RowSums;

/// An instruction set that this machine has. All of them give the same bits (spec §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Every instruction set that this machine has, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = has!("avx2") && has!("fma") && has!("f16c");
            if avx2 && has!("avx512f") && has!("avx512dq") && has!("avx512vl") {
                found.push(Self(Kind::Avx512));
            }
            if avx2 {
                found.push(Self(Kind::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self(Kind::Neon));
        found.push(Self(Kind::Scalar));
        found
    }

    /// The fastest of [`Self::available`].
    #[must_use]
    pub fn detect() -> Self {
        Self::available()
            .first()
            .copied()
            .unwrap_or(Self(Kind::Scalar))
    }

    /// Its usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
        }
    }

    fn kernels(self) -> &'static Kernels {
        match self.0 {
            Kind::Scalar => &scalar::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => &avx2::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => &avx512::KERNELS,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => &neon::KERNELS,
        }
    }

    /// y = W·X for the rows of `weight`: `y[i·k + c]`. `x` holds k interleaved columns (see [`interleave`]).
    pub(crate) fn products(self, weight: &Weight<'_>, k: usize, x: &[f64], y: &mut [f64]) {
        assert_eq!(x.len(), padded(weight.columns()) * k);
        assert_eq!(y.len(), weight.rows() * k);
        // SAFETY: an `Isa` exists only for a detected instruction set; the lengths were just checked.
        unsafe { (self.kernels().products)(weight, k, x, y) }
    }

    /// One block of rows of a pass (spec §6.2, steps 1 and 2): `p` = Σ w_ij·rnd(y_ic), from +0.
    /// Returns the first row with a y that is not finite.
    pub(crate) fn block_pass(
        self,
        weight: &Weight<'_>,
        k: usize,
        x: &[f64],
        p: &mut [f64],
    ) -> Result<(), usize> {
        assert_eq!(x.len(), padded(weight.columns()) * k);
        assert_eq!(p.len(), x.len());
        // SAFETY: as above.
        unsafe { (self.kernels().block_pass)(weight, k, x, p) }
    }

    /// One block of rows of `right` (spec §6.9): `p` = Σ w_ij·y_ic, from +0, for `y[i·k + c]` that `rnd` leaves as they are.
    pub(crate) fn block_right(self, weight: &Weight<'_>, k: usize, y: &[f64], p: &mut [f64]) {
        assert_eq!(y.len(), weight.rows() * k);
        assert_eq!(p.len(), padded(weight.columns()) * k);
        // SAFETY: as above.
        unsafe { (self.kernels().block_right)(weight, k, y, p) }
    }

    /// `dot` of two paired vectors (spec §6.1).
    pub(crate) fn dot(self, a: &[f64], b: &[f64]) -> f64 {
        assert!(a.len() == b.len() && a.len().is_multiple_of(BLOCK));
        // SAFETY: as above.
        unsafe { (self.kernels().dot)(a, b) }
    }

    /// sqrt(lanes((a − θ·v)²)) of two paired vectors (spec §6.6).
    pub(crate) fn residual(self, a: &[f64], v: &[f64], theta: f64) -> f64 {
        assert!(a.len() == v.len() && a.len().is_multiple_of(BLOCK));
        // SAFETY: as above.
        unsafe { (self.kernels().residual)(a, v, theta) }
    }

    /// Each column of `x` −= Q_i·h_i for the columns of `q`, in order; `h` holds the coefficients of one column of `x` after
    /// the other. All columns have `length` elements.
    pub(crate) fn subtract(self, q: &[f64], h: &[f64], length: usize, x: &mut [f64]) {
        assert_eq!(q.len() * x.len(), h.len() * length * length);
        // SAFETY: as above.
        unsafe { (self.kernels().subtract)(q, h, length, x) }
    }

    /// The eigenpairs of a symmetric `p` × `p` matrix (spec §6.6); `None` if the iteration does not converge.
    pub(crate) fn eigh(self, matrix: Vec<f64>, p: usize) -> Option<Eigen> {
        assert_eq!(matrix.len(), p * p);
        // SAFETY: as above.
        unsafe { (self.kernels().eigh)(matrix, p) }
    }

    /// `out` column c = Σ_i q_i·s[c][i], i in order from +0; `s` holds the coefficients of one column after the other.
    pub(crate) fn combine(self, q: &[f64], s: &[f64], count: usize, out: &mut [f64]) {
        let length = out.len() / count.max(1);
        assert!(out.len() == length * count && s.len() * length == q.len() * count);
        // SAFETY: as above.
        unsafe { (self.kernels().combine)(q, s, count, out) }
    }

    /// Merges one row: `out` = round(w + Σ_k t_k·V_k) (spec §8). `v` holds one paired vector per t.
    pub(crate) fn merge_row(
        self,
        dtype: WeightDtype,
        row: &[u8],
        t: &[f64],
        v: &[f64],
        output: WeightDtype,
        out: &mut [u8],
    ) -> RowSums {
        let columns = row.len() / dtype.size();
        assert!(row.len() == columns * dtype.size() && out.len() == columns * output.size());
        assert_eq!(v.len(), padded(columns) * t.len());
        // SAFETY: as above.
        unsafe { (self.kernels().merge_row)(dtype, row, t, v, output, out) }
    }
}

/// `columns` rounded up to whole blocks.
pub(crate) const fn padded(columns: usize) -> usize {
    columns.next_multiple_of(BLOCK)
}

/// How many columns the kernels of a pass take at once when there are `columns` of them: 2, 4 or 8.
pub(crate) const fn group_width(columns: usize) -> usize {
    match columns {
        ..=2 => 2,
        3..=4 => 4,
        _ => 8,
    }
}

/// k paired columns, block by block: column 0 of block 0, column 1 of block 0, …
pub(crate) fn interleave(columns: &[f64], k: usize, out: &mut [f64]) {
    let length = columns.len() / k;
    for (b, block) in out.chunks_exact_mut(BLOCK * k).enumerate() {
        for (c, slots) in block.chunks_exact_mut(BLOCK).enumerate() {
            slots.copy_from_slice(&columns[c * length + b * BLOCK..][..BLOCK]);
        }
    }
}

/// The inverse of [`interleave`].
pub(crate) fn deinterleave(blocks: &[f64], k: usize, out: &mut [f64]) {
    let length = out.len() / k;
    for (b, block) in blocks.chunks_exact(BLOCK * k).enumerate() {
        for (c, slots) in block.chunks_exact(BLOCK).enumerate() {
            out[c * length + b * BLOCK..][..BLOCK].copy_from_slice(slots);
        }
    }
}

/// Natural order to paired order, padded with +0 to whole blocks.
pub(crate) fn pair(natural: &[f64], paired: &mut [f64]) {
    paired.fill(0.0);
    for (j, &x) in natural.iter().enumerate() {
        paired[slot(j)] = x;
    }
}

/// Where element `j` of a vector stands in paired order.
pub(crate) const fn slot(j: usize) -> usize {
    j / BLOCK * BLOCK + j % 2 * (BLOCK / 2) + j % BLOCK / 2
}

/// The kernels of one instruction set.
#[expect(
    clippy::type_complexity,
    reason = "the signatures of the kernels, and no simpler than they are"
)]
struct Kernels {
    products: unsafe fn(&Weight<'_>, usize, &[f64], &mut [f64]),
    block_pass: unsafe fn(&Weight<'_>, usize, &[f64], &mut [f64]) -> Result<(), usize>,
    block_right: unsafe fn(&Weight<'_>, usize, &[f64], &mut [f64]),
    dot: unsafe fn(&[f64], &[f64]) -> f64,
    residual: unsafe fn(&[f64], &[f64], f64) -> f64,
    subtract: unsafe fn(&[f64], &[f64], usize, &mut [f64]),
    eigh: unsafe fn(Vec<f64>, usize) -> Option<Eigen>,
    combine: unsafe fn(&[f64], &[f64], usize, &mut [f64]),
    merge_row: unsafe fn(WeightDtype, &[u8], &[f64], &[f64], WeightDtype, &mut [u8]) -> RowSums,
}

/// Compiles every kernel for one instruction set.
macro_rules! kernels_for {
    ($name:ident, $simd:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;

            pub(super) static KERNELS: Kernels =
                Kernels { products, block_pass, block_right, dot, residual, subtract, eigh, combine, merge_row };

            $(#[target_feature(enable = $features)])?
            unsafe fn products(weight: &Weight<'_>, k: usize, x: &[f64], y: &mut [f64]) {
                // SAFETY: this function has the instruction set; the caller checked the lengths.
                unsafe { pass::products::<$simd>(weight, k, x, y) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn block_pass(weight: &Weight<'_>, k: usize, x: &[f64], p: &mut [f64]) -> Result<(), usize> {
                // SAFETY: as above.
                unsafe { pass::block_pass::<$simd>(weight, k, x, p) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn block_right(weight: &Weight<'_>, k: usize, y: &[f64], p: &mut [f64]) {
                // SAFETY: as above.
                unsafe { pass::block_right::<$simd>(weight, k, y, p) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn dot(a: &[f64], b: &[f64]) -> f64 {
                // SAFETY: as above.
                unsafe { vector::dot::<$simd>(a, b) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn residual(a: &[f64], v: &[f64], theta: f64) -> f64 {
                // SAFETY: as above.
                unsafe { vector::residual::<$simd>(a, v, theta) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn subtract(q: &[f64], h: &[f64], length: usize, x: &mut [f64]) {
                vector::subtract(q, h, length, x);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn eigh(matrix: Vec<f64>, p: usize) -> Option<Eigen> {
                crate::eigh::eigh(matrix, p)
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn combine(q: &[f64], s: &[f64], count: usize, out: &mut [f64]) {
                vector::combine(q, s, count, out);
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn merge_row(
                dtype: WeightDtype,
                row: &[u8],
                t: &[f64],
                v: &[f64],
                output: WeightDtype,
                out: &mut [u8],
            ) -> RowSums {
                // SAFETY: as above.
                unsafe { merge::merge_row::<$simd>(dtype, row, t, v, output, out) }
            }
        }
    };
}

kernels_for!(scalar, Scalar);
#[cfg(target_arch = "x86_64")]
kernels_for!(avx2, crate::simd::avx2::Avx2, "avx2,fma,f16c");
#[cfg(target_arch = "x86_64")]
kernels_for!(
    avx512,
    crate::simd::avx512::Avx512,
    "avx2,fma,f16c,avx512f,avx512dq,avx512vl"
);
#[cfg(target_arch = "aarch64")]
kernels_for!(neon, crate::simd::neon::Neon);
