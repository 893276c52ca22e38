//! Keys and values of one layer, and what a token attends to.
//!
//! Keys stand in blocks of 16 rows with the rows innermost, so that 16 scores are one chain of vector operations; values
//! stand row by row.

use crate::simd::{Float, LANES};

/// Keys and values of tokens, by row. A sequence has a run of rows that begins at a multiple of 16.
#[derive(Debug)]
pub struct KvCache<T> {
    keys: Vec<T>,
    values: Vec<T>,
    rows: usize,
    kv_heads: usize,
    width: usize,
    padded: usize,
}

/// What a token attends to: a run of rows that others may read too, then a run that ends with the token itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// The first row of the prefix, a multiple of 16.
    pub prefix_start: usize,
    /// Rows of the prefix; may be 0.
    pub prefix_len: usize,
    /// The first row of its own run, a multiple of 16.
    pub own_start: usize,
    /// Rows of its own run, itself included.
    pub own_len: usize,
    /// The oldest keys that it does not attend to (sliding windows).
    pub skip: usize,
}

impl Query {
    /// Keys of both runs.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.prefix_len + self.own_len
    }

    /// The two runs as (first row, rows).
    pub(crate) const fn runs(&self) -> [(usize, usize); 2] {
        [
            (self.prefix_start, self.prefix_len),
            (self.own_start, self.own_len),
        ]
    }
}

impl<T: Float> KvCache<T> {
    /// An empty cache; `rows` is rounded up to a multiple of 16.
    #[must_use]
    pub fn new(rows: usize, kv_heads: usize, width: usize) -> Self {
        let rows = rows.div_ceil(LANES) * LANES;
        let padded = width.div_ceil(LANES) * LANES;
        Self {
            keys: vec![T::ZERO; rows * kv_heads * width],
            values: vec![T::ZERO; rows * kv_heads * padded],
            rows,
            kv_heads,
            width,
            padded,
        }
    }

    /// Stores keys and values in these rows. Token t's are at t · `stride` of `k` and `v`, from the offsets on.
    ///
    /// # Panics
    /// A row is beyond the cache, or a token beyond the buffer.
    pub fn write(
        &mut self,
        rows: &[usize],
        k: &[T],
        v: &[T],
        stride: usize,
        k_offset: usize,
        v_offset: usize,
    ) {
        for (token, &row) in rows.iter().enumerate() {
            for head in 0..self.kv_heads {
                let at = token * stride + head * self.width;
                let key = &k[at + k_offset..][..self.width];
                let value = &v[at + v_offset..][..self.width];
                let block = ((head * self.rows + row) / LANES) * self.width * LANES;
                let cells = self.keys[block + row % LANES..].iter_mut().step_by(LANES);
                cells.zip(key).for_each(|(cell, &x)| *cell = x);
                let start = (head * self.rows + row) * self.padded;
                self.values[start..start + self.width].copy_from_slice(value);
            }
        }
    }

    /// Heads of keys and values.
    #[must_use]
    pub const fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a head.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    pub(crate) const fn padded(&self) -> usize {
        self.padded
    }

    /// The keys of a head: blocks of width × 16.
    pub(crate) fn keys(&self, head: usize) -> &[T] {
        &self.keys[head * self.rows * self.width..][..self.rows * self.width]
    }

    /// The values of a head: rows of the padded width.
    pub(crate) fn values(&self, head: usize) -> &[T] {
        &self.values[head * self.rows * self.padded..][..self.rows * self.padded]
    }
}
