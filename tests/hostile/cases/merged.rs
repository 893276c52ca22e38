//! Class 12: checkpoints that are not quite base + adapter.

use std::ops::Range;

use serde_json::Value;

use super::{Case, many, one};
use crate::support::{Scratch, Tensor, safetensors, write_checkpoint};

const ADAPTED: &str = "model.layers.1.self_attn.q_proj.weight";
const UNTOUCHED: &str = "model.embed_tokens.weight";
const WEIGHTS: &str = "merged/model.safetensors";

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "merged" => after(|_| ()),
        "reverted_tensor" => after(|scratch| {
            let base = fs_err::read(scratch.path("base/model.safetensors")).unwrap();
            let original = base[place(&base, ADAPTED)].to_vec();
            change(scratch, ADAPTED, |bytes| bytes.copy_from_slice(&original));
        }),
        "one_ulp" => after(|scratch| change(scratch, ADAPTED, |bytes| bytes[10] ^= 1)),
        "flipped_sign" => after(|scratch| change(scratch, ADAPTED, |bytes| bytes[11] ^= 0x80)),
        "merged_bit" => many(32, |scratch, variant| {
            merge(scratch, &[]);
            let mut seeded = crate::seeded::Seeded(u64::try_from(variant).unwrap());
            let name = [ADAPTED, UNTOUCHED, "model.norm.weight"][variant % 3];
            change(scratch, name, |bytes| {
                bytes[seeded.below(bytes.len())] ^= 1 << seeded.below(8);
            });
            String::new()
        }),
        "doubled_update" => merged_with_scale("2"),
        "negated_update" => merged_with_scale("-1"),
        "applied_twice" => one(|scratch| merge(scratch, &["adapter.tlora"])),
        "extra_program" => {
            after(|scratch| fs_err::write(scratch.path("merged/modeling.py"), "import os").unwrap())
        }
        "extra_pickle" => {
            after(|scratch| fs_err::write(scratch.path("merged/pytorch_model.bin"), "x").unwrap())
        }
        "extra_weights" => after(|scratch| {
            let bytes = safetensors(&[Tensor::f32("x", &[1.0])]);
            fs_err::write(scratch.path("merged/model-2.safetensors"), bytes).unwrap();
        }),
        "fifo_in_merged" => after(|scratch| super::files::fifo(scratch, "merged/LICENSE")),
        "link_in_merged" => {
            after(|scratch| super::files::link("/etc/passwd", scratch, "merged/LICENSE"))
        }
        "changed_config" => after(|scratch| {
            fs_err::write(scratch.path("merged/config.json"), "{\"auto_map\":{}}").unwrap();
        }),
        "missing_config" => {
            after(|scratch| fs_err::remove_file(scratch.path("merged/config.json")).unwrap())
        }
        "untouched_tensor" => after(|scratch| change(scratch, UNTOUCHED, |bytes| bytes[0] ^= 1)),
        "truncated_merged" => after(|scratch| {
            let bytes = fs_err::read(scratch.path(WEIGHTS)).unwrap();
            fs_err::write(scratch.path(WEIGHTS), &bytes[..bytes.len() - 1]).unwrap();
        }),
        "missing_tensor_in_merged" => after(|scratch| {
            let tensors = crate::support::small_base();
            write_checkpoint(&scratch.path("merged"), &tensors[..3]);
        }),
        "base_as_merged" => {
            one(|scratch| write_checkpoint(&scratch.path("merged"), &crate::support::small_base()))
        }
        "erased_update" => one(|scratch| {
            let arguments = [
                "init",
                "base",
                "-o",
                "adapter.tlora",
                "--force",
                "--targets",
                "q_proj",
                "--v",
                "1e-12",
            ];
            scratch.done(&arguments);
            merge(scratch, &[]);
        }),
        _ => None,
    }
}

fn merge(scratch: &Scratch, more: &[&str]) {
    scratch.done(&[&["merge", "base", "adapter.tlora"], more, &["-o", "merged"]].concat());
}

/// A right merge that something happens to.
fn after(change: fn(&Scratch)) -> Option<Case> {
    one(move |scratch| {
        merge(scratch, &[]);
        change(scratch);
    })
}

/// A merge of the adapter with another scale.
fn merged_with_scale(scale: &'static str) -> Option<Case> {
    one(move |scratch| {
        let scale = format!("--scale={scale}");
        scratch.done(&[
            "init",
            "base",
            "-o",
            "other.tlora",
            "--targets",
            "q_proj",
            "--v",
            "0.05",
            &scale,
        ]);
        scratch.done(&["merge", "base", "other.tlora", "-o", "merged"]);
    })
}

/// Where a tensor is in a file.
fn place(file: &[u8], name: &str) -> Range<usize> {
    let header = usize::try_from(u64::from_le_bytes(*file.first_chunk().unwrap())).unwrap();
    let json: Value = serde_json::from_slice(&file[8..8 + header]).unwrap();
    let offset = |i: usize| {
        8 + header + usize::try_from(json[name]["data_offsets"][i].as_u64().unwrap()).unwrap()
    };
    offset(0)..offset(1)
}

fn change(scratch: &Scratch, name: &str, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs_err::read(scratch.path(WEIGHTS)).unwrap();
    let place = place(&bytes, name);
    change(&mut bytes[place]);
    fs_err::write(scratch.path(WEIGHTS), bytes).unwrap();
}
