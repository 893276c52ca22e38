//! Weights that are not like trained ones: each has an answer that spec §6 fixes and mathematics knows.

#![expect(clippy::unwrap_used, reason = "a test")]

mod matrices;

use matrices::{DTYPES, Matrix, power_of_two};
use tlora_basis::{BasisError, ExactBasis, Update, Weight, WeightDtype, exact_basis, merge_rows};

/// diag(values) in a rows × columns matrix.
fn diagonal(dtype: WeightDtype, rows: usize, columns: usize, values: &[f64]) -> Matrix {
    Matrix::new(dtype, rows, columns, |i, j| {
        if i == j {
            values.get(i).copied().unwrap_or(0.0)
        } else {
            0.0
        }
    })
}

fn basis(matrix: &Matrix, rank: usize) -> ExactBasis {
    exact_basis(&matrix.weight(), rank).unwrap()
}

/// σ relative to what it should be; 1e-10 is what spec §6.6 promises for σ², in practice it is far better.
fn assert_sigma(found: &ExactBasis, expected: &[f64]) {
    let sigma = &found.basis.sigma;
    assert_eq!(sigma.len(), expected.len());
    for (found, expected) in sigma.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-10 * expected,
            "{sigma:?}, expected {expected}"
        );
    }
}

fn assert_orthonormal(found: &ExactBasis) {
    let basis = &found.basis;
    let vector = |c: usize| &basis.v[c * basis.columns..][..basis.columns];
    for a in 0..found.effective_rank {
        for b in 0..=a {
            let dot: f64 = vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum();
            let expected = if a == b { 1.0 } else { 0.0 };
            // Basis vectors carry 41 bits, so two of them are orthogonal to 2⁻⁴⁰, and a combination of b of them to b·2⁻⁴⁰.
            let bound = (3 * basis.rank).max(32) as f64 * power_of_two(-40);
            assert!(
                (dot - expected).abs() <= bound,
                "vectors {a} and {b}: {dot}"
            );
        }
    }
}

#[test]
fn a_zero_weight_has_rank_zero() {
    let found = basis(&diagonal(WeightDtype::Bf16, 30, 20, &[]), 2);
    assert_eq!(found.effective_rank, 0);
    assert!(
        found
            .basis
            .sigma
            .iter()
            .chain(&found.basis.v)
            .all(|&x| x.to_bits() == 0)
    );
}

#[test]
fn a_rank_deficient_weight_has_zero_vectors_beyond_its_rank() {
    let matrix = Matrix::new(WeightDtype::F32, 50, 40, |i, j| {
        ((i % 5) * 2 + 1) as f64 * ((j % 3) + 1) as f64
    });
    let found = basis(&matrix, 4);
    assert_eq!(found.effective_rank, 1);
    // 10 rows each of 1, 3, 5, 7, 9; columns 14 of 1, 13 of 2, 13 of 3.
    let expected = (10.0_f64 * 165.0).sqrt() * (14.0_f64 + 13.0 * 4.0 + 13.0 * 9.0).sqrt();
    assert_sigma(&found, &[expected, 0.0, 0.0, 0.0]);
    assert!(found.basis.v[40..].iter().all(|&x| x == 0.0));
}

#[test]
fn a_rank_above_the_shape_leaves_zero_vectors() {
    let found = basis(&diagonal(WeightDtype::Bf16, 3, 2, &[2.0, 1.0]), 4);
    assert_eq!(found.effective_rank, 2);
    assert_sigma(&found, &[2.0, 1.0, 0.0, 0.0]);
}

#[test]
fn rows_and_columns_are_weights_too() {
    let row = Matrix::new(
        WeightDtype::Bf16,
        1,
        50,
        |_, j| if j == 7 { -3.0 } else { 0.25 },
    );
    let found = basis(&row, 1);
    assert_sigma(&found, &[(9.0_f64 + 49.0 / 16.0).sqrt()]);
    assert!(found.basis.v[7] > 0.0, "the largest entry is made positive");
    assert!(found.basis.v[0] < 0.0);

    let column = Matrix::new(
        WeightDtype::Bf16,
        50,
        1,
        |i, _| if i == 7 { -3.0 } else { 0.25 },
    );
    let found = basis(&column, 1);
    assert_eq!(found.basis.v, [1.0]);
    assert_sigma(&found, &[(9.0_f64 + 49.0 / 16.0).sqrt()]);
}

#[test]
fn of_equally_large_entries_the_first_is_made_positive() {
    // Entries of ±1/√n differ in their last bits, and most no longer do once they are rounded to 41 bits.
    for n in 2..200 {
        for first in [1.0, -1.0] {
            let sign = |j: usize| if j.is_multiple_of(2) { first } else { -first };
            let row = Matrix::new(WeightDtype::Bf16, 1, n, |_, j| sign(j));
            let v = basis(&row, 1).basis.v;
            let largest = v.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
            let first_of_them = v.iter().find(|x| x.abs() == largest);
            assert_eq!(
                first_of_them,
                Some(&largest),
                "{n} entries, the first {first}"
            );
        }
    }
}

#[test]
fn exact_ties_give_the_right_singular_values() {
    for (values, rank, expected) in [
        (vec![4.0, 4.0, 1.0, 0.5], 2, vec![4.0, 4.0]),
        (vec![5.0, 4.0, 4.0, 1.0], 2, vec![5.0, 4.0]),
        (vec![4.0; 3], 2, vec![4.0; 2]),
        (vec![4.0; 5], 2, vec![4.0; 2]),
        (vec![4.0; 5], 5, vec![4.0; 5]),
    ] {
        for dtype in DTYPES {
            let found = basis(&diagonal(dtype, 60, 48, &values), rank);
            assert_sigma(&found, &expected);
            assert_orthonormal(&found);
            assert!(
                found.near_tie.is_some_and(|tie| tie.relative_gap < 1e-6),
                "{values:?}"
            );
        }
    }
}

#[test]
fn a_multiple_of_the_identity_has_as_many_vectors_as_asked_for() {
    // Every block of a Krylov space is invariant here: only fresh start columns find the next vectors.
    let found = basis(&diagonal(WeightDtype::Bf16, 40, 40, &[0.5; 40]), 7);
    assert_eq!(found.effective_rank, 7);
    assert_sigma(&found, &[0.5; 7]);
    assert_orthonormal(&found);
}

#[test]
fn distinct_singular_values_are_no_tie() {
    assert_eq!(
        basis(&diagonal(WeightDtype::Bf16, 60, 48, &[4.0, 2.0, 1.0]), 2).near_tie,
        None
    );
}

#[test]
fn tiny_and_huge_weights_have_the_same_vectors() {
    let matrix = Matrix::random(WeightDtype::F32, 70, 60, 3);
    let scaled = |exponent: i32| {
        let factor = power_of_two(exponent);
        let entries: Vec<f64> = matrix
            .bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b).into())
            .collect();
        Matrix::new(WeightDtype::F32, 70, 60, |i, j| {
            entries[i * 60 + j] * factor
        })
    };
    let expected = basis(&matrix, 2);
    // Powers of two up to the largest that keeps every entry below binary32's limit; the small one keeps all bits.
    for exponent in [-100, 124] {
        let found = basis(&scaled(exponent), 2);
        assert_eq!(found.basis.v, expected.basis.v, "2^{exponent}");
        assert_sigma(
            &found,
            &expected
                .basis
                .sigma
                .iter()
                .map(|s| s * power_of_two(exponent))
                .collect::<Vec<_>>(),
        );
    }
    // Subnormal entries lose bits, but nothing is flushed.
    assert_orthonormal(&basis(&scaled(-140), 2));
}

#[test]
fn a_nan_or_an_infinity_is_an_error_that_names_the_row() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for dtype in DTYPES {
            let matrix = Matrix::new(
                dtype,
                200,
                30,
                |i, j| if (i, j) == (150, 29) { bad } else { 1.0 },
            );
            let error = exact_basis(&matrix.weight(), 2).unwrap_err();
            assert_eq!(error, BasisError::NonFinite { row: 150 });
        }
    }
}

#[test]
fn ranks_outside_1_to_64_are_refused() {
    let matrix = Matrix::random(WeightDtype::Bf16, 4, 4, 1);
    for rank in [0, 65] {
        assert_eq!(
            exact_basis(&matrix.weight(), rank),
            Err(BasisError::Rank { rank, largest: 64 })
        );
    }
}

#[test]
fn a_weight_has_exactly_its_bytes() {
    let error = Weight::new(WeightDtype::Bf16, 3, 5, &[0; 29]).unwrap_err();
    assert_eq!(
        error,
        BasisError::WrongSize {
            rows: 3,
            columns: 5,
            wanted: 30,
            found: 29
        }
    );
}

#[test]
fn high_ranks_are_accurate_too() {
    // σ_i = 2 − i/64 along the axes of a Householder reflection: known values, dense vectors.
    let n = 96;
    let reflect = |i: usize, j: usize| (if i == j { 1.0 } else { 0.0 }) - 2.0 / n as f64;
    let sigma: Vec<f64> = (0..n).map(|i| 2.0 - i as f64 / 64.0).collect();
    let matrix = Matrix::new(WeightDtype::F32, n, n, |i, j| sigma[i] * reflect(i, j));
    for rank in [8, 33, 64] {
        let found = basis(&matrix, rank);
        assert_orthonormal(&found);
        for (found, expected) in found.basis.sigma.iter().zip(&sigma) {
            // The entries were rounded to binary32: an error of up to n·2⁻²⁵ in every σ.
            assert!(
                (found - expected).abs() < 3e-6,
                "rank {rank}: {found} instead of {expected}"
            );
        }
    }
}

#[test]
fn a_result_beyond_the_output_type_is_an_error_that_names_the_weight() {
    let matrix = Matrix::new(WeightDtype::F32, 3, 20, |i, j| {
        if (i, j) == (1, 17) {
            65_520.0
        } else {
            65_519.0
        }
    });
    let mut out = vec![0; 120];
    let error = merge_rows(&matrix.weight(), 0, &[], WeightDtype::F16, &mut out).unwrap_err();
    assert_eq!(error, BasisError::NotRepresentable { row: 1, column: 17 });
}

#[test]
fn a_nan_in_a_merged_row_is_an_error_that_names_it() {
    let good = Matrix::random(WeightDtype::Bf16, 100, 20, 5);
    let bad = Matrix::new(WeightDtype::Bf16, 100, 20, |i, j| {
        if (i, j) == (80, 3) { f64::NAN } else { 1.0 }
    });
    let update = Update::new(&basis(&good, 2).basis, vec![0.1; 4]);
    let mut out = vec![0; 4_000];
    let error = merge_rows(&bad.weight(), 0, &[update], WeightDtype::Bf16, &mut out).unwrap_err();
    assert_eq!(error, BasisError::NonFinite { row: 80 });
}
