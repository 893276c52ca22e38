//! Keys row by row, and values in blocks: the other way round than the cache has them.

use crate::simd::{Dispatch, LANES, Simd};

/// Blocks of width × 16 as rows of the padded width.
#[inline(always)]
pub(super) unsafe fn by_row<S: Simd>(
    blocks: &[S::E],
    width: usize,
    padded: usize,
    out: &mut [S::E],
) {
    let blocks = blocks.chunks_exact(width * LANES);
    for (block, out) in blocks.zip(out.chunks_exact_mut(padded * LANES)) {
        for first in (0..width).step_by(LANES) {
            let columns = LANES.min(width - first);
            // SAFETY: so many vectors of the block, and 16 rows that are padded to whole vectors.
            unsafe {
                let from = block[first * LANES..].as_ptr();
                turn::<S>(
                    (from, LANES, columns),
                    (out[first..].as_mut_ptr(), padded, LANES),
                );
            }
        }
    }
}

/// Rows of the padded width as blocks of width × 16.
#[inline(always)]
pub(super) unsafe fn by_block<S: Simd>(
    rows: &[S::E],
    width: usize,
    padded: usize,
    out: &mut [S::E],
) {
    let rows = rows.chunks_exact(padded * LANES);
    for (rows, block) in rows.zip(out.chunks_exact_mut(width * LANES)) {
        for first in (0..width).step_by(LANES) {
            let columns = LANES.min(width - first);
            // SAFETY: as in `by_row`, the other way.
            unsafe {
                let to = block[first * LANES..].as_mut_ptr();
                turn::<S>(
                    (rows[first..].as_ptr(), padded, LANES),
                    (to, LANES, columns),
                );
            }
        }
    }
}

/// Up to 16 vectors to up to 16 vectors of their columns: (pointer, elements to the next vector, vectors).
#[inline(always)]
unsafe fn turn<S: Simd>(
    (from, from_step, count): (*const S::E, usize, usize),
    (to, to_step, to_count): (*mut S::E, usize, usize),
) {
    // SAFETY: the caller vouches for the vectors and the instruction set.
    unsafe {
        let mut v = [S::splat(S::E::ZERO); LANES];
        for (i, v) in v.iter_mut().take(count).enumerate() {
            *v = S::load(from.add(i * from_step));
        }
        S::transpose(&mut v);
        for (i, &v) in v.iter().take(to_count).enumerate() {
            S::store(to.add(i * to_step), v);
        }
    }
}
