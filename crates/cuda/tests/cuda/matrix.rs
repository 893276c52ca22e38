//! Matrices and their products.

use tlora_cuda::{Block, Buffer, CudaError, Matrix, RowData, Storage, linear, linear_backward};

use crate::support::{UNIT, bf16, bf16_bits, both, close, numbers, room, up, wide};

#[test]
fn products() {
    for storage in [Storage::F32, Storage::Bf16] {
        for (rows, outputs, columns) in [(1, 1, 1), (3, 37, 50), (5, 64, 33)] {
            let round = |x: &[f32]| match storage {
                Storage::F32 => wide(x),
                Storage::Bf16 => x.iter().map(|&x| f64::from(bf16(x))).collect(),
            };
            let w = numbers(1, outputs * columns);
            let (x, g) = (numbers(2, rows * columns), numbers(3, rows * outputs));
            let first = outputs / 2;
            let found = both(|device| {
                let (one, two) = w.split_at(first * columns);
                let blocks = [(first, one), (outputs - first, two)].map(|(rows, data)| Block {
                    rows,
                    data: RowData::F32(data),
                });
                let w = Matrix::upload(device, &blocks, columns, storage).unwrap();
                let (mut y, mut back) =
                    (room(device, rows * outputs), room(device, rows * columns));
                linear(&up(device, &x), &w, &mut y).unwrap();
                let rounded = Buffer::from_slice(device, &bf16_bits(&x)).unwrap();
                let mut of_rounded = room(device, rows * outputs);
                match (storage, linear(&rounded, &w, &mut of_rounded)) {
                    (Storage::F32, done) => {
                        let operation = "linear";
                        assert_eq!(done, Err(CudaError::Rounded { operation }));
                    }
                    (Storage::Bf16, done) => {
                        assert_eq!(done, Ok(()));
                        assert_eq!(of_rounded.download().unwrap(), y.download().unwrap());
                    }
                }
                linear_backward(&up(device, &g), &w, &mut back).unwrap();
                let last = u32::try_from(outputs - 1).unwrap();
                let ids = Buffer::from_slice(device, &[last, 0]).unwrap();
                let mut taken = room(device, 2 * columns);
                w.rows(&ids, &mut taken).unwrap();
                [&y, &back, &taken].map(|b| b.download().unwrap()).concat()
            });
            let (w, x, g) = (round(&w), round(&x), round(&g));
            let mut wanted = Vec::new();
            for x in x.chunks_exact(columns) {
                let dot = |w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
                wanted.extend(w.chunks_exact(columns).map(dot));
            }
            for g in g.chunks_exact(outputs) {
                let at = |column: usize| {
                    (0..outputs)
                        .map(|o| g[o] * w[o * columns + column])
                        .sum::<f64>()
                };
                wanted.extend((0..columns).map(at));
            }
            wanted.extend_from_slice(&w[(outputs - 1) * columns..]);
            wanted.extend_from_slice(&w[..columns]);
            let most = f64::from(u16::try_from(outputs.max(columns)).unwrap());
            close(&found, &wanted, most * most * UNIT);
        }
    }
}
