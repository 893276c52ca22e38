//! Every instruction set of this machine, and every number of threads, gives the same bits (spec §6.1).

#![expect(clippy::unwrap_used, reason = "a test")]

mod matrices;

use matrices::{DTYPES, Matrix, power_of_two};
use tlora_basis::{
    Basis, ExactBasis, Factors, HalfDtype, Isa, RoundedFactors, Rsvd, Update, WeightDtype,
    exact_basis_on, merge_rows_on, rsvd_factors, rsvd_factors_on,
};

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
fn rsvd_does_not_depend_on_the_instruction_set() {
    let shapes = [
        (1, 1),
        (1, 40),
        (40, 1),
        (7, 5),
        (33, 47),
        (129, 64),
        (64, 257),
        (300, 131),
    ];
    for dtype in DTYPES {
        for (rows, columns) in shapes {
            let matrix = Matrix::random(dtype, rows, columns, 17);
            for (rank, oversample) in [(1, 0), (1, 3), (2, 10), (5, 0), (16, 7)] {
                if rank > rows.min(columns) {
                    continue;
                }
                let rsvd = Rsvd {
                    seed: 42,
                    n_iter: 3,
                    oversample,
                };
                let expected = rsvd_factors_on(scalar(), &matrix.weight(), rank, rsvd).unwrap();
                for isa in Isa::available() {
                    let found = rsvd_factors_on(isa, &matrix.weight(), rank, rsvd).unwrap();
                    assert_eq!(
                        factor_bits(&found),
                        factor_bits(&expected),
                        "{isa:?} {dtype:?} {rows} × {columns} rank {rank} + {oversample}"
                    );
                }
            }
        }
    }
}

#[test]
fn rounded_factors_do_not_depend_on_the_instruction_set() {
    for dtype in DTYPES {
        for (rows, columns) in [(1, 9), (300, 131), (64, 257)] {
            let matrix = Matrix::random(dtype, rows, columns, 18);
            for rank in [1, 2, 3, 9] {
                let weight = matrix.weight();
                let basis = exact_basis_on(scalar(), &weight, rank).unwrap().basis;
                let rounded =
                    |isa| RoundedFactors::new_on(isa, &weight, &basis, HalfDtype::Bf16).unwrap();
                let expected = rounded(scalar());
                for isa in Isa::available() {
                    assert_eq!(rounded(isa), expected, "{isa:?} {dtype:?} rank {rank}");
                }
            }
        }
    }
}

#[test]
fn rsvd_does_not_depend_on_the_number_of_threads() {
    for (rows, columns) in [(1_100, 1_000), (1_000, 1_100)] {
        let matrix = Matrix::random(WeightDtype::Bf16, rows, columns, 19);
        let rsvd = Rsvd {
            seed: 7,
            n_iter: 2,
            oversample: 10,
        };
        let on_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let factors = pool.install(|| rsvd_factors(&matrix.weight(), 2, rsvd).unwrap());
            factor_bits(&factors)
        };
        let expected = on_threads(1);
        for threads in [2, 5] {
            assert_eq!(on_threads(threads), expected, "{threads} threads");
        }
    }
}

fn factor_bits(factors: &Factors) -> Vec<u64> {
    let values = factors.b.iter().chain(&factors.a);
    values.map(|x| x.to_bits()).collect()
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
                    Update::from_factors(&factors(rows, columns, rank), vec![0.01; rank * rank]),
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

/// Any factors of this shape.
fn factors(rows: usize, columns: usize, rank: usize) -> Factors {
    let values = |seed, count| (0..count).map(|i| matrices::uniform(seed, i)).collect();
    let (b, a) = (values(20, rows * rank), values(21, rank * columns));
    Factors::new(rows, columns, rank, b, a).unwrap()
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
