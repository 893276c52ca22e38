//! What the tests of this crate share.
#![allow(clippy::expect_used, reason = "a test that cannot go on stops")]
#![allow(dead_code, reason = "each test uses its part")]
#![allow(unreachable_pub, reason = "a module of a test has no outside")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "the numbers of test adapters are small"
)]

pub mod arbitrary;
pub mod facts;
pub mod vector;

/// The bytes with the last eight replaced by the checksum of the others.
pub fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len().saturating_sub(8);
    bytes.truncate(body);
    let hash = blake3::hash(&bytes);
    bytes.extend(&hash.as_bytes()[..8]);
    bytes
}
