//! Class 8: checkpoints.

use std::fmt::Write as _;

use super::files::link;
use super::{Case, bad_vectors, many, one, write};
use crate::support::{Scratch, Tensor, safetensors, small_base, with_header, write_checkpoint};

const INDEX: &str = "base/model.safetensors.index.json";
const WEIGHTS: &str = "base/model.safetensors";

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "every_bad_checkpoint" => {
            let vectors = bad_vectors("checkpoint");
            many(vectors.len(), move |scratch, variant| {
                write(scratch, WEIGHTS, &vectors[variant].1);
                format!("{}: ", vectors[variant].0)
            })
        }
        "declared_100_mb" => one(|scratch| {
            write(
                scratch,
                WEIGHTS,
                &[&100_000_000_u64.to_le_bytes()[..], b"{}"].concat(),
            );
        }),
        "declared_18_exabytes" => one(|scratch| {
            write(
                scratch,
                WEIGHTS,
                &[&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
            );
        }),
        "tensors_of_90_mb" => one(|scratch| tiny_tensors(scratch, 90_000_000)),
        "tensors_of_11_mb" => one(|scratch| tiny_tensors(scratch, 11_900_000)),
        "metadata_of_11_mb" => one(|scratch| metadata(scratch, 11_900_000)),
        "metadata_of_2_mb" => one(|scratch| metadata(scratch, 2_000_000)),
        "index_of_40_mb" => one(|scratch| index_of(scratch, 40_000_000)),
        "config_of_2_mb" => one(|scratch| config(scratch, &list(2_000_000))),
        "config_of_1_mb" => one(|scratch| config(scratch, &list(990_000))),
        "deep_config" => one(|scratch| {
            let depth = 100_000;
            config(
                scratch,
                &format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
            );
        }),
        "deep_index" => one(|scratch| {
            let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
            write(
                scratch,
                INDEX,
                format!(r#"{{"metadata":{deep},"weight_map":{{}}}}"#).as_bytes(),
            );
        }),
        "tensor_in_two_shards" => one(tensor_in_two_shards),
        "shard_outside" => many(OUTSIDE.len(), |scratch, variant| {
            write(scratch, "outside", &safetensors(&small_base()));
            index(scratch, &[("model.norm.weight", OUTSIDE[variant])]);
            String::new()
        }),
        "linked_shard_outside" => one(|scratch| {
            write(scratch, "outside", &safetensors(&small_base()));
            fs_err::remove_file(scratch.path(WEIGHTS)).unwrap();
            link("../outside", scratch, WEIGHTS);
        }),
        "blob_outside" => one(|scratch| {
            // The name of a cache, in a place that an attacker made: still a file that the link may read.
            fs_err::create_dir_all(scratch.path("models--x--y/blobs")).unwrap();
            link("/etc/passwd", scratch, "models--x--y/blobs/0a");
            fs_err::remove_file(scratch.path(WEIGHTS)).unwrap();
            link("../models--x--y/blobs/0a", scratch, WEIGHTS);
        }),
        "missing_shard" => one(|scratch| index(scratch, &[("a", "nowhere")])),
        "missing_tensor" => one(|scratch| index(scratch, &[("a", "model.safetensors")])),
        "repeated_key_in_index" => one(|scratch| {
            let map = r#"{"weight_map":{"a":"x","\u0061":"y"}}"#;
            write(scratch, INDEX, map.as_bytes());
        }),
        "colliding_names" => one(|scratch| {
            // Composed and decomposed, and two cases: four tensors, and no two of them the same.
            let names = ["caf\u{e9}", "cafe\u{301}", "Cafe", "cafe"];
            write(
                scratch,
                WEIGHTS,
                &safetensors(&names.map(|name| Tensor::f32(name, &[1.0]))),
            );
        }),
        "nan_weight" => weights(|bytes| bytes[..2].copy_from_slice(&[0xc0, 0x7f])),
        "infinite_weight" => weights(|bytes| bytes[..2].copy_from_slice(&[0x80, 0xff])),
        "zero_weights" => weights(|bytes| bytes.fill(0)),
        "rank_one_weights" => weights(|bytes| bytes.as_chunks_mut::<2>().0.fill([0x80, 0x3f])),
        "equal_singular_values" => weights(|bytes| {
            bytes.fill(0);
            for i in 0..6 {
                bytes[2 * (6 * i + i)..][..2].copy_from_slice(&[0x80, 0x3f]);
            }
        }),
        "no_rows" => one(|scratch| {
            let name = "model.layers.0.self_attn.q_proj.weight";
            write_checkpoint(&scratch.path("base"), &[Tensor::bf16(name, &[0, 1 << 40])]);
        }),
        _ => None,
    }
}

const OUTSIDE: [&str; 8] = [
    "../outside",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "",
    "a\\\\b",
    "a\\u0000b",
];

fn index(scratch: &Scratch, weight_map: &[(&str, &str)]) {
    let pairs: Vec<_> = weight_map
        .iter()
        .map(|(tensor, shard)| format!(r#""{tensor}":"{shard}""#))
        .collect();
    write(
        scratch,
        INDEX,
        format!(r#"{{"weight_map":{{{}}}}}"#, pairs.join(",")).as_bytes(),
    );
}

fn tensor_in_two_shards(scratch: &Scratch) {
    for shard in ["base/x", "base/y"] {
        write(
            scratch,
            shard,
            &safetensors(&[Tensor::f32("a", &[1.0]), Tensor::f32(&shard[5..], &[1.0])]),
        );
    }
    index(scratch, &[("a", "x"), ("x", "x"), ("y", "y")]);
}

/// A valid header of so many bytes, of tensors without elements.
fn tiny_tensors(scratch: &Scratch, length: usize) {
    let mut json = String::from("{");
    let mut number = 0;
    while json.len() < length {
        write!(
            json,
            r#""{number}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},"#
        )
        .unwrap();
        number += 1;
    }
    json.pop();
    write(scratch, WEIGHTS, &with_header(&(json + "}"), &[]));
}

fn metadata(scratch: &Scratch, length: usize) {
    let mut json = String::from(r#"{"__metadata__":{"#);
    let mut number = 0;
    while json.len() < length {
        write!(json, r#""{number:x}":"","#).unwrap();
        number += 1;
    }
    json.pop();
    write(scratch, WEIGHTS, &with_header(&(json + "}}"), &[]));
}

fn index_of(scratch: &Scratch, length: usize) {
    let mut json = String::from(r#"{"weight_map":{"#);
    let mut number = 0;
    while json.len() < length {
        write!(json, r#""{number:x}":"x","#).unwrap();
        number += 1;
    }
    json.pop();
    write(scratch, INDEX, (json + "}}").as_bytes());
}

fn list(length: usize) -> String {
    format!("[{}0]", "0,".repeat(length / 2))
}

/// A setting of `config.json` that nobody needs.
fn config(scratch: &Scratch, value: &str) {
    write(
        scratch,
        "base/config.json",
        format!(r#"{{"a":{value}}}"#).as_bytes(),
    );
}

/// The base with other weights of its first projection.
fn weights(change: fn(&mut [u8])) -> Option<Case> {
    one(move |scratch| {
        let mut tensors = small_base();
        change(&mut tensors[1].bytes);
        write_checkpoint(&scratch.path("base"), &tensors);
    })
}
