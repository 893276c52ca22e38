//! Bases of two factors: rounding, corrections, and merges with B·M·A (spec §6.8, §6.10, §8). Their bits are held by the golden
//! vectors; here is what goes with them.
#![expect(clippy::unwrap_used, reason = "a test")]

mod matrices;

use matrices::{Matrix, uniform};
use tlora_basis::{
    Basis, BasisError, Difference, Factors, HalfDtype, MergeStatistics, RoundedFactors, Rsvd,
    Update, WeightDtype, core_matrix, exact_basis, factored_core, merge_rows, rsvd_factors,
};
use tlora_format::{Correction, SigmaSide};

fn matrix() -> Matrix {
    Matrix::random(WeightDtype::F32, 150, 40, 31)
}

fn basis(matrix: &Matrix, rank: usize) -> Basis {
    exact_basis(&matrix.weight(), rank).unwrap().basis
}

fn rounded(matrix: &Matrix) -> RoundedFactors {
    RoundedFactors::new(&matrix.weight(), &basis(matrix, 2), HalfDtype::Bf16).unwrap()
}

const R: [f64; 4] = [0.5, -0.25, 0.125, 1.0];

/// The merged weight as binary32, and the sums.
fn merged(matrix: &Matrix, updates: &[Update]) -> (Vec<f32>, MergeStatistics) {
    let mut out = vec![0; matrix.rows * matrix.columns * 4];
    let sums = merge_rows(&matrix.weight(), 0, updates, WeightDtype::F32, &mut out).unwrap();
    let (values, _) = out.as_chunks();
    (
        values.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        sums,
    )
}

fn assert_near(found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{found} instead of {expected}"
        );
    }
}

#[test]
fn exact_factors_give_the_update_of_their_basis_on_every_sigma_side() {
    let matrix = matrix();
    let basis = basis(&matrix, 2);
    let negated = [false, true];
    for side in [SigmaSide::Left, SigmaSide::Split, SigmaSide::Right] {
        let core = core_matrix(side, 0.5, &R, &basis.sigma, &negated);
        let (expected, _) = merged(&matrix, &[Update::new(&basis, core)]);
        let factors = Factors::exact(&matrix.weight(), &basis, side).unwrap();
        let core = factored_core(0.5, &R, &negated);
        let (found, _) = merged(&matrix, &[Update::from_factors(&factors, core)]);
        assert_near(&found, &expected);
    }
}

#[test]
fn rounded_factors_are_near_the_split_ones() {
    let matrix = matrix();
    let split = Factors::exact(&matrix.weight(), &basis(&matrix, 2), SigmaSide::Split).unwrap();
    let rounded = rounded(&matrix).to_factors();
    let pairs = rounded
        .b
        .iter()
        .zip(&split.b)
        .chain(rounded.a.iter().zip(&split.a));
    for (found, expected) in pairs {
        // Three roundings of half a unit in the eighth bit, and those of two σ.
        assert!(
            (found - expected).abs() <= 5.0 / 256.0 * expected.abs(),
            "{found} instead of {expected}"
        );
    }
}

#[test]
fn rows_may_come_in_any_number_of_parts() {
    let matrix = matrix();
    let basis = basis(&matrix, 2);
    let factors = rounded(&matrix).to_factors();
    let updates = [
        Update::from_factors(&factors, R.to_vec()),
        Update::new(&basis, R.to_vec()),
        Update::from_factors(&factors, vec![0.1; 4]),
    ];
    let mut whole = vec![0; 150 * 40 * 2];
    let dtype = WeightDtype::Bf16;
    merge_rows(&matrix.weight(), 0, &updates, dtype, &mut whole).unwrap();
    let mut parts = Vec::new();
    for (first, rows) in [(0, 1), (1, 70), (71, 79)] {
        let bytes = &matrix.bytes[first * 160..(first + rows) * 160];
        let weight = tlora_basis::Weight::new(WeightDtype::F32, rows, 40, bytes).unwrap();
        let mut out = vec![0; rows * 80];
        merge_rows(&weight, first, &updates, dtype, &mut out).unwrap();
        parts.extend(out);
    }
    assert!(parts == whole);
}

#[test]
fn updates_of_another_weight_are_refused() {
    let matrix = matrix();
    let weight = matrix.weight();
    let mut out = vec![0; matrix.bytes.len()];
    let mut merge = |first, update: Update| {
        merge_rows(&weight, first, &[update], WeightDtype::F32, &mut out).unwrap_err()
    };
    let factors = |rows, columns| {
        Factors::new(rows, columns, 1, vec![0.5; rows], vec![0.5; columns]).unwrap()
    };
    let update = |factors: &Factors| Update::from_factors(factors, vec![1.0]);
    assert_eq!(
        merge(0, update(&factors(150, 41))),
        BasisError::UpdateColumns {
            wanted: 40,
            found: 41
        }
    );
    assert_eq!(
        merge(1, update(&factors(150, 40))),
        BasisError::UpdateRows {
            first: 1,
            wanted: 150,
            found: 150
        }
    );
    assert_eq!(
        Factors::new(3, 4, 2, vec![0.0; 6], vec![0.0; 7]).unwrap_err(),
        BasisError::FactorSize {
            factor: "A",
            rows: 2,
            columns: 4,
            found: 7
        }
    );
    let narrow = Matrix::random(WeightDtype::F32, 150, 39, 31);
    let error = Factors::exact(&weight, &basis(&narrow, 2), SigmaSide::Left).unwrap_err();
    assert!(
        matches!(error, BasisError::FactorSize { factor: "V", .. }),
        "{error}"
    );
}

#[test]
fn a_coefficient_beyond_binary64_is_the_updates_fault_not_the_weights() {
    let matrix = matrix();
    let factors = Factors::new(150, 40, 1, vec![1e200; 150], vec![0.0; 40]).unwrap();
    let mut out = vec![0; matrix.bytes.len()];
    let update = Update::from_factors(&factors, vec![1e200]);
    let error = merge_rows(&matrix.weight(), 0, &[update], WeightDtype::F32, &mut out).unwrap_err();
    assert_eq!(error, BasisError::NotRepresentable { row: 0, column: 0 });
}

#[test]
fn corrections_step_through_the_numbers_of_the_type() {
    let mut factors = rounded(&matrix());
    let (b, a) = (factors.b.clone(), factors.a.clone());
    let last = factors.entries() - 1;
    let steps = |entry, steps| Correction { entry, steps };
    factors
        .correct([steps(0, 2), steps(300, -1), steps(last, 1)])
        .unwrap();
    assert_eq!(factors.b[0], b[0] + 2);
    assert_eq!(factors.b[1..], b[1..]);
    assert_eq!(factors.a[0], a[0] - 1);
    assert_eq!(factors.a[79], a[79] + 1);
}

#[test]
fn impossible_corrections_are_refused() {
    let factors = rounded(&matrix());
    let magnitude = i64::from(factors.b[5] & 0x7FFF);
    let wrong = |entry, steps| {
        let mut factors = factors.clone();
        let error = factors.correct([Correction { entry, steps }]).unwrap_err();
        assert_eq!(
            error,
            BasisError::Correction {
                entry,
                steps,
                entries: 380
            }
        );
    };
    wrong(380, 1);
    wrong(u64::MAX, 1);
    wrong(5, -magnitude - 1);
    wrong(5, 0x7F80 - magnitude);
    wrong(5, i64::MAX);
    wrong(5, i64::MIN);
    let mut factors = factors;
    let to_the_ends = [
        Correction {
            entry: 5,
            steps: -magnitude,
        },
        Correction {
            entry: 6,
            steps: 0x7F7F - i64::from(factors.b[6] & 0x7FFF),
        },
    ];
    factors.correct(to_the_ends).unwrap();
    assert_eq!((factors.b[5] & 0x7FFF, factors.b[6] & 0x7FFF), (0, 0x7F7F));
}

#[test]
fn differences_are_the_corrections_that_undo_them() {
    let own = rounded(&matrix());
    let (mut b, mut a) = (own.b.clone(), own.a.clone());
    b[7] += 3;
    a[1] -= 1;
    a[4] ^= 0x8000;
    b[9] = 0x8000 & !b[9];
    let zero = i64::from(own.b[9] & 0x7FFF);
    let differences = own.differences(&b, &a).unwrap();
    let expected = [(7, Some(3)), (9, Some(-zero)), (301, Some(-1)), (304, None)];
    assert_eq!(
        differences,
        expected.map(|(entry, steps)| Difference { entry, steps })
    );

    let corrections = differences.iter().filter_map(|difference| {
        let (entry, steps) = (difference.entry, difference.steps?);
        Some(Correction { entry, steps })
    });
    let mut corrected = own.clone();
    corrected.correct(corrections).unwrap();
    let left = corrected.differences(&b, &a).unwrap();
    assert_eq!(left.len(), 1, "only the sign is left: {left:?}");
    assert!(own.differences(&b[1..], &a).is_err());
}

#[test]
fn a_value_beyond_the_type_is_refused() {
    // σ is above 65,504, the largest f16; bf16 has room for it.
    let matrix = Matrix::new(WeightDtype::F32, 20, 30, |i, j| {
        1e5 * uniform(5, i) * uniform(6, j)
    });
    let basis = basis(&matrix, 1);
    let rounded = |dtype| RoundedFactors::new(&matrix.weight(), &basis, dtype);
    assert!(rounded(HalfDtype::Bf16).is_ok());
    assert!(matches!(
        rounded(HalfDtype::F16),
        Err(BasisError::RoundingOverflow { factor: "B", .. })
    ));
}

#[test]
fn rsvd_factors_span_the_weight_at_full_rank() {
    for (rows, columns) in [(12, 30), (30, 12), (12, 12)] {
        let matrix = Matrix::random(WeightDtype::F32, rows, columns, 32);
        let rsvd = Rsvd {
            seed: 42,
            n_iter: 4,
            oversample: 10,
        };
        let factors = rsvd_factors(&matrix.weight(), 12, rsvd).unwrap();
        // −B·A takes all of W away.
        let minus: Vec<f64> = (0..144)
            .map(|i| if i % 13 == 0 { -1.0 } else { 0.0 })
            .collect();
        let (left, _) = merged(&matrix, &[Update::from_factors(&factors, minus)]);
        assert!(
            left.iter().all(|x| x.abs() < 1e-9),
            "{rows} × {columns}: {left:?}"
        );
    }
}

#[test]
fn rsvd_has_a_rank_of_at_most_the_smaller_side() {
    let matrix = Matrix::random(WeightDtype::F32, 5, 9, 33);
    let rsvd = Rsvd {
        seed: 0,
        n_iter: 1,
        oversample: 0,
    };
    for rank in [0, 6, 300] {
        assert_eq!(
            rsvd_factors(&matrix.weight(), rank, rsvd),
            Err(BasisError::Rank { rank, largest: 5 })
        );
    }
}
