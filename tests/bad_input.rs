//! Everything that can be wrong with the input: the exit code of the README's table, what the message says, and that
//! nothing is left behind.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{Scratch, Tensor, safetensors, small_base, with_header, write_checkpoint};

const MERGE: [&str; 5] = ["merge", "base", "adapter.tlora", "-o", "out"];

/// What a scratch directory has after a merge that did not come about.
const UNTOUCHED: [&str; 3] = ["adapter.tlora", "base", "cache"];

#[test]
fn missing_base() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let ended = scratch.tlora(&["merge", "./nowhere", "adapter.tlora", "-o", "out"]);
    ended.failed(2, &["error: no directory ./nowhere"]);
    assert_eq!(scratch.names(), UNTOUCHED);
}

#[test]
fn a_directory_without_weights() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    fs_err::create_dir(scratch.path("empty")).unwrap();
    let ended = scratch.tlora(&["merge", "empty", "adapter.tlora", "-o", "out"]);
    ended.failed(
        2,
        &[
            "error: empty is not a checkpoint",
            "neither model.safetensors nor",
        ],
    );
}

#[test]
fn another_base_is_refused_with_both_digests() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    let expected = scratch.done(&["digest", "base"]).stdout;
    let mut other = small_base();
    other[1].bytes[0] ^= 1;
    write_checkpoint(&base, &other);
    let found = scratch.done(&["digest", "base"]).stdout;
    let ended = scratch.tlora(&["merge", "base", "adapter.tlora", "-o", "out", "--no-cache"]);
    ended.failed(
        1,
        &[
            "error: adapter.tlora was made for another base model",
            &format!("base digest in the adapter   {}", expected.trim()),
            &format!("base digest of base          {}", found.trim()),
            "hint: `tlora inspect adapter.tlora`",
        ],
    );
    assert_eq!(scratch.names(), UNTOUCHED);
}

#[test]
fn tensors_that_differ_are_named_if_the_right_base_was_here_once() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    let mut other = small_base();
    other[0] = Tensor::bf16("model.embed_tokens.weight", &[6, 6]);
    other[2].bytes[3] ^= 0x10;
    other[3] = Tensor::bf16("model.norm.weight", &[6]);
    other.push(Tensor::f32("extra", &[1.0]));
    write_checkpoint(&base, &other);
    scratch.tlora(&MERGE).failed(
        1,
        &[
            "another base model",
            "tensors that differ",
            "extra                                    F32 [1], not in the adapter's base",
            "model.embed_tokens.weight                BF16 [6, 6], expected BF16 [5, 6]",
            "model.layers.1.self_attn.q_proj.weight   BF16 [8, 6], other values",
            "model.norm.weight                        BF16 [6], expected F32 [6]",
        ],
    );
    assert_eq!(scratch.names(), UNTOUCHED);
}

#[test]
fn a_tied_head_that_was_added_is_recognised() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    let mut other = small_base();
    let head = Tensor {
        name: "lm_head.weight".to_owned(),
        ..other[0].clone()
    };
    other.push(head);
    write_checkpoint(&base, &other);
    let ended = scratch.tlora(&["merge", "base", "adapter.tlora", "-o", "out", "--no-cache"]);
    ended.failed(
        1,
        &[
            "another base model",
            "only difference",
            "base stores lm_head.weight",
            "the weights are the same",
        ],
    );
}

#[test]
fn a_base_without_the_modules_is_another_base() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    let mut other = small_base();
    other.remove(2);
    write_checkpoint(&base, &other);
    scratch.tlora(&MERGE).failed(
        1,
        &[
            "another base model",
            "tmd1:",
            "the adapter has 2 modules, the checkpoint 1",
        ],
    );
    assert_eq!(scratch.names(), UNTOUCHED);
}

#[test]
fn broken_checkpoints() {
    let q = r#""q_proj.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    let entry = |name: &str, begin: usize, end: usize| {
        format!(
            r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{begin},{end}]}}"#,
            (end - begin) / 4
        )
    };
    let whole = safetensors(&small_base());
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("truncated shard", whole[..whole.len() - 1].to_vec(), "C7"),
        ("truncated header", whole[..40].to_vec(), "C1"),
        ("empty file", Vec::new(), "C1"),
        (
            "duplicate keys",
            with_header(&format!("{{{q},{q}}}"), &[0; 8]),
            "C3",
        ),
        (
            "overlap",
            with_header(&format!("{{{q},{}}}", entry("b", 4, 12)), &[0; 12]),
            "C7",
        ),
        (
            "gap",
            with_header(&format!("{{{q},{}}}", entry("b", 12, 16)), &[0; 16]),
            "C7",
        ),
        ("trailing bytes", [whole.as_slice(), &[0]].concat(), "C7"),
        ("no JSON", with_header("{\"a\":", &[]), "C2"),
    ];
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    for (case, bytes, rule) in cases {
        fs_err::write(base.join("model.safetensors"), bytes).unwrap();
        let ended = scratch.tlora(&MERGE);
        println!("{case}: {}", ended.stderr);
        ended.failed(
            1,
            &[
                "error: base is not a valid checkpoint",
                "model.safetensors",
                rule,
            ],
        );
        scratch.tlora(&["digest", "base"]).failed(1, &[rule]);
        assert_eq!(scratch.names(), UNTOUCHED, "{case}");
    }
}

#[test]
fn an_index_that_points_outside_or_contradicts_the_shards() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    fs_err::write(
        scratch.path("outside.safetensors"),
        safetensors(&small_base()),
    )
    .unwrap();
    let index = |shard: &str| {
        format!(r#"{{"metadata":{{}},"weight_map":{{"model.norm.weight":"{shard}"}}}}"#)
    };
    let cases = [
        ("../outside.safetensors", "not the name of a file"),
        ("model.safetensors", "does not place there"),
    ];
    for (shard, part) in cases {
        fs_err::write(base.join("model.safetensors.index.json"), index(shard)).unwrap();
        scratch
            .tlora(&MERGE)
            .failed(1, &["error: base is not a valid checkpoint", part]);
    }
}

#[cfg(unix)]
#[test]
fn a_shard_that_is_a_link_to_outside() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    fs_err::rename(
        base.join("model.safetensors"),
        scratch.path("outside.safetensors"),
    )
    .unwrap();
    std::os::unix::fs::symlink("../outside.safetensors", base.join("model.safetensors")).unwrap();
    scratch.tlora(&MERGE).failed(
        1,
        &[
            "error: base is not a valid checkpoint",
            "outside the checkpoint",
        ],
    );
}

#[test]
fn a_quantised_base() {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    fs_err::write(
        base.join("config.json"),
        r#"{"quantization_config": {"quant_method": "gptq"}}"#,
    )
    .unwrap();
    scratch
        .tlora(&MERGE)
        .failed(1, &["error: base is quantised", "GPTQ", "hint: "]);
}

#[test]
fn a_weight_that_is_not_a_number_in_an_adapted_module() {
    let scratch = Scratch::new();
    let mut tensors = small_base();
    // Row 3 of 6 columns of two bytes; the bf16 NaN is 0x7fc0.
    tensors[2].bytes[36..38].copy_from_slice(&[0xc0, 0x7f]);
    write_checkpoint(&scratch.path("base"), &tensors);
    let ended = scratch.tlora(&["init", "base", "-o", "adapter.tlora", "--targets", "q_proj"]);
    ended.failed(
        1,
        &[
            "weights that are not numbers",
            "model.layers.1.self_attn.q_proj",
            "row 3",
        ],
    );
    assert!(!scratch.path("adapter.tlora").exists());
}

#[test]
fn a_weight_that_is_not_a_number_elsewhere_is_copied_as_it_is() {
    let scratch = Scratch::new();
    let mut tensors = small_base();
    tensors[0].bytes[..2].copy_from_slice(&[0xc1, 0x7f]);
    write_checkpoint(&scratch.path("base"), &tensors);
    scratch.init_adapter();
    scratch.done(&MERGE);
    let merged = fs_err::read(scratch.path("out/model.safetensors")).unwrap();
    assert!(merged.windows(60).any(|window| window == tensors[0].bytes));
}

#[test]
fn malformed_adapters() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let whole = fs_err::read(scratch.path("adapter.tlora")).unwrap();
    let mut flipped = whole.clone();
    flipped[90] ^= 1;
    let cases = [
        (Vec::new(), "R2 (truncated)"),
        (b"{\"v\": [0.1]}".to_vec(), "R1 (magic)"),
        (whole[..60].to_vec(), "R2 (truncated)"),
        (whole[..whole.len() - 1].to_vec(), "R4 (checksum)"),
        (flipped, "R4 (checksum)"),
    ];
    for (bytes, rule) in cases {
        fs_err::write(scratch.path("bad.tlora"), bytes).unwrap();
        let parts = ["error: bad.tlora is not a valid adapter", rule];
        scratch.tlora(&["inspect", "bad.tlora"]).failed(1, &parts);
        scratch
            .tlora(&["merge", "base", "bad.tlora", "-o", "out"])
            .failed(1, &parts);
        assert!(!scratch.path("out").exists());
    }
    scratch
        .tlora(&["inspect", "nowhere.tlora"])
        .failed(2, &["error: nowhere.tlora cannot be read"]);
}

#[test]
fn text_of_a_file_cannot_forge_the_terminal() {
    let scratch = Scratch::new();
    // As the JSON of the header writes an escape character.
    let name = "a\\u001b[2J";
    write_checkpoint(&scratch.path("base"), &[Tensor::f32(name, &[1.0])]);
    let ended = scratch.tlora(&["digest", "base"]);
    ended.failed(1, &["C8"]);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn wrong_usage() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    let init = |more: &[&str]| {
        let first = ["init", "base", "-o", "new.tlora", "--targets", "q_proj"];
        let ended = scratch.tlora(&[&first, more].concat());
        assert!(!scratch.path("new.tlora").exists());
        ended
    };
    init(&["--n-tie", "2", "--groups", "2"]).failed(2, &["cannot be used with"]);
    init(&["--rank", "65"]).failed(2, &["65"]);
    init(&["--v", "1,2"]).failed(2, &["trained numbers", "found 2"]);
    init(&["--v", "inf"]).failed(2, &["finite"]);
    init(&["--sharing", "structured"]).failed(2, &["these options do not make an adapter", "R12"]);
    init(&["--scale", "0"]).failed(2, &["R13"]);
    let nowhere = scratch.tlora(&["init", "base", "-o", "nowhere/new.tlora"]);
    nowhere.failed(2, &["error: no directory nowhere"]);
    scratch
        .tlora(&["merge", "base", "-o", "out"])
        .failed(2, &["<ADAPTER>"]);
    scratch
        .tlora(&["init", "base", "-o", "adapter.tlora"])
        .failed(2, &["adapter.tlora exists already", "--force"]);
    scratch
        .tlora(&["init", "base", "-o", "new.tlora", "--targets", "k_proj"])
        .failed(1, &["k_proj", "q_proj"]);
}
