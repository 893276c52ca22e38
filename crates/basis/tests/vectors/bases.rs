//! Bases, rounded bases and basis checks (spec §6).

use crate::matrices::Matrix;
use crate::vector::{Vector, bits, blake3_of, factors_hash, fingerprint, made, rsvd};
use libtest_mimic::Failed;
use tlora_basis::{
    BasisCheck, BasisError, Factors, HalfDtype, Isa, RoundedFactors, exact_basis_on,
    rsvd_factors_on,
};
use tlora_format::{Correction, Corrections, Rounding};

pub(crate) fn check_basis(vector: &Vector, isa: Isa) -> Result<(), Failed> {
    let (matrix, _) = vector.weight();
    let found = exact_basis_on(isa, &matrix.weight(), vector.number("rank"));
    if vector.text("expect") == "non-finite" {
        return match found {
            Err(BasisError::NonFinite { .. }) => Ok(()),
            other => Err(format!("expected a non-finite weight, got {other:?}").into()),
        };
    }
    let found = found?;
    assert_eq!(
        bits(&found.basis.sigma),
        bits(&vector.doubles("sigma")),
        "σ"
    );
    assert_eq!(found.passes as usize, vector.number("passes"), "passes");
    assert_eq!(
        found.effective_rank,
        vector.number("effective_rank"),
        "effective rank"
    );
    assert_eq!(
        fingerprint(&found.basis),
        vector.text("fingerprint"),
        "fingerprint"
    );
    Ok(())
}

pub(crate) fn check_rsvd(vector: &Vector, isa: Isa) -> Result<(), Failed> {
    let (matrix, _) = vector.weight();
    let parameters = ["seed", "n_iter", "oversample"].map(|key| vector.text(key));
    let rsvd = rsvd(&parameters.join(" "));
    let found = rsvd_factors_on(isa, &matrix.weight(), vector.number("rank"), rsvd);
    if vector.text("expect") == "non-finite" {
        return match found {
            Err(BasisError::NonFinite { .. }) => Ok(()),
            other => Err(format!("expected a non-finite weight, got {other:?}").into()),
        };
    }
    let found = found?;
    let column = |c: usize| found.b.iter().copied().skip(c).step_by(found.rank);
    let u: Vec<f64> = (0..found.rank).flat_map(column).collect();
    let effective_rank = u
        .chunks_exact(found.rows)
        .filter(|u| u.iter().any(|&x| x != 0.0))
        .count();
    assert_eq!(effective_rank, vector.number("effective_rank"));
    assert_eq!(blake3_of(&u), vector.text("fingerprint"), "U");
    assert_eq!(factors_hash(&found), vector.text("factors"), "B and A");
    Ok(())
}

pub(crate) fn check_rounded(vector: &Vector, isa: Isa) -> Result<(), Failed> {
    let (matrix, _) = vector.weight();
    let (rounding, corrections) = (vector.rounding("rounding"), vector.text("corrections"));
    let found = rounded(&matrix, isa, vector.number("rank"), rounding, corrections);
    match (vector.text("expect"), found) {
        ("ok", found) => assert_eq!(factors_hash(&found?), vector.text("factors")),
        ("non-finite", Err(BasisError::NonFinite { .. } | BasisError::RoundingOverflow { .. }))
        | ("correction", Err(BasisError::Correction { .. })) => {}
        (expected, found) => return Err(format!("expected {expected}, got {found:?}").into()),
    }
    Ok(())
}

/// The factors of spec §6.10, with corrections in hexadecimal.
pub(crate) fn rounded(
    matrix: &Matrix,
    isa: Isa,
    rank: usize,
    rounding: Rounding,
    corrections: &str,
) -> Result<Factors, BasisError> {
    let basis = exact_basis_on(isa, &matrix.weight(), rank)?.basis;
    let dtype = HalfDtype::of(rounding).unwrap();
    let mut found = RoundedFactors::new_on(isa, &matrix.weight(), &basis, dtype)?;
    if corrections != "none" {
        found.correct(section(corrections).iter())?;
    }
    Ok(found.to_factors())
}

/// The corrections of a section's content: tokens in LEB128 (spec §4.6), put into a file for the reader.
fn section(content: &str) -> Corrections {
    let digits = content.as_bytes().chunks_exact(2);
    let bytes = digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap());
    let (mut position, mut value, mut shift) = (0, 0_u64, 0);
    let mut list: Vec<Correction> = Vec::new();
    for byte in bytes {
        value |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            let steps = if value % 2 == 0 { 1 } else { -1 };
            position += value / 2;
            match list.last_mut() {
                Some(last) if value / 2 == 0 => last.steps += steps,
                _ => list.push(Correction {
                    entry: position - 1,
                    steps,
                }),
            }
            (value, shift) = (0, 0);
        }
    }
    Corrections::new(list).unwrap()
}

pub(crate) fn check_basis_check(vector: &Vector, isa: Isa) {
    let module = |i: usize| {
        let key = |field: &str| format!("{field}.{i}");
        let (rows, columns) = (vector.number(&key("m")), vector.number(&key("n")));
        let dtype = vector.dtype(&key("dtype"));
        let matrix = made(vector.text(&key("weights")), dtype, rows, columns);
        (
            vector.text(&key("name")),
            matrix,
            vector.number(&key("rank")),
        )
    };
    let mut check = BasisCheck::new();
    let kind = vector.text("basis");
    let found = if kind == "explicit" {
        BasisCheck::of_factors(&vector.payload)
    } else {
        for (name, matrix, rank) in (0..vector.number("modules")).map(module) {
            if kind == "exact" {
                let basis = exact_basis_on(isa, &matrix.weight(), rank).unwrap().basis;
                check.exact(name, &basis);
            } else {
                let rsvd = rsvd(vector.text("rsvd"));
                let factors = rsvd_factors_on(isa, &matrix.weight(), rank, rsvd).unwrap();
                check.rsvd(name, &factors);
            }
        }
        check.finish()
    };
    assert_eq!(
        format!("{:016x}", u64::from_be_bytes(found)),
        vector.text("check")
    );
}
