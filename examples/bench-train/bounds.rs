//! What the device can do at best: bytes that it reads and products that it computes in a second.

use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

use tlora_kernels::{Block, PackedMatrix, RowData, linear};

use super::shapes::number;

/// The two bounds of a device.
#[derive(Serialize)]
pub(crate) struct Bounds {
    /// Bytes read in a second, from memory that no cache holds.
    #[serde(rename = "read_bytes_per_second")]
    pub(crate) bytes: f64,
    /// Floating-point operations in a second in a product of large matrices.
    #[serde(rename = "operations_per_second")]
    pub(crate) operations: f64,
}

impl Bounds {
    /// The best of a few tries of each, on all threads.
    pub(crate) fn measure() -> Self {
        Self {
            bytes: best(read_memory),
            operations: best(multiply),
        }
    }
}

/// The best of several measurements: others who use the machine only slow it down.
fn best(mut measure: impl FnMut() -> f64) -> f64 {
    (0..5).map(|_| measure()).fold(0.0, f64::max)
}

fn read_memory() -> f64 {
    const NUMBERS: usize = 64 << 20;
    let memory = vec![1_u64; NUMBERS];
    let start = Instant::now();
    let lots = memory.par_chunks(1 << 16);
    let sum: u64 = lots.map(|lot| lot.iter().fold(0, |sum, x| sum ^ x)).sum();
    black_box(sum);
    number(NUMBERS * size_of::<u64>()) / start.elapsed().as_secs_f64()
}

/// The product that the decoder itself uses, at a shape that suits it.
fn multiply() -> f64 {
    const SIZE: usize = 2048;
    const ROWS: usize = 512;
    let weights = vec![0x3c00_u16; SIZE * SIZE];
    let block = Block {
        rows: SIZE,
        data: RowData::Bf16(&weights),
    };
    let matrix: PackedMatrix<f32> = PackedMatrix::pack(&[block], SIZE);
    let (x, mut y) = (vec![0.5_f32; ROWS * SIZE], vec![0.0; ROWS * SIZE]);
    let start = Instant::now();
    linear(&x, &matrix, &mut y);
    black_box(&y);
    number(2 * ROWS * SIZE * SIZE) / start.elapsed().as_secs_f64()
}
