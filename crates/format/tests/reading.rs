//! Reading from files and streams, base digests as text, and layouts for people.
#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]

use std::io;

use tlora_format::{
    Adapter, BaseDigest, ParseError, ReadError, SeedRule, TextKey, layout, size_limit,
};

mod common;
use common::arbitrary::paper_fields;

fn paper_bytes() -> Vec<u8> {
    Adapter::new(paper_fields()).expect("valid").to_bytes()
}

/// The paper's header with another u, G, and kinds of basis and projection.
fn limit(u: u16, groups: u32, basis: u8, projection: u8) -> u64 {
    let mut header = paper_bytes();
    header[14] = basis;
    header[16] = projection;
    header[22..24].copy_from_slice(&u.to_le_bytes());
    header[28..32].copy_from_slice(&groups.to_le_bytes());
    size_limit(&header[..88]).expect("magic and version are right")
}

#[test]
fn the_size_limit_follows_from_the_header() {
    assert_eq!(limit(1, 13, 0, 0), 65_536 + 13 * 2);
    assert_eq!(limit(3, 100, 1, 2), 65_536 + 300 * 2);
    let section = 5 + u64::from(u32::MAX);
    assert_eq!(limit(1, 1, 2, 0), 65_536 + 2 + section);
    assert_eq!(limit(1, 1, 2, 3), 65_536 + 2 + 2 * section);
}

#[test]
fn counts_beyond_the_format_do_not_raise_the_size_limit() {
    assert_eq!(limit(u16::MAX, u32::MAX, 0, 0), 65_536 + (1 << 24) * 2);
}

#[test]
fn the_size_limit_needs_a_header_of_this_format() {
    let bytes = paper_bytes();
    assert!(matches!(
        size_limit(&bytes[..87]),
        Err(ParseError::TooShort { found: 87 })
    ));
    assert!(matches!(
        size_limit(b"PK\x03\x04"),
        Err(ParseError::Magic { .. })
    ));
    let mut newer = bytes;
    newer[8] = 2;
    assert!(matches!(
        size_limit(&newer),
        Err(ParseError::Version { major: 2, minor: 0 })
    ));
}

/// Counts what is read from it; never ends.
struct Endless {
    start: Vec<u8>,
    read: usize,
}

impl io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buffer {
            *byte = self.start.get(self.read).copied().unwrap_or(0);
            self.read += 1;
        }
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_file_is_refused_after_its_size_limit() {
    let mut reader = Endless {
        start: paper_bytes(),
        read: 0,
    };
    let error = Adapter::read_from(&mut reader).expect_err("it never ends");
    assert!(
        matches!(error, ReadError::Parse(ParseError::Size { .. })),
        "{error}"
    );
    assert!(
        reader.read <= 65_536 + 26 + 1,
        "{} bytes were read",
        reader.read
    );
}

#[test]
fn another_kind_of_file_is_refused_after_its_first_bytes() {
    let mut reader = Endless {
        start: b"GGUF".to_vec(),
        read: 0,
    };
    let error = Adapter::read_from(&mut reader).expect_err("it is no adapter");
    assert!(
        matches!(error, ReadError::Parse(ParseError::Magic { .. })),
        "{error}"
    );
    // As many as the shortest adapter has.
    assert!(reader.read <= 98);
}

#[test]
fn a_short_file_has_the_error_of_parse() {
    for length in [0, 5, 60, 97] {
        let bytes = &paper_bytes()[..length];
        let error = Adapter::read_from(bytes).expect_err("it is too short");
        assert!(
            matches!(error, ReadError::Parse(ParseError::TooShort { found }) if found == length),
            "{error}"
        );
    }
}

#[test]
fn a_base_digest_is_shown_and_read_in_one_form() {
    let digest = BaseDigest([0xAB; 32]);
    let text = format!("tmd1:{}", "ab".repeat(32));
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse(), Ok(digest));
    for wrong in [
        &text[5..],
        &text[..68],
        &format!("{text}0"),
        &text.to_uppercase(),
        &text.replace('b', "g"),
        "",
    ] {
        assert!(wrong.parse::<BaseDigest>().is_err(), "{wrong}");
    }
}

#[test]
fn the_layout_says_what_the_bytes_are() {
    let fields = layout(&paper_bytes()).expect("valid");
    let meaning = |name: &str| {
        fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.meaning.as_str())
    };
    assert_eq!(meaning("precision of v"), Some("bf16"));
    assert_eq!(meaning("number of modules"), Some("196"));
    assert_eq!(meaning("projection seed"), Some("42"));
    assert_eq!(meaning("projection rounding"), Some("not used"));
    assert_eq!(
        meaning("target set"),
        Some("q_proj k_proj v_proj o_proj gate_proj up_proj down_proj")
    );
    assert_eq!(meaning("sigma side"), Some("left"));
    assert_eq!(meaning("v of group 12"), Some("0.0078125"));
    assert_eq!(
        fields.last().map(|field| (field.offset, field.length)),
        Some((114, 8))
    );
}

#[test]
fn variants_are_shown_by_the_words_of_the_specification() {
    let adapter = Adapter::new(paper_fields()).expect("valid");
    let words = [
        adapter.precision.to_string(),
        adapter.sigma_side.to_string(),
        adapter.basis_rounding.to_string(),
        adapter.basis.to_string(),
        adapter.projection.to_string(),
        adapter.tying.to_string(),
    ];
    assert_eq!(words, ["bf16", "left", "none", "exact", "native", "tiled"]);
    assert_eq!(TextKey::TrainingSummary.to_string(), "training summary");
    assert_eq!(SeedRule::Shared.to_string(), "one seed for all");
}
