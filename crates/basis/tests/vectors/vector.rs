//! A vector file, and the values in it in the spelling of `spec/vectors/README.md`.

use crate::matrices::Matrix;
use std::collections::BTreeMap;
use std::path::Path;
use tlora_basis::{Basis, Factors, Rsvd, WeightDtype};
use tlora_format::Rounding;

/// A vector file: `key: value` lines, an empty line, bytes.
pub(crate) struct Vector {
    pub(crate) header: BTreeMap<String, String>,
    pub(crate) payload: Vec<u8>,
}

impl Vector {
    pub(crate) fn read(path: &Path) -> Self {
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

    pub(crate) fn text(&self, key: &str) -> &str {
        self.header
            .get(key)
            .unwrap_or_else(|| panic!("the vector has no {key}"))
    }

    pub(crate) fn number(&self, key: &str) -> usize {
        self.text(key).parse().unwrap()
    }

    pub(crate) fn rounding(&self, key: &str) -> Rounding {
        match self.text(key) {
            "bf16" => Rounding::Bf16,
            "f16" => Rounding::F16,
            _ => Rounding::None,
        }
    }

    pub(crate) fn doubles(&self, key: &str) -> Vec<f64> {
        self.text(key)
            .split(',')
            .map(|hex| f64::from_bits(u64::from_str_radix(hex, 16).unwrap()))
            .collect()
    }

    pub(crate) fn dtype(&self, key: &str) -> WeightDtype {
        match self.text(key) {
            "bf16" => WeightDtype::Bf16,
            "f16" => WeightDtype::F16,
            "f32" => WeightDtype::F32,
            other => panic!("{other} is no dtype"),
        }
    }

    /// W, given or made, and the number of payload bytes it takes.
    pub(crate) fn weight(&self) -> (Matrix, usize) {
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
        let made_as = if self.header.contains_key("weights_dtype") {
            self.dtype("weights_dtype")
        } else {
            dtype
        };
        let matrix = made(recipe, made_as, rows, columns);
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
pub(crate) fn made(recipe: &str, dtype: WeightDtype, rows: usize, columns: usize) -> Matrix {
    let (kind, seed) = recipe.split_once(' ').unwrap();
    let (graded, seed) = (kind == "graded", seed.parse::<u64>().unwrap());
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
    let bytes = (0..rows * columns).flat_map(element).collect();
    Matrix {
        dtype,
        rows,
        columns,
        bytes,
    }
}

/// h of spec §6.3.
fn hash(z: u64) -> u64 {
    const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = z.wrapping_mul(GAMMA).wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `SEED N_ITER OVERSAMPLE`.
pub(crate) fn rsvd(text: &str) -> Rsvd {
    let [seed, n_iter, oversample] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
    Rsvd {
        seed: seed.parse().unwrap(),
        n_iter: n_iter.parse().unwrap(),
        oversample: oversample.parse().unwrap(),
    }
}

pub(crate) fn factors_hash(factors: &Factors) -> String {
    let values: Vec<f64> = factors.b.iter().chain(&factors.a).copied().collect();
    blake3_of(&values)
}

pub(crate) fn fingerprint(basis: &Basis) -> String {
    let values: Vec<f64> = basis.sigma.iter().chain(&basis.v).copied().collect();
    blake3_of(&values)
}

pub(crate) fn blake3_of(values: &[f64]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    blake3::hash(&bytes).to_hex().to_string()
}

pub(crate) fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}
