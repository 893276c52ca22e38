//! Every instruction set of this machine, and every number of threads, gives the same bits (spec §6.1).

#![expect(clippy::unwrap_used, reason = "a test")]

mod matrices;

use matrices::{DTYPES, Matrix, power_of_two};
use tlora_basis::{Basis, ExactBasis, Isa, Update, WeightDtype, exact_basis_on, merge_rows_on};

/// Bit patterns, so that −0 and +0 differ.
fn bits(result: &ExactBasis) -> (u32, usize, Vec<u64>) {
    let Basis { sigma, v, .. } = &result.basis;
    (
        result.passes,
        result.effective_rank,
        sigma.iter().chain(v).map(|x| x.to_bits()).collect(),
    )
}

fn scalar() -> Isa {
    *Isa::available().last().unwrap()
}

#[test]
fn a_basis_does_not_depend_on_the_instruction_set() {
    let shapes = [
        (1, 1),
        (1, 40),
        (40, 1),
        (7, 5),
        (16, 16),
        (33, 47),
        (129, 64),
        (300, 131),
        (64, 257),
    ];
    for dtype in DTYPES {
        for (rows, columns) in shapes {
            let matrix = Matrix::random(dtype, rows, columns, 11);
            for rank in [1, 2, 3, 4, 5, 16, 17]
                .into_iter()
                .filter(|&r| r <= rows.min(columns).max(2))
            {
                let expected = exact_basis_on(scalar(), &matrix.weight(), rank).unwrap();
                for isa in Isa::available() {
                    let found = exact_basis_on(isa, &matrix.weight(), rank).unwrap();
                    assert_eq!(
                        bits(&found),
                        bits(&expected),
                        "{isa:?} {dtype:?} {rows} × {columns} rank {rank}"
                    );
                }
            }
        }
    }
}

#[test]
fn rank_64_does_not_depend_on_the_instruction_set() {
    let matrix = Matrix::random(WeightDtype::Bf16, 320, 272, 12);
    let expected = exact_basis_on(scalar(), &matrix.weight(), 64).unwrap();
    for isa in Isa::available() {
        assert_eq!(
            bits(&exact_basis_on(isa, &matrix.weight(), 64).unwrap()),
            bits(&expected),
            "{isa:?}"
        );
    }
}

#[test]
fn a_basis_depends_on_the_values_not_on_their_type() {
    for dtype in DTYPES {
        let matrix = Matrix::random(dtype, 150, 90, 13);
        for isa in Isa::available() {
            let narrow = exact_basis_on(isa, &matrix.weight(), 2).unwrap();
            let wide = exact_basis_on(isa, &matrix.upcast().weight(), 2).unwrap();
            assert_eq!(bits(&narrow), bits(&wide), "{isa:?} {dtype:?}");
        }
    }
}

#[test]
fn a_basis_does_not_depend_on_the_number_of_threads() {
    // Large enough for a pass to be shared out; the last block of rows is short.
    let matrix = Matrix::random(WeightDtype::Bf16, 1_100, 1_000, 14);
    let on_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        bits(
            &pool
                .install(|| exact_basis_on(Isa::detect(), &matrix.weight(), 2))
                .unwrap(),
        )
    };
    let expected = on_threads(1);
    for threads in [2, 3, 7] {
        assert_eq!(on_threads(threads), expected, "{threads} threads");
    }
}

#[test]
fn a_merge_does_not_depend_on_the_instruction_set() {
    for input in DTYPES {
        for (rows, columns) in [(1, 1), (3, 15), (5, 16), (70, 53)] {
            let matrix = Matrix::random(input, rows, columns, 15);
            for rank in [1, 2, 3, 9] {
                let basis = exact_basis_on(scalar(), &matrix.weight(), rank)
                    .unwrap()
                    .basis;
                let core = (0..rank * rank)
                    .map(|i| matrices::uniform(16, i) * 0.1)
                    .collect();
                let updates = [
                    Update::new(&basis, core),
                    Update::new(&basis, vec![0.01; rank * rank]),
                ];
                for output in DTYPES {
                    let merge = |isa| {
                        let mut out = vec![0; rows * columns * output.size()];
                        let statistics =
                            merge_rows_on(isa, &matrix.weight(), 0, &updates, output, &mut out)
                                .unwrap();
                        (out, statistics)
                    };
                    let expected = merge(scalar());
                    for isa in Isa::available() {
                        assert_eq!(
                            merge(isa),
                            expected,
                            "{isa:?} {input:?} to {output:?}, {rows} × {columns}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn rounding_to_nearest_even_agrees_on_every_instruction_set() {
    // Rank 1, V = 1 and W = 0-ish: the results run over ties, subnormals and the largest values of each type.
    let columns = 64;
    for output in DTYPES {
        let matrix = Matrix::new(WeightDtype::F32, 40, columns, |i, j| {
            let row = i32::try_from(i).unwrap();
            let exponent = if output == WeightDtype::F16 {
                row - 26
            } else {
                row * 6 - 140
            };
            let halves = 1.0 + j as f64 / 256.0 + if j % 3 == 0 { 1.0 / 4096.0 } else { 0.0 };
            halves * power_of_two(exponent) * if j % 2 == 0 { 1.0 } else { -1.0 }
        });
        let merge = |isa| {
            let mut out = vec![0; 40 * columns * output.size()];
            merge_rows_on(isa, &matrix.weight(), 0, &[], output, &mut out).unwrap();
            out
        };
        let expected: Vec<u8> = matrix
            .bytes
            .as_chunks::<4>()
            .0
            .iter()
            .flat_map(|&b| {
                let x = f32::from_le_bytes(b);
                match output {
                    WeightDtype::Bf16 => half::bf16::from_f32(x).to_le_bytes().to_vec(),
                    WeightDtype::F16 => half::f16::from_f32(x).to_le_bytes().to_vec(),
                    WeightDtype::F32 => b.to_vec(),
                }
            })
            .collect();
        for isa in Isa::available() {
            assert_eq!(merge(isa), expected, "{isa:?} {output:?}");
        }
    }
}
