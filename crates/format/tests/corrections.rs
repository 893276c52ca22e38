//! Corrections of a rounded basis: their bytes, and what is refused (spec §4.6, R35). The bytes were encoded by hand.
#![expect(clippy::expect_used, reason = "a test that cannot go on stops")]

use tlora_format::{
    Adapter, Correction, Corrections, FailureClass, InvalidAdapter, ParseError, Rounding, SigmaSide,
};

mod common;
use common::arbitrary::paper_fields;
use common::with_checksum;

fn corrections(list: &[(u64, i64)]) -> Result<Corrections, InvalidAdapter> {
    Corrections::new(
        list.iter()
            .map(|&(entry, steps)| Correction { entry, steps }),
    )
}

/// An adapter with a rounded basis.
fn adapter(list: &[(u64, i64)]) -> Adapter {
    let mut fields = paper_fields();
    fields.sigma_side = SigmaSide::Split;
    fields.basis_rounding = Rounding::Bf16;
    fields.corrections = corrections(list).expect("ascending");
    Adapter::new(fields).expect("valid")
}

/// A file with this content of the corrections section.
fn file(content: &[u8]) -> Vec<u8> {
    let mut bytes = adapter(&[]).to_bytes();
    bytes.truncate(bytes.len() - 8);
    bytes[21] = 1;
    bytes.push(10);
    bytes.extend(u32::try_from(content.len()).expect("short").to_le_bytes());
    bytes.extend(content);
    bytes.extend([0; 8]);
    with_checksum(bytes)
}

/// Entries and their steps.
type List = &'static [(u64, i64)];

/// Content, and the list that it says.
const PAIRS: [(&[u8], List); 8] = [
    (&[2], &[(0, 1)]),
    (&[3], &[(0, -1)]),
    (&[2, 0, 0], &[(0, 3)]),
    (&[3, 1], &[(0, -2)]),
    (&[2, 3], &[(0, 1), (1, -1)]),
    (&[0x80, 0x01], &[(63, 1)]),
    (&[0xFF, 0x01, 0x07], &[(126, -1), (129, -1)]),
    // 2⁶⁴ − 2 moves by 2⁶³ − 1 and so reaches entry 2⁶³ − 2.
    (
        &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[((1 << 63) - 2, 1)],
    ),
];

#[test]
fn corrections_have_the_bytes_of_the_specification() {
    for (content, list) in PAIRS {
        let found = Adapter::parse(&file(content)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found, adapter(list), "{content:?}");
        let read: Vec<_> = found
            .corrections
            .iter()
            .map(|correction| (correction.entry, correction.steps))
            .collect();
        assert_eq!(read, list);
        assert_eq!(adapter(list).to_bytes(), file(content));
    }
}

#[test]
fn every_other_spelling_breaks_r35() {
    let wrong: [(&[u8], ParseError); 10] = [
        (&[], ParseError::NoCorrections { offset: 119 }),
        (&[0], ParseError::CorrectionStart { offset: 119 }),
        (&[1], ParseError::CorrectionStart { offset: 119 }),
        (&[2, 1], ParseError::CorrectionDirection { offset: 120 }),
        (&[3, 0], ParseError::CorrectionDirection { offset: 120 }),
        (&[0x82, 0x00], ParseError::CorrectionNumber { offset: 119 }),
        (&[2, 0x80], ParseError::CorrectionNumber { offset: 120 }),
        // 65 bits, and an eleventh byte.
        (
            &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x03],
            ParseError::CorrectionNumber { offset: 119 },
        ),
        (
            &[
                0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01,
            ],
            ParseError::CorrectionNumber { offset: 119 },
        ),
        (
            &[
                0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 2,
            ],
            ParseError::CorrectionTooFar { offset: 129 },
        ),
    ];
    for (content, wanted) in wrong {
        let error = Adapter::parse(&file(content)).expect_err("not canonical");
        assert_eq!(error, wanted, "{content:?}");
        assert_eq!(
            (error.rule(), error.class()),
            ("R35", FailureClass::Corrections)
        );
    }
}

#[test]
fn corrections_that_no_file_can_hold_are_refused() {
    for list in [
        &[(3, 0)][..],
        &[(3, 1), (3, 1)],
        &[(3, 1), (2, 1)],
        &[((1 << 63) - 1, 1)],
        &[(u64::MAX, 1)],
    ] {
        let error = corrections(list).expect_err("not ascending steps");
        assert!(
            matches!(error, InvalidAdapter::Correction { .. }),
            "{error}"
        );
    }
    for steps in [i64::MIN, i64::MAX, -(1 << 32)] {
        let error = corrections(&[(0, 1), (1, steps)]).expect_err("too many bytes");
        assert!(matches!(error, InvalidAdapter::TooLong { .. }), "{error}");
    }
}

#[test]
fn a_modules_part_is_numbered_from_its_first_entry() {
    let all = corrections(&[(0, 1), (9, -2), (10, 1), (14, 3), (20, 1)]).expect("ascending");
    let part: Vec<_> = all.within(9..20).map(|c| (c.entry, c.steps)).collect();
    assert_eq!(part, [(0, -2), (1, 1), (5, 3)]);
    assert_eq!(all.within(11..14).count(), 0);
    assert_eq!((all.end(), corrections(&[]).expect("none").end()), (21, 0));
}

#[test]
fn corrections_need_a_basis_rounding() {
    let mut fields = adapter(&[(5, 1)]).into_fields();
    fields.basis_rounding = Rounding::None;
    match Adapter::new(fields) {
        Err(InvalidAdapter::Rule(error)) => assert_eq!(error.rule(), "R20"),
        other => panic!("expected R20, got {other:?}"),
    }
}

#[test]
fn many_corrections_do_not_count_towards_the_size() {
    let list: Vec<_> = (0..70_000).map(|entry| (entry * 3, 1)).collect();
    let bytes = adapter(&list).to_bytes();
    assert!(bytes.len() > 70_000);
    let read = Adapter::read_from(&bytes[..]).expect("R21 leaves them out");
    assert_eq!(read.corrections.iter().count(), 70_000);
}
