//! Every truncation and every flipped bit of every vector that is right.
#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use tlora_format::{Adapter, FailureClass};

mod common;
use common::vector::{Vector, vectors};
use common::with_checksum;

/// Vectors up to this size are changed at every place. The few longer ones are long for their v, factors or padding:
/// there, the header, the last bytes and a sample of the rest must do.
const EVERY_BYTE: usize = 2048;

fn valid_vectors() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/adapter");
    let files = vectors(&directory).into_iter();
    let read = files.map(|(name, path)| (name, Vector::read(&path).expect("a vector")));
    read.filter(|(_, vector)| vector.optional("expect") == Some("ok"))
        .map(|(name, vector)| (name, vector.bytes))
        .collect()
}

/// Byte positions to change in a file of this length.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length)
        .filter(move |&at| length <= EVERY_BYTE || at < 104 || at + 16 > length || at % 9973 == 0)
}

/// Bits to flip in the first `end` bytes of a file.
fn bits(length: usize, end: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits: &[u8] = if length <= EVERY_BYTE {
        &[0, 1, 2, 3, 4, 5, 6, 7]
    } else {
        &[0, 7]
    };
    places(length)
        .filter(move |&at| at < end)
        .flat_map(move |at| bits.iter().map(move |&bit| (at, bit)))
}

fn flipped(bytes: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1 << bit;
    changed
}

#[test]
fn rejects_every_flipped_bit() {
    for (name, bytes) in valid_vectors() {
        for (at, bit) in bits(bytes.len(), bytes.len()) {
            let error = Adapter::parse(&flipped(&bytes, at, bit))
                .expect_err("a flipped bit breaks magic, version or checksum");
            let wanted = match at {
                0..8 => FailureClass::Magic,
                8..10 => FailureClass::Version,
                _ => FailureClass::Checksum,
            };
            assert_eq!(error.class(), wanted, "{name}: bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_flipped_bit_with_a_right_checksum_is_rejected_or_another_adapter() {
    let mut others = 0;
    for (name, bytes) in valid_vectors() {
        let adapter = Adapter::parse(&bytes).expect("the vector is right");
        for (at, bit) in bits(bytes.len(), bytes.len() - 8) {
            let changed = with_checksum(flipped(&bytes, at, bit));
            let Ok(other) = Adapter::parse(&changed) else {
                continue;
            };
            assert_ne!(
                other, adapter,
                "{name}: bit {bit} of byte {at} says nothing"
            );
            assert_eq!(
                other.to_bytes(),
                changed,
                "{name}: bit {bit} of byte {at} is not written again"
            );
            others += 1;
        }
    }
    assert!(
        others > 10_000,
        "most bits of v, seed and digests make another adapter; {others} did"
    );
}

#[test]
fn rejects_every_truncation() {
    for (name, bytes) in valid_vectors() {
        for length in places(bytes.len()) {
            let error = Adapter::parse(&bytes[..length]).expect_err("a part of a file is none");
            let wanted = if length < 98 {
                FailureClass::Truncated
            } else {
                FailureClass::Checksum
            };
            assert_eq!(error.class(), wanted, "{name}: the first {length} bytes");
        }
    }
}

#[test]
fn a_truncation_with_a_right_checksum_is_rejected_or_another_adapter() {
    for (name, bytes) in valid_vectors() {
        let adapter = Adapter::parse(&bytes).expect("the vector is right");
        for length in places(bytes.len()).filter(|&length| length >= 8) {
            let cut = with_checksum(bytes[..length].to_vec());
            let Ok(other) = Adapter::parse(&cut) else {
                continue;
            };
            assert_ne!(other, adapter, "{name}: the first {length} bytes say all");
            assert_eq!(
                other.to_bytes(),
                cut,
                "{name}: the first {length} bytes are not written again"
            );
        }
    }
}
