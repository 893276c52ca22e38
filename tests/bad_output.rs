//! Outputs that must not be written: in or over the base, over something else, through a link.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{Scratch, names};

const MERGE: [&str; 5] = ["merge", "base", "adapter.tlora", "-o", "out"];

/// What a scratch directory has after a merge that did not come about.
const UNTOUCHED: [&str; 3] = ["adapter.tlora", "base", "cache"];

#[test]
fn the_output_must_not_touch_the_base() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    let before = fs_err::read(base.join("model.safetensors")).unwrap();
    for (output, force) in [
        ("base/out", false),
        ("base", true),
        ("base/../base", true),
        (".", true),
    ] {
        let mut arguments = vec!["merge", "base", "adapter.tlora", "-o", output];
        if force {
            arguments.push("--force");
        }
        let ended = scratch.tlora(&arguments);
        assert_eq!(ended.code, Some(2), "{output}: {ended:?}");
        assert_eq!(scratch.names(), UNTOUCHED, "{output}");
        assert_eq!(
            names(&base),
            ["config.json", "model.safetensors"],
            "{output}"
        );
    }
    assert_eq!(
        fs_err::read(base.join("model.safetensors")).unwrap(),
        before
    );
    scratch
        .tlora(&["merge", "base", "adapter.tlora", "-o", "base/out"])
        .failed(2, &["lie in one another", "hint: "]);
}

#[test]
fn an_existing_output_is_replaced_only_by_force_and_only_if_it_is_a_checkpoint() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    scratch.done(&MERGE);
    let before = names(&scratch.path("out"));
    fs_err::write(scratch.path("out/mine.txt"), "mine").unwrap();
    scratch
        .tlora(&MERGE)
        .failed(2, &["out exists already", "hint: --force replaces it"]);
    assert!(scratch.path("out/mine.txt").exists());
    scratch.done(&[MERGE.as_slice(), &["--force"]].concat());
    assert_eq!(names(&scratch.path("out")), before);

    fs_err::create_dir(scratch.path("documents")).unwrap();
    fs_err::write(scratch.path("documents/letter.txt"), "mine").unwrap();
    let ended = scratch.tlora(&[
        "merge",
        "base",
        "adapter.tlora",
        "-o",
        "documents",
        "--force",
    ]);
    ended.failed(2, &["documents", "not a checkpoint"]);
    assert_eq!(names(&scratch.path("documents")), ["letter.txt"]);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_as_output() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    fs_err::create_dir(scratch.path("elsewhere")).unwrap();
    for target in ["elsewhere", "base", "dangling"] {
        std::os::unix::fs::symlink(target, scratch.path("out")).unwrap();
        for force in [&["--force"][..], &[]] {
            scratch
                .tlora(&[MERGE.as_slice(), force].concat())
                .failed(2, &["out"]);
        }
        fs_err::remove_file(scratch.path("out")).unwrap();
    }
    assert_eq!(
        scratch.names(),
        ["adapter.tlora", "base", "cache", "elsewhere"]
    );
    assert!(names(&scratch.path("elsewhere")).is_empty());
}
