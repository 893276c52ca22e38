//! Links and things that are no files.
#![cfg(unix)]

use std::os::unix::fs::symlink;

use tlora_checkpoint::{Checkpoint, CheckpointError};

use crate::model::{Model, tensors, two};

#[test]
fn the_layout_of_the_hugging_face_cache_is_followed() {
    let cache = Model::with(&[]);
    let model = cache.file("models--owner--name");
    fs_err::create_dir_all(model.join("blobs")).expect("a directory");
    fs_err::create_dir_all(model.join("snapshots/main")).expect("a directory");
    fs_err::write(model.join("blobs/abc"), tensors(&two())).expect("a blob");
    let link = model.join("snapshots/main/model.safetensors");
    symlink("../../blobs/abc", &link).expect("a link");
    let checkpoint = Checkpoint::open(model.join("snapshots/main")).expect("a cached checkpoint");
    assert_eq!(checkpoint.tensors().len(), 2);
    let real = checkpoint.real_paths().expect("existing files");
    assert!(
        real.contains(&fs_err::canonicalize(model.join("blobs/abc")).expect("the blob")),
        "{real:?}"
    );
}

#[test]
fn a_link_within_the_directory_is_followed() {
    let model = Model::with(&[("weights", &tensors(&two()))]);
    symlink("weights", model.file("model.safetensors")).expect("a link");
    assert_eq!(model.open().tensors().len(), 2);
}

#[test]
fn a_link_to_another_place_is_refused() {
    let elsewhere = Model::of(&two());
    let model = Model::with(&[]);
    symlink(
        elsewhere.file("model.safetensors"),
        model.file("model.safetensors"),
    )
    .expect("a link");
    let error = model.try_open().expect_err("a link outside");
    assert!(
        matches!(error, CheckpointError::LinkOutside { .. }),
        "{error}"
    );
}

#[test]
fn a_dangling_index_is_not_an_absent_one() {
    let model = Model::of(&two());
    symlink("nowhere", model.file("model.safetensors.index.json")).expect("a link");
    assert!(matches!(model.try_open(), Err(CheckpointError::Io(_))));
}

#[test]
fn a_fifo_or_a_directory_is_no_weights() {
    let fifo = Model::with(&[]);
    let made = std::process::Command::new("mkfifo")
        .arg(fifo.file("model.safetensors"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    assert!(matches!(fifo.try_open(), Err(CheckpointError::NotAFile(_))));
    let directory = Model::with(&[]);
    fs_err::create_dir_all(directory.file("model.safetensors")).expect("a directory");
    assert!(matches!(
        directory.try_open(),
        Err(CheckpointError::NotAFile(_))
    ));
}
