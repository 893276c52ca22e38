//! `tlora digest --files`: what sha256sum says, and what a Hugging Face cache claims.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::{Scratch, small_base, write_checkpoint};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A snapshot whose weights are the blob of this name.
fn snapshot(scratch: &Scratch, blob: &str) -> PathBuf {
    write_checkpoint(&scratch.path("plain"), &small_base());
    let model = scratch.path("models--owner--name");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::create_dir_all(model.join("blobs")).unwrap();
    let files = [("model.safetensors", blob), ("config.json", "0a1b")];
    for (name, blob) in files {
        fs_err::copy(
            scratch.path("plain").join(name),
            model.join("blobs").join(blob),
        )
        .unwrap();
        symlink(format!("../../blobs/{blob}"), snapshot.join(name)).unwrap();
    }
    snapshot
}

/// The sha256 of the weights, by coreutils.
fn sha256(scratch: &Scratch) -> String {
    write_checkpoint(&scratch.path("plain"), &small_base());
    let mut command = Command::new("sha256sum");
    let output = command
        .arg(scratch.path("plain/model.safetensors"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn sha256sum_checks_the_lines_of_files() {
    let scratch = Scratch::new();
    write_checkpoint(&scratch.path("base"), &small_base());
    let printed = scratch.done(&["digest", "base", "--files"]).stdout;
    let (digest, files) = printed.split_once('\n').unwrap();
    assert_eq!(digest, scratch.done(&["digest", "base"]).stdout.trim());
    fs_err::write(scratch.path("base/list"), files).unwrap();
    let mut check = Command::new("sha256sum");
    let output = check
        .args(["--strict", "-c", "list"])
        .current_dir(scratch.path("base"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "config.json: OK\nmodel.safetensors: OK\n");
}

#[test]
fn a_snapshot_of_the_cache_is_named_with_its_commit_and_blobs() {
    let scratch = Scratch::new();
    let blob = sha256(&scratch);
    let directory = snapshot(&scratch, &blob);
    let directory = directory.to_str().unwrap();
    let printed = scratch.done(&["digest", directory, "--files"]).stdout;
    assert!(
        printed.contains(&format!("\nhub:owner/name@{COMMIT}\n")),
        "{printed}"
    );
    let printed = scratch
        .done(&["digest", directory, "--files", "--json"])
        .stdout;
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json["hub"]["commit"], COMMIT);
    assert_eq!(json["hub"]["repository"], "owner/name");
    assert_eq!(json["files"][0]["blob"], "0a1b");
    assert_eq!(json["files"][1]["blob"], blob.as_str());
    assert_eq!(json["files"][1]["sha256"], blob.as_str());
}

#[test]
fn a_file_that_is_not_its_blob_is_an_error() {
    let scratch = Scratch::new();
    let claimed = "00".repeat(32);
    let directory = snapshot(&scratch, &claimed);
    let directory = directory.to_str().unwrap();
    let parts = [
        "is not what the Hugging Face cache says it is",
        &claimed,
        &sha256(&scratch),
    ];
    scratch
        .tlora(&["digest", directory, "--files"])
        .failed(1, &parts);
    scratch
        .tlora(&["digest", directory, "--files", "--json"])
        .failed(1, &parts);
}
