//! One fused pass over a weight: y = W·X and P += Wᵀ·rnd(y) while the rows are in cache (spec §6.2).

use crate::arithmetic::rnd;
use crate::simd::{BLOCK, Simd};
use crate::{Weight, WeightDtype};

/// Rows that are accumulated together, so that P is loaded and stored once for all of them.
const ROWS: usize = 8;

/// How a weight type enters a sum: one term, or two for binary32 (spec §6.1).
pub(super) trait Stored {
    const SIZE: usize;
    /// Whether a weight is split into a high and a low term.
    const SPLIT: bool;
    unsafe fn decode<S: Simd>(from: *const u8) -> (S::V, S::V);
}

pub(super) struct Bf16;
pub(super) struct F16;
pub(super) struct F32;

impl Stored for Bf16 {
    const SIZE: usize = 2;
    const SPLIT: bool = false;
    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8) -> (S::V, S::V) {
        // SAFETY: passed on.
        unsafe { S::bf16(from) }
    }
}

impl Stored for F16 {
    const SIZE: usize = 2;
    const SPLIT: bool = false;
    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8) -> (S::V, S::V) {
        // SAFETY: passed on.
        unsafe { S::f16(from) }
    }
}

impl Stored for F32 {
    const SIZE: usize = 4;
    const SPLIT: bool = true;
    #[inline(always)]
    unsafe fn decode<S: Simd>(from: *const u8) -> (S::V, S::V) {
        // SAFETY: passed on.
        unsafe { S::f32(from) }
    }
}

/// acc + w·x, where w is one or two exact terms.
#[inline(always)]
unsafe fn accumulate<S: Simd, D: Stored>(w: S::V, x: S::V, acc: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        if D::SPLIT {
            let high = S::high_part(w);
            S::mul_add_exact(S::sub(w, high), x, S::mul_add_exact(high, x, acc))
        } else {
            S::mul_add_exact(w, x, acc)
        }
    }
}

/// The last, incomplete block of a row, padded with zeros; they change no sum, since a sum that began at +0 is never −0.
#[inline(always)]
pub(super) unsafe fn padded_tail(row: &[u8], whole: usize, size: usize) -> [u8; BLOCK * 4] {
    let mut tail = [0; BLOCK * 4];
    let rest = &row[whole * BLOCK * size..];
    tail[..rest.len()].copy_from_slice(rest);
    tail
}

/// One block of one row, into the sums of each column: even lanes and odd lanes.
#[inline(always)]
unsafe fn dot_block<S: Simd, D: Stored, const K: usize>(
    sums: &mut [[S::V; 2]; K],
    weights: *const u8,
    x: *const f64,
) {
    // SAFETY: the caller vouches for 16 weights, K blocks of x, and the instruction set.
    unsafe {
        let (even, odd) = D::decode::<S>(weights);
        for (c, sum) in sums.iter_mut().enumerate() {
            sum[0] = accumulate::<S, D>(even, S::load(x.add(c * BLOCK)), sum[0]);
            sum[1] = accumulate::<S, D>(odd, S::load(x.add(c * BLOCK + BLOCK / 2)), sum[1]);
        }
    }
}

/// Dot products of `R` rows with K interleaved columns.
#[inline(always)]
unsafe fn dots<S: Simd, D: Stored, const K: usize, const R: usize>(
    rows: [&[u8]; R],
    x: &[f64],
) -> [[f64; K]; R] {
    // SAFETY: the caller has the instruction set; each row has `whole` blocks and a tail, x a block for each.
    unsafe {
        let mut sums = [[[S::splat(0.0); 2]; K]; R];
        let columns = rows[0].len() / D::SIZE;
        let whole = columns / BLOCK;
        for block in 0..whole {
            let x = x.as_ptr().add(block * K * BLOCK);
            for r in 0..R {
                dot_block::<S, D, K>(
                    &mut sums[r],
                    rows[r].as_ptr().add(block * BLOCK * D::SIZE),
                    x,
                );
            }
        }
        if !columns.is_multiple_of(BLOCK) {
            for r in 0..R {
                let tail = padded_tail(rows[r], whole, D::SIZE);
                dot_block::<S, D, K>(
                    &mut sums[r],
                    tail.as_ptr(),
                    x.as_ptr().add(whole * K * BLOCK),
                );
            }
        }
        let mut y = [[0.0; K]; R];
        for r in 0..R {
            for c in 0..K {
                y[r][c] = S::sum(S::add(sums[r][c][0], sums[r][c][1]));
            }
        }
        y
    }
}

/// One block of `R` rows times y, added to P in the order of the rows.
#[inline(always)]
unsafe fn add_block<S: Simd, D: Stored, const K: usize, const R: usize>(
    weights: [*const u8; R],
    y: &[[f64; K]; R],
    p: *mut f64,
) {
    // SAFETY: the caller vouches for 16 weights a row, K blocks of p, and the instruction set.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; K];
        for (c, sum) in sums.iter_mut().enumerate() {
            *sum = [
                S::load(p.add(c * BLOCK)),
                S::load(p.add(c * BLOCK + BLOCK / 2)),
            ];
        }
        for r in 0..R {
            let (even, odd) = D::decode::<S>(weights[r]);
            for (c, sum) in sums.iter_mut().enumerate() {
                let y = S::splat(y[r][c]);
                *sum = [
                    accumulate::<S, D>(even, y, sum[0]),
                    accumulate::<S, D>(odd, y, sum[1]),
                ];
            }
        }
        for (c, sum) in sums.into_iter().enumerate() {
            S::store(p.add(c * BLOCK), sum[0]);
            S::store(p.add(c * BLOCK + BLOCK / 2), sum[1]);
        }
    }
}

/// P += w_i·y_i over `R` rows, in order.
#[inline(always)]
unsafe fn add_rows<S: Simd, D: Stored, const K: usize, const R: usize>(
    rows: [&[u8]; R],
    y: &[[f64; K]; R],
    p: &mut [f64],
) {
    // SAFETY: as in `dots`, with p in place of x.
    unsafe {
        let columns = rows[0].len() / D::SIZE;
        let whole = columns / BLOCK;
        for block in 0..whole {
            let mut weights = [std::ptr::null(); R];
            for r in 0..R {
                weights[r] = rows[r].as_ptr().add(block * BLOCK * D::SIZE);
            }
            add_block::<S, D, K, R>(weights, y, p.as_mut_ptr().add(block * K * BLOCK));
        }
        if !columns.is_multiple_of(BLOCK) {
            let tails = rows.map(|row| padded_tail(row, whole, D::SIZE));
            let weights = std::array::from_fn(|r| tails[r].as_ptr());
            add_block::<S, D, K, R>(weights, y, p.as_mut_ptr().add(whole * K * BLOCK));
        }
    }
}

/// Dot products of the rows from `start` to `end` (at most [`ROWS`]).
#[inline(always)]
unsafe fn dots_of<S: Simd, D: Stored, const K: usize>(
    weight: &Weight<'_>,
    start: usize,
    end: usize,
    x: &[f64],
    y: &mut [[f64; K]],
) {
    let at_once = (S::DOT_ROWS_OF_2 * 2 / K).max(1);
    let mut i = start;
    while i < end {
        // SAFETY: passed on; the rows exist.
        unsafe {
            if at_once >= 4 && end - i >= 4 {
                let rows = [
                    weight.row(i),
                    weight.row(i + 1),
                    weight.row(i + 2),
                    weight.row(i + 3),
                ];
                y[i - start..][..4].copy_from_slice(&dots::<S, D, K, 4>(rows, x));
                i += 4;
            } else if at_once >= 2 && end - i >= 2 {
                let rows = [weight.row(i), weight.row(i + 1)];
                y[i - start..][..2].copy_from_slice(&dots::<S, D, K, 2>(rows, x));
                i += 2;
            } else {
                y[i - start] = dots::<S, D, K, 1>([weight.row(i)], x)[0];
                i += 1;
            }
        }
    }
}

#[inline(always)]
unsafe fn block_pass_of<S: Simd, D: Stored, const K: usize>(
    weight: &Weight<'_>,
    x: &[f64],
    p: &mut [f64],
) -> Result<(), usize> {
    p.fill(0.0);
    for start in (0..weight.rows()).step_by(ROWS) {
        let end = weight.rows().min(start + ROWS);
        let mut y = [[0.0; K]; ROWS];
        // SAFETY: passed on; the rows exist.
        unsafe { dots_of::<S, D, K>(weight, start, end, x, &mut y) };
        if let Some(bad) = y.iter().position(|row| row.iter().any(|y| !y.is_finite())) {
            return Err(start + bad);
        }
        let y = y.map(|row| row.map(rnd));
        // SAFETY: passed on; the rows exist.
        unsafe { add_rows_from::<S, D, K>(weight, start, &y[..end - start], p) };
    }
    Ok(())
}

/// P += w_i·y_i over the rows from `start`, one for each of `y` (at most [`ROWS`]).
#[inline(always)]
unsafe fn add_rows_from<S: Simd, D: Stored, const K: usize>(
    weight: &Weight<'_>,
    start: usize,
    y: &[[f64; K]],
    p: &mut [f64],
) {
    // SAFETY: passed on; the rows exist.
    unsafe {
        if S::ADDS_ROWS_AT_ONCE
            && let Ok(y) = y.try_into()
        {
            add_rows::<S, D, K, ROWS>(std::array::from_fn(|r| weight.row(start + r)), y, p);
        } else {
            for (r, &y) in y.iter().enumerate() {
                add_rows::<S, D, K, 1>([weight.row(start + r)], &[y], p);
            }
        }
    }
}

#[inline(always)]
unsafe fn block_right_of<S: Simd, D: Stored, const K: usize>(
    weight: &Weight<'_>,
    y: &[f64],
    p: &mut [f64],
) {
    p.fill(0.0);
    let (y, _) = y.as_chunks::<K>();
    for (i, y) in y.chunks(ROWS).enumerate() {
        // SAFETY: passed on; y has a chunk for every row.
        unsafe { add_rows_from::<S, D, K>(weight, i * ROWS, y, p) };
    }
}

#[inline(always)]
unsafe fn products_of<S: Simd, D: Stored, const K: usize>(
    weight: &Weight<'_>,
    x: &[f64],
    y: &mut [f64],
) {
    let (y, _) = y.as_chunks_mut::<K>();
    for (i, y) in y.chunks_mut(ROWS).enumerate() {
        // SAFETY: passed on; y has a chunk for every row.
        unsafe { dots_of::<S, D, K>(weight, i * ROWS, i * ROWS + y.len(), x, y) };
    }
}

/// Calls `$function::<S, D, K>` for the type of the weight and the number of columns.
macro_rules! for_type_and_columns {
    ($function:ident, $weight:expr, $k:expr, $($argument:expr),*) => {
        match ($weight.dtype(), $k) {
            (WeightDtype::Bf16, 2) => $function::<S, Bf16, 2>($($argument),*),
            (WeightDtype::Bf16, 4) => $function::<S, Bf16, 4>($($argument),*),
            (WeightDtype::Bf16, _) => $function::<S, Bf16, 8>($($argument),*),
            (WeightDtype::F16, 2) => $function::<S, F16, 2>($($argument),*),
            (WeightDtype::F16, 4) => $function::<S, F16, 4>($($argument),*),
            (WeightDtype::F16, _) => $function::<S, F16, 8>($($argument),*),
            (WeightDtype::F32, 2) => $function::<S, F32, 2>($($argument),*),
            (WeightDtype::F32, 4) => $function::<S, F32, 4>($($argument),*),
            (WeightDtype::F32, _) => $function::<S, F32, 8>($($argument),*),
        }
    };
}

#[inline(always)]
pub(super) unsafe fn products<S: Simd>(weight: &Weight<'_>, k: usize, x: &[f64], y: &mut [f64]) {
    // SAFETY: passed on.
    unsafe { for_type_and_columns!(products_of, weight, k, weight, x, y) }
}

#[inline(always)]
pub(super) unsafe fn block_pass<S: Simd>(
    weight: &Weight<'_>,
    k: usize,
    x: &[f64],
    p: &mut [f64],
) -> Result<(), usize> {
    // SAFETY: passed on.
    unsafe { for_type_and_columns!(block_pass_of, weight, k, weight, x, p) }
}

#[inline(always)]
pub(super) unsafe fn block_right<S: Simd>(weight: &Weight<'_>, k: usize, y: &[f64], p: &mut [f64]) {
    // SAFETY: passed on.
    unsafe { for_type_and_columns!(block_right_of, weight, k, weight, y, p) }
}
