//! Class 6: names and texts that speak to the terminal, to a CI, or to what reads the report.

use std::path::Path;

use super::{Case, many};
use crate::support::{Scratch, Tensor, names, small_base, write_checkpoint};

/// In a command of the table this word stands for the file with the name of the variant.
pub(crate) const PLACEHOLDER: &str = "HOSTILE";

/// Names without `/`, so that they can be files too.
pub(crate) const HOSTILE: [&str; 18] = [
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[1;1H",
    "\u{1b}]8;;http:example\u{1b}\\click\u{1b}]8;;\u{1b}\\",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "good\rerror: bad",
    "\u{9b}2J\u{85}",
    "\u{8}\u{8}\u{7f}",
    "abc\u{202e}tla.exe\u{2066}x",
    "a\u{61c}b\u{200b}c\u{feff}d\u{2060}e",
    "\u{e0041}\u{e0042}",
    "\u{fffe}]]><&\"'",
    "\n::error::forged",
    "::error file=a::forged",
    "  ::stop-commands::x",
    "##vso[task.complete result=Succeeded]",
    "x ##[error]forged",
    "$(touch pwned)`touch pwned`;touch pwned|%0A::error::x",
    "<script>alert(1)<|script>![x](http:y)|a|b|",
    "p\u{430}ypal-homoglyph",
];

pub(super) fn find(name: &str) -> Option<Case> {
    let make: fn(&Scratch, usize) = match name {
        "hostile_tensor" => tensor,
        "hostile_difference" => difference,
        "hostile_module" => module,
        "hostile_text" => text,
        "hostile_file" => file,
        "hostile_companion" => companion,
        _ => return None,
    };
    many(HOSTILE.len(), move |scratch, variant| {
        make(scratch, variant);
        String::new()
    })
}

/// A name in the JSON of a header.
fn in_json(name: &str) -> String {
    let json = serde_json::to_string(name).unwrap();
    json[1..json.len() - 1].to_owned()
}

/// A base with a tensor of that name.
fn tensor(scratch: &Scratch, variant: usize) {
    let mut tensors = small_base();
    tensors.push(Tensor::f32(&in_json(HOSTILE[variant]), &[1.0]));
    write_checkpoint(&scratch.path("base"), &tensors);
}

/// A base whose difference from the right one, which was here once, is a tensor of that name.
fn difference(scratch: &Scratch, variant: usize) {
    scratch.done(&["merge", "base", "adapter.tlora", "-o", "first"]);
    tensor(scratch, variant);
}

/// A base with modules of that name, and an adapter for them if there can be one.
fn module(scratch: &Scratch, variant: usize) {
    let mut tensors = small_base();
    let name = format!(
        "model.layers.0.self_attn.{}.weight",
        in_json(HOSTILE[variant])
    );
    tensors.push(Tensor::bf16(&name, &[4, 4]));
    write_checkpoint(&scratch.path("base"), &tensors);
    let targets = format!("--targets={}", HOSTILE[variant].replace(',', ""));
    let arguments = ["init", "base", "-o", "adapter.tlora", "--force", "--v=0.05"];
    let ended = scratch.tlora(&[&arguments[..], &[&targets]].concat());
    if ended.code != Some(0) {
        scratch.tlora(&[&arguments[..], &["--targets=q_proj"]].concat());
    }
}

/// An adapter with that text in all its places, or as much of it as may be there.
fn text(scratch: &Scratch, variant: usize) {
    let allowed = |letter: &char| {
        !(letter.is_control() || "\u{200b}\u{202e}\u{2060}\u{2066}\u{feff}".contains(*letter))
    };
    let allowed: String = HOSTILE[variant]
        .chars()
        .filter(allowed)
        .chain(['.'])
        .collect();
    let texts =
        ["name", "description", "licence", "base-name"].map(|key| format!("--{key}={allowed}"));
    let mut arguments = vec![
        "init",
        "base",
        "-o",
        "adapter.tlora",
        "--force",
        "--targets=q_proj",
        "--v=0.05",
    ];
    arguments.extend(texts.iter().map(String::as_str));
    scratch.done(&arguments);
}

/// The adapter under that name, damaged.
fn file(scratch: &Scratch, variant: usize) {
    let path = scratch.path(&format!("{}.tlora", HOSTILE[variant]));
    fs_err::write(path, b"{}").unwrap();
}

/// A base with a file of that name, which travels with it.
fn companion(scratch: &Scratch, variant: usize) {
    let path = format!("base/LICENSE{}", HOSTILE[variant]);
    fs_err::write(scratch.path(&path), b"x").unwrap();
    assert_eq!(names(Path::new(&scratch.path("base"))).len(), 3);
}
