//! Random changes of right and wrong inputs, for everything that reads bytes from elsewhere: what cargo-fuzz does, on a
//! stable compiler. The corpora are those of `fuzz/corpus` and the test vectors.
//!
//! `TLORA_MUTATIONS` is how many inputs each reader gets (default 50,000, two seconds of the slowest), `TLORA_MUTATION_SEED` where
//! the random numbers begin. The same two give the same inputs on every machine.

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

fn try_many(directory: &str, finish: fn(&mut [u8]), read: fn(&[u8])) {
    let corpus = corpus(directory);
    assert!(
        corpus.len() >= 3,
        "{directory} has only {} small files",
        corpus.len()
    );
    let seed = setting("TLORA_MUTATION_SEED", 20_260_204);
    let mut seeded = Seeded(seed);
    let count = setting("TLORA_MUTATIONS", 50_000);
    corpus.iter().for_each(|bytes| read(bytes));
    for tried in 1..=count {
        let mut bytes = corpus[seeded.below(corpus.len())].clone();
        mutate(&mut bytes, &corpus, &mut seeded);
        if seeded.below(8) > 0 {
            finish(&mut bytes);
        }
        if catch_unwind(AssertUnwindSafe(|| read(&bytes))).is_err() {
            let path = std::env::temp_dir().join(format!("tlora-crash-{seed}-{tried}"));
            fs_err::write(&path, &bytes).unwrap();
            panic!(
                "seed {seed}, input {tried} of {directory} panics; it is kept in {}",
                path.display()
            );
        }
    }
    println!("{directory}: {count} inputs from seed {seed}");
}

#[test]
fn adapters() {
    try_many("spec/vectors/adapter", with_checksum, readers::adapter);
}

#[test]
fn checkpoint_headers() {
    try_many("spec/vectors/checkpoint", |_| (), readers::checkpoint);
}

#[test]
fn bundles() {
    try_many("fuzz/corpus/bundle", |_| (), readers::bundle);
}

#[test]
fn policies() {
    try_many("fuzz/corpus/policy", |_| (), readers::policy);
}
