//! Weights for the tests: reproducible, of any type, with a spectrum that is not flat.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "test data"
)]

use half::{bf16, f16};
use tlora_basis::{Weight, WeightDtype};

/// A weight that owns its bytes.
pub(crate) struct Matrix {
    pub(crate) dtype: WeightDtype,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Matrix {
    /// From one function of (row, column), rounded to `dtype`.
    pub(crate) fn new(
        dtype: WeightDtype,
        rows: usize,
        columns: usize,
        entry: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let entries = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j)));
        let bytes = entries
            .flat_map(|(i, j)| encode(dtype, entry(i, j)))
            .collect();
        Self {
            dtype,
            rows,
            columns,
            bytes,
        }
    }

    /// Uniform entries and three strong directions.
    pub(crate) fn random(dtype: WeightDtype, rows: usize, columns: usize, seed: u64) -> Self {
        Self::new(dtype, rows, columns, |i, j| {
            let bulk = uniform(seed, i * columns + j);
            let strong = |c: usize| {
                uniform(seed + 1, i * 3 + c) * uniform(seed + 2, j * 3 + c) * (3 - c) as f64
            };
            bulk + strong(0) + strong(1) + strong(2)
        })
    }

    pub(crate) fn weight(&self) -> Weight<'_> {
        Weight::new(self.dtype, self.rows, self.columns, &self.bytes).unwrap()
    }

    /// The same values in binary32.
    pub(crate) fn upcast(&self) -> Self {
        let bytes = match self.dtype {
            WeightDtype::F32 => self.bytes.clone(),
            WeightDtype::Bf16 => self
                .halves()
                .flat_map(|b| bf16::from_le_bytes(b).to_f32().to_le_bytes())
                .collect(),
            WeightDtype::F16 => self
                .halves()
                .flat_map(|b| f16::from_le_bytes(b).to_f32().to_le_bytes())
                .collect(),
        };
        Self {
            dtype: WeightDtype::F32,
            rows: self.rows,
            columns: self.columns,
            bytes,
        }
    }

    fn halves(&self) -> impl Iterator<Item = [u8; 2]> {
        self.bytes.as_chunks::<2>().0.iter().copied()
    }
}

fn encode(dtype: WeightDtype, x: f64) -> Vec<u8> {
    match dtype {
        WeightDtype::Bf16 => bf16::from_f64(x).to_le_bytes().to_vec(),
        WeightDtype::F16 => f16::from_f64(x).to_le_bytes().to_vec(),
        WeightDtype::F32 => (x as f32).to_le_bytes().to_vec(),
    }
}

/// In [−1, 1), from a counter.
pub(crate) fn uniform(seed: u64, counter: usize) -> f64 {
    let mut z = (seed << 40)
        .wrapping_add(counter as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

pub(crate) const DTYPES: [WeightDtype; 3] = [WeightDtype::Bf16, WeightDtype::F16, WeightDtype::F32];

/// 2^exponent, for normal results.
pub(crate) fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(1023 + exponent).unwrap() << 52)
}
