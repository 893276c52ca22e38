//! What the device can do at best: bytes that it moves and products that it computes in a second.

use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

use tlora_kernels::{Block, PackedMatrix, RowData, linear};
use tlora_model::{Compute, ModelError};

use super::shapes::number;

/// The two bounds of a device.
#[derive(Serialize)]
pub(crate) struct Bounds {
    /// Bytes read in a second, from memory that no cache holds; on a device bytes that a copy reads and writes.
    #[serde(rename = "bytes_per_second")]
    pub(crate) bytes: f64,
    /// Floating-point operations in a second in a product of large matrices.
    #[serde(rename = "operations_per_second")]
    pub(crate) operations: f64,
}

impl Bounds {
    /// The best of a few tries of each: on all threads, or on the device.
    pub(crate) fn measure(compute: &Compute) -> Result<Self, ModelError> {
        #[cfg(feature = "cuda")]
        if let Compute::Cuda { device, storage } = compute {
            return Ok(device::measure(device, *storage)?);
        }
        let _ = compute;
        let best = |measure: fn() -> f64| best::<ModelError>(|| Ok(measure()));
        Ok(Self {
            bytes: best(read_memory)?,
            operations: best(multiply)?,
        })
    }
}

/// The best of several measurements: others who use the machine only slow it down.
fn best<E>(mut measure: impl FnMut() -> Result<f64, E>) -> Result<f64, E> {
    (0..5).try_fold(0.0, |best: f64, _| Ok(best.max(measure()?)))
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

#[cfg(feature = "cuda")]
mod device {
    use tlora_cuda::{Block, Buffer, Device, Matrix, Result, RowData, Storage, linear};

    use super::{Bounds, best, number};
    use std::time::Instant;

    /// Things that are done between two looks at the clock: asking for one takes time too.
    const TIMES: usize = 10;

    pub(super) fn measure(device: &Device, storage: Storage) -> Result<Bounds> {
        // A device of this machine would take all day for what a GPU does in a moment.
        let small = device.memory()?.total <= 4 << 30;
        let (numbers, size) = if small {
            (1 << 16, 64)
        } else {
            (256 << 20, 8192)
        };
        let from = Buffer::<f32>::zeros(device, numbers)?;
        let mut to = Buffer::<f32>::zeros(device, numbers)?;
        let bytes = best(|| {
            let seconds = seconds(device, || to.copy_from(0, &from, 0, numbers))?;
            Ok(number(2 * numbers * size_of::<f32>()) / seconds)
        })?;
        drop((from, to));
        // Neither zeros, which cost less power, nor anything that overflows.
        let weights = vec![0x3c00_u16; size * size];
        let block = Block {
            rows: size,
            data: RowData::Bf16(&weights),
        };
        let matrix = Matrix::upload(device, &[block], size, storage)?;
        let x = Buffer::from_slice(device, &vec![0.5_f32; size * size])?;
        let mut y = Buffer::uninitialised(device, size * size)?;
        let operations = best(|| {
            let seconds = seconds(device, || linear(&x, &matrix, &mut y))?;
            Ok(number(2 * size * size * size) / seconds)
        })?;
        Ok(Bounds { bytes, operations })
    }

    /// Seconds for one of several.
    fn seconds(device: &Device, mut once: impl FnMut() -> Result<()>) -> Result<f64> {
        once()?;
        device.synchronize()?;
        let start = Instant::now();
        for _ in 0..TIMES {
            once()?;
        }
        device.synchronize()?;
        Ok(start.elapsed().as_secs_f64() / number(TIMES))
    }
}
