//! A small run, and what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const BASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tiny-base");

/// A working directory with problems and a configuration. The problems are not of the model's kind, so the reward may say
/// nothing; the penalty of the distance to the base does, so that v moves in every step. The model is sure of its tokens: with a
/// larger rate one update moves some of their ratios below a half.
pub(crate) fn small_run() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    problems(directory.path());
    directory
}

/// Writes them into a directory.
pub(crate) fn problems(directory: &Path) {
    let problem = |i: usize| {
        let (a, b) = (i % 7, i % 5);
        format!(
            "{{\"id\": \"p{i}\", \"question\": \"{a} + {b}?\", \"answer\": \"{}\"}}\n",
            a + b
        )
    };
    let lines = |range: std::ops::Range<usize>| range.map(problem).collect::<String>();
    fs_err::write(directory.join("train.jsonl"), lines(0..23)).unwrap();
    fs_err::write(directory.join("eval.jsonl"), lines(23..29)).unwrap();
    let config = format!(
        "steps = 10\nseed = 3\n[model]\nbase = {BASE:?}\n[adapter]\nu = 4\ngroups = 3\ninit = 0.2\n\
         [data]\ntrain = \"train.jsonl\"\neval = \"eval.jsonl\"\n\
         [rollout]\nprompts_per_step = 4\nsamples_per_prompt = 3\nmax_new_tokens = 9\nslots = 5\n\
         [reward]\nverifier = {{ kind = \"number\", mode = \"lenient\" }}\n[loss]\nbeta = 0.1\n\
         [optimizer]\nlr = 1e-3\n[update]\nmicro_batch_tokens = 64\nupdates_per_step = 2\n\
         [evaluation]\nevery = 4\nsamples = 2\n[checkpoint]\nevery = 2\nkeep = 2\n"
    );
    fs_err::write(directory.join("run.toml"), config).unwrap();
}

pub(crate) fn train(at: &Path, arguments: &[&str]) -> Command {
    command(at, "train", arguments)
}

/// A command that computes, quietly, with the cache of the directory.
pub(crate) fn command(at: &Path, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tlora"));
    command
        .arg(name)
        .args(arguments)
        .args(["--cache-dir", "cache", "--quiet"])
        .current_dir(at)
        // No GPU, whatever the machine has: bytes are compared.
        .env("CUDA_VISIBLE_DEVICES", "")
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(at: &Path, arguments: &[&str]) -> Output {
    train(at, arguments).output().unwrap()
}

pub(crate) fn succeed(at: &Path, arguments: &[&str]) {
    let output = run(at, arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// All files but the times.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs_err::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().unwrap() != "timing.jsonl" {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

/// Without the lengths of timing.jsonl, which a state has too.
fn comparable(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(directory);
    // The page says how long it took, TensorBoard's events have times, and a file that was being written when the run was killed
    // keeps its temporary name.
    files.retain(|name, _| {
        let text = name.to_string_lossy();
        !name.ends_with("state.json")
            && !name.ends_with("report.html")
            && !text.contains("tensorboard")
            && !text.contains("/.tmp")
            && !text.starts_with(".tmp")
    });
    files
}

pub(crate) fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (comparable(a), comparable(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{} differs", name.display());
    }
}

/// The lines of a log.
pub(crate) fn log(run: &Path, name: &str) -> Vec<serde_json::Value> {
    let text = fs_err::read_to_string(run.join(name)).unwrap();
    let line = |line| serde_json::from_str(line).unwrap();
    text.lines().map(line).collect()
}
