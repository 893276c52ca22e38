//! Classes 1 and 11: what stands where a file is wanted, and where the output should go.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::{Case, one, write};
use crate::support::{Scratch, names};

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "fifo_adapter" => one(|scratch| fifo(scratch, "bad.tlora")),
        "device_adapter" => one(|scratch| link("/dev/zero", scratch, "bad.tlora")),
        "directory_adapter" => one(|scratch| directory(scratch, "bad.tlora")),
        "dangling_adapter" => one(|scratch| link("nowhere", scratch, "bad.tlora")),
        "looping_adapter" => one(|scratch| link("bad.tlora", scratch, "bad.tlora")),
        "linked_adapter" => one(|scratch| link("adapter.tlora", scratch, "bad.tlora")),
        "fifo_shard" => one(|scratch| instead(scratch, "base/model.safetensors")),
        "device_shard" => one(|scratch| {
            fs_err::remove_file(scratch.path("base/model.safetensors")).unwrap();
            link("/dev/zero", scratch, "base/model.safetensors");
        }),
        "fifo_index" => one(|scratch| fifo(scratch, "base/model.safetensors.index.json")),
        "fifo_config" => one(|scratch| instead(scratch, "base/config.json")),
        "fifo_companion" => one(|scratch| fifo(scratch, "base/LICENSE")),
        "companion_outside" => one(|scratch| link("/etc/passwd", scratch, "base/LICENSE")),
        "existing_output" => one(|scratch| {
            directory(scratch, "out");
            write(scratch, "out/mine", b"");
        }),
        "existing_file_as_output" => one(|scratch| write(scratch, "out", b"mine")),
        "dangling_output" => one(|scratch| link("nowhere", scratch, "out")),
        "linked_output" => one(|scratch| {
            directory(scratch, "elsewhere");
            link("elsewhere", scratch, "out");
        }),
        "linked_parent" => one(|scratch| {
            directory(scratch, "elsewhere");
            link("elsewhere", scratch, "parent");
        }),
        "unchanged" => {
            one(|scratch| assert!(names(&scratch.path("")).contains(&"base".to_owned())))
        }
        _ => None,
    }
}

pub(super) fn fifo(scratch: &Scratch, name: &str) {
    let made = Command::new("mkfifo").arg(scratch.path(name)).status();
    assert!(made.unwrap().success());
}

/// A FIFO in the place of a file.
fn instead(scratch: &Scratch, name: &str) {
    fs_err::remove_file(scratch.path(name)).unwrap();
    fifo(scratch, name);
}

pub(super) fn link(target: &str, scratch: &Scratch, name: &str) {
    symlink(target, scratch.path(name)).unwrap();
}

fn directory(scratch: &Scratch, name: &str) {
    fs_err::create_dir(scratch.path(name)).unwrap();
}
