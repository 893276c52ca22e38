//! Classes 1 to 5: the bytes of an adapter.

use tlora_format::{Adapter, FailureClass};

use super::{ADAPTER, Case, bad_vectors, library, many, one, write};
use crate::seeded::Seeded;
use crate::support::Scratch;

const SEED: u64 = 0x2602_0411;
/// Where the fields are that the cases change: spec §2.
const BASIS_KIND: usize = 14;
const RANK: usize = 12;
const MODULES: usize = 24;
const N_TIE: usize = 32;
const V: usize = 88;

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "empty" => one(|scratch| write(scratch, "bad.tlora", b"")),
        "every_bad_vector" => every_bad_vector(),
        "every_truncation" => library(every_truncation),
        "truncation" => many(24, |scratch, variant| {
            let end = seeded(variant).below(ADAPTER.len());
            write(scratch, "bad.tlora", &ADAPTER[..end]);
            String::new()
        }),
        "trailing_byte" => {
            one(|scratch| write(scratch, "bad.tlora", &[&ADAPTER[..], &[0]].concat()))
        }
        "every_flip" => library(every_flip),
        "flip" => many(32, |scratch, variant| {
            write(
                scratch,
                "bad.tlora",
                &flipped(seeded(variant).below(8 * ADAPTER.len())),
            );
            String::new()
        }),
        "every_flip_with_checksum" => library(every_flip_with_checksum),
        "flip_with_checksum" => many(48, |scratch, variant| {
            let bit = seeded(variant).below(8 * (ADAPTER.len() - 8));
            write(scratch, "bad.tlora", &with_checksum(flipped(bit)));
            String::new()
        }),
        "more_modules" => changed(&[(MODULES, &[3, 0, 0, 0]), (N_TIE, &[3, 0, 0, 0])]),
        "rank_above_size" => changed(&[(RANK, &[64])]),
        "largest_v" => changed(&[(V, &f32::MAX.to_le_bytes())]),
        "smallest_v" => changed(&[(V, &1_u32.to_le_bytes())]),
        "sparse_200_mib" => one(|scratch| sparse(scratch, 0, 200 << 20)),
        "sparse_5_gib" => one(|scratch| sparse(scratch, 0, 5 << 30)),
        "sparse_300_mib_of_factors" => one(|scratch| sparse(scratch, 2, 300 << 20)),
        "sparse_200_mib_of_factors" => one(|scratch| sparse(scratch, 2, 200 << 20)),
        _ => None,
    }
}

fn seeded(variant: usize) -> Seeded {
    Seeded(SEED ^ u64::try_from(variant).unwrap())
}

/// The bytes with the checksum that belongs to them.
pub(crate) fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let hash = blake3::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&hash.as_bytes()[..8]);
    bytes
}

fn flipped(bit: usize) -> Vec<u8> {
    let mut bytes = ADAPTER.clone();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

fn changed(fields: &[(usize, &[u8])]) -> Option<Case> {
    let mut bytes = ADAPTER.clone();
    for (offset, field) in fields {
        bytes[*offset..offset + field.len()].copy_from_slice(field);
    }
    let bytes = with_checksum(bytes);
    one(move |scratch| write(scratch, "bad.tlora", &bytes))
}

fn every_bad_vector() -> Option<Case> {
    let vectors = bad_vectors("adapter");
    many(vectors.len(), move |scratch, variant| {
        let (rule, bytes) = &vectors[variant];
        write(scratch, "bad.tlora", bytes);
        format!("{rule} (")
    })
}

/// The adapter's header, with another kind of basis, and zeros until the file has so many bytes.
fn sparse(scratch: &Scratch, basis_kind: u8, length: u64) {
    let mut bytes = ADAPTER.clone();
    bytes[BASIS_KIND] = basis_kind;
    write(scratch, "bad.tlora", &bytes);
    let path = scratch.path("bad.tlora");
    let file = fs_err::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
}

fn every_truncation() {
    for end in 0..ADAPTER.len() {
        let class = Adapter::parse(&ADAPTER[..end]).unwrap_err().class();
        let wanted = [FailureClass::Truncated, FailureClass::Checksum];
        assert!(wanted.contains(&class), "the first {end} bytes: {class}");
    }
}

fn every_flip() {
    for bit in 0..8 * ADAPTER.len() {
        let class = Adapter::parse(&flipped(bit)).unwrap_err().class();
        let wanted = match bit / 8 {
            0..8 => FailureClass::Magic,
            8..10 => FailureClass::Version,
            _ => FailureClass::Checksum,
        };
        assert_eq!(class, wanted, "bit {bit}");
    }
}

fn every_flip_with_checksum() {
    let adapter = Adapter::parse(&ADAPTER).unwrap();
    let mut accepted = 0;
    for bit in 0..8 * (ADAPTER.len() - 8) {
        let bytes = with_checksum(flipped(bit));
        if let Ok(other) = Adapter::parse(&bytes) {
            assert_eq!(other.to_bytes(), bytes, "bit {bit} is not written again");
            assert_ne!(other, adapter, "bit {bit} says nothing");
            accepted += 1;
        }
    }
    assert!(
        accepted > 256,
        "digest and check alone have 320 bits; {accepted} were accepted"
    );
}
