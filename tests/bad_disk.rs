//! What can happen to a merge from outside: no place to write, a disk that fills up, a base that changes, a kill at any
//! moment. The output is there whole or not at all.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Ended, Scratch, Tensor, names, write_checkpoint};

const MERGE: [&str; 5] = ["merge", "base", "adapter.tlora", "-o", "out"];

/// A base of some ten megabytes, so that there is time to interfere, and an adapter for it.
fn larger_base(scratch: &Scratch) -> PathBuf {
    let base = scratch.path("base");
    let embedding = Tensor {
        dtype: "BF16",
        ..Tensor::bf16("model.embed_tokens.weight", &[16, 1])
    };
    let bytes = embedding.bytes.repeat(1 << 19);
    let embedding = Tensor {
        shape: vec![1 << 13, 1 << 10],
        bytes,
        ..embedding
    };
    let q_proj = |layer: usize| {
        Tensor::bf16(
            &format!("model.layers.{layer}.self_attn.q_proj.weight"),
            &[1024, 1024],
        )
    };
    let tensors: Vec<_> = [embedding].into_iter().chain((0..8).map(q_proj)).collect();
    write_checkpoint(&base, &tensors);
    scratch.init_adapter();
    base
}

#[test]
fn a_parent_that_cannot_hold_a_directory() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    for output in ["adapter.tlora/out", "nowhere/out", "/proc/out"] {
        let ended = scratch.tlora(&["merge", "base", "adapter.tlora", "-o", output]);
        ended.failed(2, &["error: ", output.rsplit_once('/').unwrap().0]);
    }
    assert_eq!(scratch.names(), ["adapter.tlora", "base", "cache"]);
}

#[test]
fn a_full_disk_under_the_output() {
    let scratch = Scratch::new();
    larger_base(&scratch);
    // A limit on the size of files stands for the full disk: writes fail in the middle of the first shard.
    let script = r#"trap "" XFSZ; ulimit -f 2000; exec "$0" "$@""#;
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_tlora")])
        .args(MERGE);
    command
        .current_dir(scratch.path(""))
        .env("TLORA_CACHE", scratch.path("cache"));
    Ended::of(&command.output().unwrap())
        .failed(2, &["error: ", "model.safetensors", "File too large"]);
    assert_eq!(scratch.names(), ["adapter.tlora", "base", "cache"]);
}

#[test]
fn a_full_disk_under_stdout_is_an_error_and_a_closed_pipe_is_not() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let full = fs_err::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into_parts()
        .0;
    let output = scratch
        .command(&["digest", "base"])
        .stdout(full)
        .output()
        .unwrap();
    Ended::of(&output).failed(2, &["cannot write to stdout"]);

    let mut child = scratch
        .command(&["inspect", "adapter.tlora"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Runs a merge and does something to the base as soon as the merge has opened it.
fn merge_while(scratch: &Scratch, interfere: impl FnOnce()) -> Ended {
    let mut command = scratch.command(&[&MERGE[..], &["--no-cache"]].concat());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The temporary directory appears after the base was opened, and long before it is read to its end.
    while !scratch.names().iter().any(|name| name.contains("partial")) {
        std::thread::sleep(Duration::from_millis(1));
    }
    interfere();
    Ended::of(&child.wait_with_output().unwrap())
}

#[test]
fn a_base_that_is_written_to_meanwhile() {
    let scratch = Scratch::new();
    let file = larger_base(&scratch).join("model.safetensors");
    let ended = merge_while(&scratch, || {
        let mut file = fs_err::OpenOptions::new().write(true).open(&file).unwrap();
        file.seek(SeekFrom::End(-1)).unwrap();
        file.write_all(&[7]).unwrap();
    });
    ended.failed(
        2,
        &[
            "error: base changed while it was read",
            "model.safetensors",
            "nothing was written",
        ],
    );
    assert_eq!(scratch.names(), ["adapter.tlora", "base", "cache"]);
}

#[test]
fn a_base_that_is_truncated_meanwhile() {
    let scratch = Scratch::new();
    let file = larger_base(&scratch).join("model.safetensors");
    let ended = merge_while(&scratch, || {
        fs_err::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(1000)
            .unwrap();
    });
    ended.failed(
        2,
        &["error: base changed while it was read", "model.safetensors"],
    );
    assert_eq!(scratch.names(), ["adapter.tlora", "base", "cache"]);
}

/// Kills a merge after `delay`; whether it was still running.
fn kill_after(scratch: &Scratch, arguments: &[&str], delay: Duration) -> bool {
    let mut child = scratch
        .command(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn whole(directory: &Path) -> Vec<(String, Vec<u8>)> {
    names(directory)
        .into_iter()
        .map(|name| (name.clone(), fs_err::read(directory.join(name)).unwrap()))
        .collect()
}

#[test]
fn a_kill_leaves_nothing_or_the_whole() {
    let scratch = Scratch::new();
    larger_base(&scratch);
    let started = Instant::now();
    scratch.done(&[
        "merge",
        "base",
        "adapter.tlora",
        "-o",
        "expected",
        "--no-cache",
    ]);
    let time = started.elapsed();
    let expected = whole(&scratch.path("expected"));
    let mut killed = 0;
    let mut seed = 0x2602_0411_u32;
    for _ in 0..50 {
        // Somewhere in a merge, or right after it.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let delay = time.mul_f64(1.1 * f64::from(seed) / f64::from(u32::MAX));
        killed += usize::from(kill_after(
            &scratch,
            &[&MERGE[..], &["--no-cache"]].concat(),
            delay,
        ));
        if scratch.path("out").exists() {
            assert!(
                whole(&scratch.path("out")) == expected,
                "killed after {delay:?}"
            );
            fs_err::remove_dir_all(scratch.path("out")).unwrap();
        }
    }
    assert!(
        killed >= 10,
        "the base is too small for this test: only {killed} runs were killed"
    );
    // What is left of the killed runs is in nobody's way.
    scratch.done(&MERGE);
    assert!(whole(&scratch.path("out")) == expected);
}

#[test]
fn a_kill_while_replacing_leaves_the_old_or_the_new() {
    let scratch = Scratch::new();
    larger_base(&scratch);
    scratch.done(&MERGE);
    let old = whole(&scratch.path("out"));
    scratch.done(&[
        "init",
        "base",
        "-o",
        "second.tlora",
        "--targets",
        "q_proj",
        "--v",
        "-0.1",
    ]);
    scratch.done(&["merge", "base", "second.tlora", "-o", "expected"]);
    let new = whole(&scratch.path("expected"));
    for step in 0..24 {
        kill_after(
            &scratch,
            &["merge", "base", "second.tlora", "-o", "out", "--force"],
            Duration::from_millis(step * 3),
        );
        // The two are exchanged in one step where the system can, so that one of them always stands there.
        if cfg!(target_os = "linux") || scratch.path("out").exists() {
            let found = whole(&scratch.path("out"));
            assert!(found == old || found == new, "killed after step {step}");
        }
    }
}
