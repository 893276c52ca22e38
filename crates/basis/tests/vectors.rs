//! The golden values of `spec/vectors/exact`, one test a file, on every instruction set of this machine. They were made by
//! `spec/reference`, an implementation in Python that never saw this one.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test without the test harness"
)]

mod matrices;

use libtest_mimic::{Arguments, Failed, Trial};
use matrices::Matrix;
use std::collections::BTreeMap;
use std::path::Path;
use tlora_basis::{
    Basis, BasisError, Isa, Update, WeightDtype, combine, core_matrix, exact_basis_on,
    merge_rows_on, native_projections, standard_projections, torch_projections, torch_seed,
};
use tlora_format::{Rounding, SeedRule, SigmaSide};

/// A vector file: `key: value` lines, an empty line, bytes.
struct Vector {
    header: BTreeMap<String, String>,
    payload: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap();
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let header = std::str::from_utf8(&bytes[..end])
            .unwrap()
            .lines()
            .map(|line| {
                let (key, value) = line.split_once(": ").unwrap();
                (key.to_owned(), value.to_owned())
            });
        Self {
            header: header.collect(),
            payload: bytes[end + 2..].to_vec(),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.header
            .get(key)
            .unwrap_or_else(|| panic!("the vector has no {key}"))
    }

    fn number(&self, key: &str) -> usize {
        self.text(key).parse().unwrap()
    }

    fn rounding(&self, key: &str) -> Rounding {
        match self.text(key) {
            "bf16" => Rounding::Bf16,
            "f16" => Rounding::F16,
            _ => Rounding::None,
        }
    }

    fn doubles(&self, key: &str) -> Vec<f64> {
        self.text(key)
            .split(',')
            .map(|hex| f64::from_bits(u64::from_str_radix(hex, 16).unwrap()))
            .collect()
    }

    fn dtype(&self, key: &str) -> WeightDtype {
        match self.text(key) {
            "bf16" => WeightDtype::Bf16,
            "f16" => WeightDtype::F16,
            "f32" => WeightDtype::F32,
            other => panic!("{other} is no dtype"),
        }
    }

    /// W, given or made, and the number of payload bytes it takes.
    fn weight(&self) -> (Matrix, usize) {
        let (rows, columns, dtype) = (self.number("m"), self.number("n"), self.dtype("dtype"));
        let recipe = self.header.get("weights").map_or("inline", String::as_str);
        if recipe == "inline" {
            let size = rows * columns * dtype.size();
            return (
                Matrix {
                    dtype,
                    rows,
                    columns,
                    bytes: self.payload[..size].to_vec(),
                },
                size,
            );
        }
        let (kind, seed) = recipe.split_once(' ').unwrap();
        let made_as = if self.header.contains_key("weights_dtype") {
            self.dtype("weights_dtype")
        } else {
            dtype
        };
        let bytes = made(
            made_as,
            rows,
            columns,
            kind == "graded",
            seed.parse().unwrap(),
        );
        let matrix = Matrix {
            dtype: made_as,
            rows,
            columns,
            bytes,
        };
        (
            if made_as == dtype {
                matrix
            } else {
                matrix.upcast()
            },
            0,
        )
    }
}

/// The weights of `spec/vectors/README.md`.
fn made(dtype: WeightDtype, rows: usize, columns: usize, graded: bool, seed: u64) -> Vec<u8> {
    let element = |t: usize| {
        let h = hash((seed << 32) + t as u64);
        let sign = h >> 63;
        let extra = if graded {
            u64::from((t % columns + 1).trailing_zeros().min(6))
        } else {
            0
        };
        let exponent = (h >> 40 & 3) + extra;
        match dtype {
            WeightDtype::Bf16 => ((sign << 15 | (120 + exponent) << 7 | (h >> 33 & 0x7F)) as u16)
                .to_le_bytes()
                .to_vec(),
            WeightDtype::F16 => ((sign << 15 | (8 + exponent) << 10 | (h >> 20 & 0x3FF)) as u16)
                .to_le_bytes()
                .to_vec(),
            WeightDtype::F32 => ((sign << 31 | (120 + exponent) << 23 | (h & 0x7F_FFFF)) as u32)
                .to_le_bytes()
                .to_vec(),
        }
    };
    (0..rows * columns).flat_map(element).collect()
}

/// h of spec §6.3.
fn hash(z: u64) -> u64 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = z.wrapping_mul(GAMMA).wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fingerprint(basis: &Basis) -> String {
    let bytes: Vec<u8> = basis
        .sigma
        .iter()
        .chain(&basis.v)
        .flat_map(|x| x.to_le_bytes())
        .collect();
    blake3::hash(&bytes).to_hex().to_string()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn check_basis(vector: &Vector, isa: Isa) -> Result<(), Failed> {
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

fn check_projection(vector: &Vector) {
    let (u, rank) = (vector.number("u"), vector.number("rank"));
    let p: Vec<f64> = match vector.text("kind") {
        "native" => {
            let seed = vector.text("seed").parse().unwrap();
            native_projections(seed, vector.text("module"), u, rank).collect()
        }
        "torch" => {
            let rule = match vector.text("seed_rule") {
                "shared" => SeedRule::Shared,
                _ => SeedRule::PerModule,
            };
            let seed = vector.text("seed").parse().unwrap();
            let seed = torch_seed(seed, rule, vector.number("module_number"));
            torch_projections(seed, u, rank, vector.rounding("projection_rounding")).collect()
        }
        "standard" => standard_projections(vector.number("file_rank"), rank).collect(),
        other => panic!("unknown projections {other}"),
    };
    let r = combine(&vector.doubles("v"), p.iter().copied(), rank);
    let found: Vec<u8> = p.iter().chain(&r).flat_map(|x| x.to_le_bytes()).collect();
    assert!(found == vector.payload, "P or R differs");
}

fn check_merge(vector: &Vector, isa: Isa) {
    let (matrix, used) = vector.weight();
    let updates: Vec<Update> = (0..vector.number("adapters"))
        .map(|a| update(vector, &matrix, isa, a))
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
        assert!(out == vector.payload[used..], "the merged weight differs");
    }
}

fn update(vector: &Vector, matrix: &Matrix, isa: Isa, a: usize) -> Update {
    let rank = vector.number(&format!("rank.{a}"));
    let basis = exact_basis_on(isa, &matrix.weight(), rank).unwrap().basis;
    assert_eq!(
        fingerprint(&basis),
        vector.text(&format!("fingerprint.{a}"))
    );
    let side = match vector.text(&format!("side.{a}")) {
        "left" => SigmaSide::Left,
        "split" => SigmaSide::Split,
        _ => SigmaSide::Right,
    };
    let mut negated = vec![false; rank];
    for column in vector
        .text(&format!("negated.{a}"))
        .split(',')
        .filter(|&column| column != "none")
    {
        negated[column.parse::<usize>().unwrap()] = true;
    }
    let scale =
        f32::from_bits(u32::from_str_radix(vector.text(&format!("scale.{a}")), 16).unwrap());
    let r = vector.doubles(&format!("r.{a}"));
    let core = core_matrix(side, scale, &r, &basis.sigma, &negated);
    Update::new(&basis, core)
}

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/exact");
    let mut paths: Vec<_> = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut trials = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("projection_") {
            trials.push(Trial::test(name, move || {
                check_projection(&Vector::read(&path));
                Ok(())
            }));
        } else if name.starts_with("basis_") || name.starts_with("merge_") {
            for isa in Isa::available() {
                let (path, name) = (path.clone(), name.clone());
                trials.push(Trial::test(format!("{name} {}", isa.name()), move || {
                    let vector = Vector::read(&path);
                    if name.starts_with("basis_") {
                        return check_basis(&vector, isa);
                    }
                    check_merge(&vector, isa);
                    Ok(())
                }));
            }
        }
    }
    assert!(trials.len() > 100, "the vectors are missing");
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
