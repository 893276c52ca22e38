//! Which files travel to a merged checkpoint.

use tlora_checkpoint::{LeftOut, companion_files};

use crate::model::{Model, tensors, two};

fn model(names: &[&str]) -> Model {
    let model = Model::of(&two());
    for name in names {
        model.write(name, b"{}");
    }
    model
}

#[test]
fn configuration_tokenizer_and_licence_travel() {
    let names = [
        "LICENSE",
        "NOTICE.txt",
        "added_tokens.json",
        "chat_template.jinja",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "qwen.tiktoken",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
    ];
    let companions = companion_files(&model(&names).open()).expect("a readable directory");
    let copied: Vec<_> = companions
        .copied
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(copied, names);
    assert_eq!(companions.left_out, []);
    assert!(!companions.needs_remote_code);
}

#[test]
fn code_pickles_and_other_weights_stay_behind() {
    let names = [
        ("README.md", LeftOut::DescribesBase),
        ("consolidated.safetensors", LeftOut::OtherWeights),
        ("modeling_x.py", LeftOut::Code),
        ("notes.txt", LeftOut::NotNeeded),
        ("optimizer.pt", LeftOut::Code),
        ("pytorch_model.bin", LeftOut::Code),
        ("tokenizer.py", LeftOut::Code),
        ("vocab.pkl", LeftOut::Code),
    ];
    let model = model(&names.map(|(name, _)| name));
    let companions = companion_files(&model.open()).expect("a readable directory");
    assert_eq!(companions.copied, []);
    assert_eq!(
        companions.left_out,
        names.map(|(name, reason)| (name.to_owned(), reason))
    );
}

#[test]
fn the_weights_are_not_companions_even_of_an_index() {
    let index = br#"{"weight_map":{"b.weight":"LICENSE.safetensors","a":"LICENSE.safetensors"}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("model.safetensors.index.json", index),
        ("LICENSE.safetensors", &tensors(&two())),
        ("model.safetensors", b"an old one"),
    ];
    let companions = companion_files(&Model::with(&files).open()).expect("a readable directory");
    assert_eq!(companions.copied, []);
    assert_eq!(
        companions.left_out,
        [("model.safetensors".to_owned(), LeftOut::OtherWeights)]
    );
}

#[test]
fn auto_map_is_reported() {
    let model = Model::of(&two());
    model.write(
        "config.json",
        br#"{"auto_map":{"AutoModel":"modeling_x.X"}}"#,
    );
    assert!(
        companion_files(&model.open())
            .expect("a readable directory")
            .needs_remote_code
    );
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_elsewhere_is_not_copied() {
    let elsewhere = Model::with(&[("secret", b"x")]);
    let model = Model::of(&two());
    std::os::unix::fs::symlink(elsewhere.file("secret"), model.file("tokenizer.json"))
        .expect("a link");
    fs_err::create_dir_all(model.file("LICENSES")).expect("a directory");
    let companions = companion_files(&model.open()).expect("a readable directory");
    let wanted = ["LICENSES", "tokenizer.json"].map(|name| (name.to_owned(), LeftOut::NotAFile));
    assert_eq!(
        (companions.copied.len(), companions.left_out),
        (0, wanted.to_vec())
    );
}
