//! The sha256 of files beside `tmd1`, and what the Hugging Face cache claims.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tlora_checkpoint::{
    Checkpoint, CheckpointError, DigestedFiles, digest_files, hexadecimal, tmd1,
};

use crate::model::{Model, Tensor, tensors, two};

/// Of `model.safetensors` with the tensors of `two()`, and of `{}`, by Python's hashlib.
const TWO: &str = "69fde2ac51268520f0f4ac2ff080f6bdf7a363081c3eb7b6bf489c3753d6f548";
const EMPTY_OBJECT: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn threads(number: usize) -> NonZero<usize> {
    NonZero::new(number).expect("not 0")
}

fn files(checkpoint: &Checkpoint) -> Result<DigestedFiles, CheckpointError> {
    digest_files(checkpoint, threads(2), &|_| ())
}

#[test]
fn are_those_that_a_merge_reads_or_copies() {
    let two = tensors(&two());
    let model = Model::with(&[
        ("model.safetensors", two.as_slice()),
        ("config.json", b"{}"),
        ("modeling.py", b"import os"),
        ("README.md", b"# model"),
    ]);
    let digested = files(&model.open()).expect("readable files");
    let found: Vec<_> = digested
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.bytes, hexadecimal(&file.sha256)))
        .collect();
    let wanted = [
        ("config.json", 2, EMPTY_OBJECT.to_owned()),
        ("model.safetensors", two.len() as u64, TWO.to_owned()),
    ];
    assert_eq!(found, wanted);
    assert_eq!(digested.hub, None);
}

/// Shards around the 512 KiB of a block: tensors without bytes at both ends, one that ends a block, one of several.
fn shards() -> Vec<(&'static str, Vec<u8>)> {
    let data = |size: usize| -> Vec<u8> {
        (0..size)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
            .collect()
    };
    let first: Vec<Tensor<'_>> = vec![
        ("first/none", "U8", &[0], Vec::new()),
        ("first/byte", "U8", &[1], data(1)),
        ("first/large", "U8", &[2_000_003], data(2_000_003)),
        ("first/end", "U8", &[0, 7], Vec::new()),
    ];
    // Headers of this form have fewer than 200 bytes, so that the padding below makes the data begin at 256.
    let header = format!(
        r#"{{"second/a":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#,
        (3 << 19) - 256
    );
    let second = crate::model::file(&format!("{header:248}"), &data((3 << 19) - 256));
    let third: Vec<Tensor<'_>> = vec![("third/only", "U8", &[3], data(3))];
    vec![
        ("first", tensors(&first)),
        ("second", second),
        ("third", tensors(&third)),
    ]
}

#[test]
fn threads_change_nothing_and_every_byte_is_read_once() {
    let index = br#"{"weight_map":{"first/none":"first","first/byte":"first","first/large":"first",
        "first/end":"first","second/a":"second","third/only":"third"}}"#;
    let shards = shards();
    let mut all: Vec<_> = shards
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    all.push(("model.safetensors.index.json", index));
    let model = Model::with(&all);
    let checkpoint = model.open();
    let expected = tmd1::digest(&checkpoint, threads(1), &|_| ()).expect("readable files");
    // 6 threads are two for each shard.
    for number in [1, 2, 3, 6, 9] {
        let progress = AtomicU64::new(0);
        let count = |bytes| {
            progress.fetch_add(bytes, Ordering::Relaxed);
        };
        let digested = digest_files(&checkpoint, threads(number), &count).expect("readable files");
        assert_eq!(digested.digested, expected, "{number} threads");
        for (name, bytes) in &all {
            let file = digested.files.iter().find(|file| file.name == *name);
            let sha256: [u8; 32] = Sha256::digest(bytes).into();
            assert_eq!(file.expect(name).sha256, sha256, "{name}, {number} threads");
        }
        let bytes: usize = all.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(progress.into_inner(), bytes as u64, "{number} threads");
    }
}

#[test]
fn a_file_that_became_shorter_is_an_error() {
    let model = Model::of(&two());
    let checkpoint = model.open();
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(model.file("model.safetensors"))
        .expect("the file");
    file.set_len(150).expect("a shorter file");
    let error = files(&checkpoint).expect_err("bytes are missing");
    assert!(matches!(error, CheckpointError::Changed(_)), "{error}");
}

#[cfg(unix)]
mod hub {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;
    use crate::model::message;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A snapshot whose weights are the blob `weights`, and whose configuration is a small blob.
    fn snapshot(cache: &Model, weights: &str) -> PathBuf {
        let model = cache.file("models--owner--name");
        let snapshot = model.join("snapshots").join(COMMIT);
        fs_err::create_dir_all(model.join("blobs")).expect("a directory");
        fs_err::create_dir_all(&snapshot).expect("a directory");
        let blobs = [
            (weights, tensors(&two()), "model.safetensors"),
            ("0a1b2c", b"{}".to_vec(), "config.json"),
        ];
        for (blob, bytes, name) in blobs {
            fs_err::write(model.join("blobs").join(blob), bytes).expect("a blob");
            symlink(format!("../../blobs/{blob}"), snapshot.join(name)).expect("a link");
        }
        fs_err::write(snapshot.join("tokenizer.json"), "{}").expect("a file without a blob");
        snapshot
    }

    #[test]
    fn a_snapshot_gives_commit_and_blobs() {
        let cache = Model::with(&[]);
        let checkpoint = Checkpoint::open(snapshot(&cache, TWO)).expect("a cached checkpoint");
        let digested = files(&checkpoint).expect("files that are what they claim to be");
        let hub = digested.hub.expect("a snapshot");
        assert_eq!(
            (hub.repository.as_str(), hub.commit.as_str()),
            ("owner/name", COMMIT)
        );
        let blobs: Vec<_> = digested
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.blob.as_deref()))
            .collect();
        let wanted = [
            ("config.json", Some("0a1b2c")),
            ("model.safetensors", Some(TWO)),
            ("tokenizer.json", None),
        ];
        assert_eq!(blobs, wanted);
    }

    #[test]
    fn a_blob_with_the_name_of_another_file_is_an_error() {
        let cache = Model::with(&[]);
        let checkpoint = Checkpoint::open(snapshot(&cache, EMPTY_OBJECT)).expect("a checkpoint");
        let error = files(&checkpoint).expect_err("the claim does not hold");
        assert!(matches!(error, CheckpointError::Blob { .. }), "{error}");
        let message = message(&error);
        for part in ["model.safetensors", EMPTY_OBJECT, TWO] {
            assert!(message.contains(part), "{message}");
        }
    }
}
