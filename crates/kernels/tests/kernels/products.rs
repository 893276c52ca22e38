//! Products against the chains that they are said to be, bit for bit.

use crate::support::{Numbers, widened};
use tlora_kernels::*;

const SIZES: [(usize, usize, usize); 5] = [
    (1, 1, 1),
    (3, 5, 7),
    (7, 40, 33),
    (25, 1100, 70),
    (64, 96, 129),
];

/// bf16 rows, f16 rows and f32 rows, stacked; what they are as f32.
fn stacked(outputs: usize, columns: usize, numbers: &mut Numbers) -> (PackedMatrix<f32>, Vec<f32>) {
    let (bf16, full) = (numbers.bf16s(outputs * columns), numbers.f32s(3 * columns));
    let f16: Vec<half::f16> = numbers
        .f32s(2 * columns)
        .into_iter()
        .map(half::f16::from_f32)
        .collect();
    let f16_bits: Vec<u16> = f16.iter().map(|x| x.to_bits()).collect();
    let blocks = [
        Block {
            rows: outputs,
            data: RowData::Bf16(&bf16),
        },
        Block {
            rows: 2,
            data: RowData::F16(&f16_bits),
        },
        Block {
            rows: 3,
            data: RowData::Full(&full),
        },
    ];
    let mut plain: Vec<f32> = bf16.iter().map(|&x| widened(x)).collect();
    plain.extend(f16.iter().map(|x| x.to_f32()));
    plain.extend(full.iter());
    (PackedMatrix::pack(&blocks, columns), plain)
}

#[test]
fn an_output_is_the_chain_of_fused_additions_over_the_columns() {
    for (rows, columns, outputs) in SIZES {
        let mut numbers = Numbers(1);
        let (w, plain) = stacked(outputs, columns, &mut numbers);
        let outputs = outputs + 5;
        assert_eq!((w.outputs(), w.columns()), (outputs, columns));
        let x = numbers.f32s(rows * columns);
        let mut y = vec![f32::NAN; rows * outputs];
        linear(&x, &w, &mut y);
        for (i, &y) in y.iter().enumerate() {
            let (x, w) = (&x[i / outputs * columns..], &plain[i % outputs * columns..]);
            let chain = (0..columns).fold(0.0_f32, |sum, k| x[k].mul_add(w[k], sum));
            assert_eq!(
                y.to_bits(),
                chain.to_bits(),
                "{rows} × {columns} · {outputs}, output {i}"
            );
        }
    }
}

#[test]
fn a_gradient_is_the_chain_of_fused_additions_over_the_outputs() {
    for (rows, columns, outputs) in SIZES {
        let mut numbers = Numbers(2);
        let (w, plain) = stacked(outputs, columns, &mut numbers);
        let outputs = outputs + 5;
        let grad = numbers.f32s(rows * outputs);
        let mut x = vec![f32::NAN; rows * columns];
        linear_backward(&grad, &w, &mut x);
        for (i, &x) in x.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let chain = (0..outputs).fold(0.0_f32, |sum, o| {
                grad[row * outputs + o].mul_add(plain[o * columns + column], sum)
            });
            assert_eq!(
                x.to_bits(),
                chain.to_bits(),
                "{rows} × {outputs} · {columns}, column {i}"
            );
        }
    }
}

#[test]
fn no_rows_give_no_outputs() {
    let (w, _) = stacked(40, 8, &mut Numbers(3));
    linear(&[], &w, &mut []);
    linear_backward(&[], &w, &mut []);
}

#[test]
fn rows_of_a_packed_matrix_are_those_that_went_in() {
    let (w, plain) = stacked(70, 12, &mut Numbers(4));
    for (number, expected) in plain.chunks_exact(12).enumerate() {
        let mut row = [f32::NAN; 12];
        w.row(number, &mut row);
        assert_eq!(row, expected);
    }
}

#[test]
fn bf16_stays_two_bytes_in_memory() {
    let bits = Numbers(5).bf16s(64 * 10);
    let w = PackedMatrix::<f32>::pack(
        &[Block {
            rows: 64,
            data: RowData::Bf16(&bits),
        }],
        10,
    );
    assert_eq!(w.bytes(), 64 * 10 * 2);
}
