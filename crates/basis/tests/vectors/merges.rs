//! Merges (spec §8).

use crate::bases::rounded;
use crate::matrices::Matrix;
use crate::vector::{Vector, bits, factors_hash, fingerprint, rsvd};
use tlora_basis::{
    BasisError, Factors, Isa, Update, core_matrix, exact_basis_on, factored_core, merge_rows_on,
    rsvd_factors_on,
};
use tlora_format::SigmaSide;

pub(crate) fn check_merge(vector: &Vector, isa: Isa) {
    let (mut matrix, mut used) = vector.weight();
    let transposed = vector.header.contains_key("transposed");
    if transposed {
        matrix.bytes = transpose(&matrix.bytes, matrix.columns, matrix.dtype.size());
    }
    let updates: Vec<Update> = (0..vector.number("adapters"))
        .map(|a| update(vector, &matrix, isa, a, &mut used))
        .collect();
    let output = vector.dtype("out");
    let mut out = vec![0; matrix.rows * matrix.columns * output.size()];
    let result = merge_rows_on(isa, &matrix.weight(), 0, &updates, output, &mut out);
    if vector.text("expect") == "overflow" {
        assert!(
            matches!(result, Err(BasisError::NotRepresentable { .. })),
            "{result:?}"
        );
    } else {
        result.unwrap();
        if transposed {
            out = transpose(&out, matrix.rows, output.size());
        }
        assert!(out == vector.payload[used..], "the merged weight differs");
    }
}

fn transpose(bytes: &[u8], rows: usize, size: usize) -> Vec<u8> {
    let columns = bytes.len() / size / rows;
    let element = |i: usize, j: usize| bytes[(i * columns + j) * size..][..size].iter().copied();
    (0..columns)
        .flat_map(|j| (0..rows).flat_map(move |i| element(i, j)))
        .collect()
}

/// Adapter `a`; `used` is where in the payload the factors of the next explicit adapter begin.
fn update(vector: &Vector, matrix: &Matrix, isa: Isa, a: usize, used: &mut usize) -> Update {
    let key = |field: &str| format!("{field}.{a}");
    let text = |field: &str| vector.text(&key(field));
    let rank = vector.number(&key("rank"));
    let mut negated = vec![false; rank];
    for column in text("negated")
        .split(',')
        .filter(|&column| column != "none")
    {
        negated[column.parse::<usize>().unwrap()] = true;
    }
    let scale = f32::from_bits(u32::from_str_radix(text("scale"), 16).unwrap());
    let r = vector.doubles(&key("r"));
    let core_is = |core: &[f64]| assert_eq!(bits(core), bits(&vector.doubles(&key("core"))), "M");
    if text("basis") == "exact" {
        let basis = exact_basis_on(isa, &matrix.weight(), rank).unwrap().basis;
        assert_eq!(fingerprint(&basis), text("fingerprint"));
        let side = match text("side") {
            "left" => SigmaSide::Left,
            "split" => SigmaSide::Split,
            _ => SigmaSide::Right,
        };
        let core = core_matrix(side, scale, &r, &basis.sigma, &negated);
        core_is(&core);
        return Update::new(&basis, core);
    }
    let factors = match text("basis") {
        "rounded" => {
            let rounding = vector.rounding(&key("rounding"));
            rounded(matrix, isa, rank, rounding, text("corrections")).unwrap()
        }
        "rsvd" => rsvd_factors_on(isa, &matrix.weight(), rank, rsvd(text("rsvd"))).unwrap(),
        _ => stored_factors(vector, matrix, rank, used),
    };
    assert_eq!(factors_hash(&factors), text("factors"));
    let core = factored_core(scale, &r, &negated);
    core_is(&core);
    Update::from_factors(&factors, core)
}

/// B, then A, from the payload.
fn stored_factors(vector: &Vector, matrix: &Matrix, rank: usize, used: &mut usize) -> Factors {
    let mut take = |count: usize| {
        let bytes = &vector.payload[*used..][..count * 8];
        *used += bytes.len();
        let (values, _) = bytes.as_chunks();
        values
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect()
    };
    let (b, a) = (take(matrix.rows * rank), take(rank * matrix.columns));
    Factors::new(matrix.rows, matrix.columns, rank, b, a).unwrap()
}
