//! Headers that the vectors do not cover: limits, hostile sizes, and what a tensor is read as.

use tlora_checkpoint::{CheckpointError, Dtype};

use crate::model::{Model, file, message, two};

fn rule(bytes: &[u8]) -> String {
    match Model::with(&[("model.safetensors", bytes)]).try_open() {
        Err(CheckpointError::Header { fault, .. }) => fault.rule().0.to_owned(),
        Err(error) => message(&error),
        Ok(_) => "ok".to_owned(),
    }
}

fn rule_of_header(header: &str, data: &[u8]) -> String {
    rule(&file(header, data))
}

fn entry(fields: &str) -> String {
    format!(r#"{{"a":{{{fields}}}}}"#)
}

#[test]
fn lists_tensors_by_name_with_absolute_offsets() {
    let checkpoint = Model::of(&two()).open();
    let names: Vec<_> = checkpoint.tensors().keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "b.weight"]);
    let a = &checkpoint.tensors()["a"];
    let header = r#"{"b.weight":{"dtype":"BF16","shape":[2, 3],"data_offsets":[0,12]},"#.len()
        + r#""a":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}"#.len();
    assert_eq!(
        (a.dtype, a.shape.as_slice(), a.bytes),
        (Dtype::F32, &[2][..], 8)
    );
    assert_eq!(a.offset, 8 + header as u64 + 12);
    let mut bytes = [0; 3];
    checkpoint
        .read_at(a, 5, &mut bytes)
        .expect("the last bytes of the tensor");
    assert_eq!(bytes, [105, 106, 107]);
}

#[test]
fn does_not_read_past_a_tensor() {
    let checkpoint = Model::of(&two()).open();
    let a = &checkpoint.tensors()["a"];
    for offset in [6, u64::MAX] {
        let error = checkpoint
            .read_at(a, offset, &mut [0; 3])
            .expect_err("8 bytes");
        assert!(
            matches!(error, CheckpointError::PastTensor { .. }),
            "{error}"
        );
    }
}

#[test]
fn every_truncation_is_an_error() {
    let whole = crate::model::tensors(&two());
    for len in 0..whole.len() {
        let wanted = if len < whole.len() - 20 { "C1" } else { "C7" };
        assert_eq!(rule(&whole[..len]), wanted, "{len} bytes");
    }
}

#[test]
fn a_header_length_of_all_ones_is_no_allocation() {
    assert_eq!(rule(&[0xFF; 16]), "C1");
    assert_eq!(
        rule(&[&100_000_001_u64.to_le_bytes()[..], b"{}"].concat()),
        "C1"
    );
}

#[test]
fn a_repeated_key_is_seen_through_its_escapes() {
    let fields = r#"{"dtype":"U8","shape":[],"data_offsets":[0,1]}"#;
    assert_eq!(
        rule_of_header(&format!(r#"{{"a":{fields},"\u0061":{fields}}}"#), &[0]),
        "C3"
    );
    assert_eq!(
        rule_of_header(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]),
        "C3"
    );
    assert_eq!(
        rule_of_header(r#"{"__metadata__":{"k":"1","\u006b":"2"}}"#, &[]),
        "C3"
    );
}

#[test]
fn a_lone_surrogate_is_no_name() {
    assert_eq!(
        rule_of_header(
            r#"{"\ud800":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#,
            &[0]
        ),
        "C2"
    );
}

#[test]
fn bad_json_after_a_bad_entry_is_bad_json() {
    assert_eq!(rule_of_header(r#"{"a":1,"b"}"#, &[]), "C2");
}

#[test]
fn other_white_space_is_no_padding() {
    assert_eq!(rule_of_header("{}   ", &[]), "ok");
    for header in ["{}\n", "{} \0", " {}", "\u{feff}{}", "{}{}", ""] {
        assert_eq!(rule_of_header(header, &[]), "C2", "{header:?}");
    }
}

#[test]
fn numbers_are_plain_unsigned_integers() {
    for shape in [
        "[1.0]",
        "[-1]",
        "[-0]",
        "[1e0]",
        "[\"1\"]",
        "[null]",
        "[true]",
        "[[1]]",
        "1",
        "{}",
        "[18446744073709551616]",
    ] {
        let header = entry(&format!(
            r#""dtype":"U8","shape":{shape},"data_offsets":[0,1]"#
        ));
        assert_eq!(rule_of_header(&header, &[0]), "C4", "{shape}");
    }
}

#[test]
fn an_entry_has_its_three_fields_and_no_other() {
    for fields in [
        r#""dtype":"U8","shape":[1]"#,
        r#""dtype":"U8","shape":[1],"data_offsets":[0]"#,
        r#""dtype":"U8","shape":[1],"data_offsets":[0,1,1]"#,
        r#""dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0"#,
        r#""dtype":8,"shape":[1],"data_offsets":[0,1]"#,
    ] {
        assert_eq!(rule_of_header(&entry(fields), &[0]), "C4", "{fields}");
    }
}

#[test]
fn sizes_are_checked_without_overflow_in_any_order() {
    let huge = 1_u64 << 62;
    for shape in [
        format!("[0,{huge},{huge}]"),
        format!("[{huge},{huge},0]"),
        format!("[{huge},4]"),
    ] {
        let header = entry(&format!(
            r#""dtype":"F32","shape":{shape},"data_offsets":[0,0]"#
        ));
        assert_eq!(rule_of_header(&header, &[]), "C6", "{shape}");
    }
    for (shape, wanted) in [
        ("[0,4]", "ok"),
        ("[1,1,1,1,1,1,1,0]", "ok"),
        ("[1,1,1,1,1,1,1,1,0]", "C6"),
    ] {
        let header = entry(&format!(
            r#""dtype":"F32","shape":{shape},"data_offsets":[0,0]"#
        ));
        assert_eq!(rule_of_header(&header, &[]), wanted, "{shape}");
    }
}

#[test]
fn offsets_at_the_end_of_the_number_range_do_not_overflow() {
    let last = u64::MAX;
    let header = entry(&format!(
        r#""dtype":"U8","shape":[],"data_offsets":[{},{last}]"#,
        last - 1
    ));
    assert_eq!(rule_of_header(&header, &[0]), "C7");
    let header = entry(&format!(
        r#""dtype":"U8","shape":[{last}],"data_offsets":[0,{last}]"#
    ));
    assert_eq!(rule_of_header(&header, &[0]), "C7");
    let header = entry(r#""dtype":"U8","shape":[1],"data_offsets":[1,0]"#);
    assert_eq!(rule_of_header(&header, &[0]), "C6");
}

#[test]
fn deep_nesting_ends_in_an_error() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(rule_of_header(&format!(r#"{{"a":{deep}}}"#), &[]), "C2");
    assert_eq!(
        rule_of_header(&format!(r#"{{"a":1,"b":{deep}}}"#), &[]),
        "C2"
    );
}

#[test]
fn names_have_up_to_512_bytes() {
    let header =
        |name: &str| format!(r#"{{"{name}":{{"dtype":"U8","shape":[],"data_offsets":[0,1]}}}}"#);
    assert_eq!(rule_of_header(&header(&"x".repeat(512)), &[0]), "ok");
    for name in [
        "x".repeat(513),
        "é".repeat(257),
        String::new(),
        r"\u0007".into(),
        "\u{7f}".into(),
        "\u{9b}".into(),
    ] {
        assert_eq!(rule_of_header(&header(&name), &[0]), "C8", "{name:?}");
    }
}

#[test]
fn an_error_names_the_file_the_tensor_and_the_rule() {
    let model = Model::with(&[(
        "model.safetensors",
        &file(
            &entry(r#""dtype":"F4","shape":[],"data_offsets":[0,1]"#),
            &[0],
        ),
    )]);
    let error = message(&model.try_open().expect_err("no such dtype"));
    let path = model.file("model.safetensors");
    assert_eq!(
        error,
        format!(
            r#"{} is not a valid safetensors file: C5: tensor "a" has the unknown dtype "F4""#,
            path.display()
        )
    );
}
