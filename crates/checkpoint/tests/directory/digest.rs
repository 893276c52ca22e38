//! `tmd1`, against values of Python's blake3 package, and files that change.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use tlora_checkpoint::tmd1::{self, LeafHasher, TensorLeaf};
use tlora_checkpoint::{Checkpoint, CheckpointError};

use crate::model::{Model, Tensor, tensors, two};

/// Of the tensors of `two()`, by 20 lines of Python.
const TWO: &str = "tmd1:50057f9dfbf58b9ed292d5514bea054f6d835de389e40e922a29892561f1e443";
const RESHAPED: &str = "tmd1:6917251510f46c3eb937d2cf0fc706604dcfc0e8d1b4760c80f88e87dd3b7173";
const NONE: &str = "tmd1:27b90e8ce61e4ee2589fd2501c293ecc925a5758c526a435d33693c929ac9d6a";

fn digest(checkpoint: &Checkpoint) -> String {
    let threads = NonZero::new(2).expect("2 is not 0");
    tmd1::digest(checkpoint, threads, &|_| ())
        .expect("readable files")
        .digest
        .to_string()
}

#[test]
fn is_that_of_an_independent_implementation() {
    assert_eq!(digest(&Model::of(&two()).open()), TWO);
    let [(name, dtype, _, data), a] = two();
    assert_eq!(
        digest(&Model::of(&[(name, dtype, &[3, 2], data), a]).open()),
        RESHAPED
    );
    assert_eq!(digest(&Model::of(&[]).open()), NONE);
}

#[test]
fn order_and_sharding_do_not_enter() {
    let [b, a] = two();
    assert_eq!(digest(&Model::of(&[a.clone(), b.clone()]).open()), TWO);
    let index = br#"{"weight_map":{"b.weight":"x","a":"y"}}"#;
    let files = [
        ("x", tensors(&[b])),
        ("y", tensors(&[a])),
        ("model.safetensors.index.json", index.to_vec()),
    ];
    let sharded = Model::with(
        &files
            .each_ref()
            .map(|(name, bytes)| (*name, bytes.as_slice())),
    );
    assert_eq!(digest(&sharded.open()), TWO);
}

#[test]
fn one_bit_and_one_name_do() {
    let [(name, dtype, shape, mut data), a] = two();
    let renamed = Model::of(&[("c.weight", dtype, shape, data.clone()), a.clone()]);
    data[11] ^= 1;
    let flipped = Model::of(&[(name, dtype, shape, data), a]);
    assert_ne!(digest(&renamed.open()), TWO);
    assert_ne!(digest(&flipped.open()), TWO);
}

/// Tensors around the 4 MiB of a piece, the 512 KiB of a read, and of three and five pieces.
fn large() -> Vec<(String, Vec<u8>)> {
    let sizes = [
        0,
        1,
        1024,
        1 << 19,
        (1 << 22) - 1,
        1 << 22,
        (1 << 22) + 1,
        (3 << 22) + 5,
        5 << 22,
    ];
    let data = |size: usize| {
        (0..size)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
            .collect()
    };
    sizes.map(|size| (format!("t{size}"), data(size))).into()
}

#[test]
fn pieces_and_threads_change_nothing() {
    let large = large();
    let shapes: Vec<_> = large.iter().map(|(_, data)| [data.len() as u64]).collect();
    let list = large
        .iter()
        .zip(&shapes)
        .map(|((name, data), shape)| (name.as_str(), "U8", &shape[..], data.clone()));
    let model = Model::of(&list.collect::<Vec<Tensor<'_>>>());
    let checkpoint = model.open();
    for threads in [1, 2, 7] {
        let progress = AtomicU64::new(0);
        let count = |bytes| {
            progress.fetch_add(bytes, Ordering::Relaxed);
        };
        let threads = NonZero::new(threads).expect("not 0");
        let digested = tmd1::digest(&checkpoint, threads, &count).expect("readable files");
        for (name, data) in &large {
            let whole = blake3::derive_key("tlora 2026-11 model-digest v1 leaf", data);
            assert_eq!(digested.leaves[name], whole, "{name}");
            assert_eq!(LeafHasher::new().update(data).finish(), whole, "{name}");
        }
        let records = checkpoint
            .tensors()
            .values()
            .rev()
            .map(|tensor| TensorLeaf::new(tensor, digested.leaves[&tensor.name]));
        assert_eq!(tmd1::root(records), digested.digest);
        assert_eq!(
            progress.into_inner(),
            large.iter().map(|(_, data)| data.len() as u64).sum::<u64>()
        );
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
    file.set_len(checkpoint.shards()[0].len() - 1)
        .expect("a shorter file");
    let error =
        tmd1::digest(&checkpoint, NonZero::<usize>::MIN, &|_| ()).expect_err("bytes are missing");
    assert!(matches!(error, CheckpointError::Changed(_)), "{error}");
}

#[test]
fn a_file_that_was_written_to_is_an_error() {
    let model = Model::of(&two());
    let checkpoint = model.open();
    checkpoint.ensure_unchanged().expect("nothing changed");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(model.file("model.safetensors"))
        .expect("the file");
    file.set_modified(std::time::UNIX_EPOCH)
        .expect("another time");
    assert!(matches!(
        checkpoint.ensure_unchanged(),
        Err(CheckpointError::Changed(_))
    ));
}
