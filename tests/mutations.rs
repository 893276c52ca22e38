//! Random changes of right and wrong inputs, for everything that reads bytes from elsewhere: what cargo-fuzz does, on a
//! stable compiler. The corpora are those of `fuzz/corpus` and the test vectors.
//!
//! `TLORA_MUTATION_SECONDS` is how long each reader is tried (default 2), `TLORA_MUTATION_SEED` where the random numbers
//! begin; the seed is printed with what it found.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

#[path = "../fuzz/src/readers.rs"]
#[expect(unreachable_pub, reason = "the fuzz targets are another crate")]
mod readers;
#[path = "hostile/seeded.rs"]
mod seeded;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use seeded::Seeded;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// The files of a directory of the repository, without the heads of vectors.
fn corpus(directory: &str) -> Vec<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut paths: Vec<_> = fs_err::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let body = |bytes: Vec<u8>| match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(end) if bytes.starts_with(b"expect: ") => bytes[end + 2..].to_vec(),
        _ => bytes,
    };
    paths
        .iter()
        .map(|path| body(fs_err::read(path).unwrap()))
        .filter(|bytes| bytes.len() < 1 << 14)
        .collect()
}

/// Changes some bytes, lengths and order, as much as `seeded` says.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], seeded: &mut Seeded) {
    const INTERESTING: [u64; 9] = [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        u64::MAX,
    ];
    for _ in 0..=seeded.below(4) {
        let (at, length) = (seeded.below(bytes.len() + 1), 1 + seeded.below(8));
        let end = bytes.len().min(at + length);
        match seeded.below(8) {
            0..3 if at < bytes.len() => bytes[at] ^= 1 << seeded.below(8),
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let value = INTERESTING[seeded.below(INTERESTING.len())].to_le_bytes();
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
            6 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &others[seeded.below(others.len())];
                let from = seeded.below(other.len() + 1);
                let to = other.len().min(from + seeded.below(64));
                bytes.splice(at..end, other[from..to].iter().copied());
            }
        }
    }
}

/// The bytes with the checksum that an adapter of them has, so that more than the checksum is tried.
fn with_checksum(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(8) {
        let hash = blake3::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&hash.as_bytes()[..8]);
    }
}

fn try_for_a_while(directory: &str, finish: fn(&mut [u8]), read: fn(&[u8])) {
    let corpus = corpus(directory);
    assert!(
        corpus.len() >= 3,
        "{directory} has only {} small files",
        corpus.len()
    );
    let seed = setting("TLORA_MUTATION_SEED", 20_260_204);
    let mut seeded = Seeded(seed);
    let end = Instant::now() + Duration::from_secs(setting("TLORA_MUTATION_SECONDS", 2));
    let mut tried = 0_u64;
    corpus.iter().for_each(|bytes| read(bytes));
    while Instant::now() < end {
        let mut bytes = corpus[seeded.below(corpus.len())].clone();
        mutate(&mut bytes, &corpus, &mut seeded);
        if seeded.below(8) > 0 {
            finish(&mut bytes);
        }
        tried += 1;
        if catch_unwind(AssertUnwindSafe(|| read(&bytes))).is_err() {
            let path = std::env::temp_dir().join(format!("tlora-crash-{seed}-{tried}"));
            fs_err::write(&path, &bytes).unwrap();
            panic!(
                "seed {seed}, input {tried} of {directory} panics; it is kept in {}",
                path.display()
            );
        }
    }
    println!("{directory}: {tried} inputs from seed {seed}");
}

#[test]
fn adapters() {
    try_for_a_while("spec/vectors/adapter", with_checksum, readers::adapter);
}

#[test]
fn checkpoint_headers() {
    try_for_a_while("spec/vectors/checkpoint", |_| (), readers::checkpoint);
}

#[test]
fn bundles() {
    try_for_a_while("fuzz/corpus/bundle", |_| (), readers::bundle);
}

#[test]
fn policies() {
    try_for_a_while("fuzz/corpus/policy", |_| (), readers::policy);
}
