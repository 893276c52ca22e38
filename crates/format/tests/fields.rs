//! What `Adapter::new` takes, brings into form, and refuses, and what an adapter answers.
#![expect(clippy::panic, reason = "a test that cannot go on stops")]

use std::error::Error;

use tlora_format::{
    Adapter, AdapterFields, BasisKind, Factors, FailureClass, InvalidAdapter, Precision,
    ProjectionKind, SeedRule, SigmaSide, TargetModules, TextKey, Tying,
};

mod common;
use common::arbitrary::paper_fields;

/// The paper's adapter with a change.
fn changed(change: impl FnOnce(&mut AdapterFields)) -> Result<Adapter, InvalidAdapter> {
    let mut fields = paper_fields();
    change(&mut fields);
    Adapter::new(fields)
}

/// Six modules in one group, of rank 3.
fn six_modules(change: impl FnOnce(&mut AdapterFields)) -> Result<Adapter, InvalidAdapter> {
    changed(|fields| {
        (
            fields.module_count,
            fields.n_tie,
            fields.group_count,
            fields.rank,
        ) = (6, 6, 1, 3);
        fields.v = vec![0x3F80];
        change(fields);
    })
}

/// The id of the rule that a change breaks.
fn broken_rule(change: impl FnOnce(&mut AdapterFields)) -> &'static str {
    match changed(change) {
        Err(InvalidAdapter::Rule(error)) => error.rule(),
        other => panic!("expected a broken rule, got {other:?}"),
    }
}

#[test]
fn the_papers_adapter_has_122_bytes() {
    let bytes = changed(|_| ()).expect("valid").to_bytes();
    assert_eq!(bytes.len(), 122);
    assert_eq!(bytes[..8], *b"\x89tlora\r\n");
    assert_eq!(bytes[20], 0x7F, "all standard targets are one byte");
}

#[test]
fn negative_zeros_become_positive() {
    let adapter =
        changed(|fields| fields.v[3] = 0x8000).expect("−0 has a form that the file wants");
    assert_eq!(adapter.v[3], 0);
}

#[test]
fn lists_that_say_nothing_are_dropped() {
    let adapter = six_modules(|fields| {
        fields.module_ranks = Some(vec![3; 6]);
        fields.module_scales = Some(vec![0.5; 6]);
        fields.transposed = Some(vec![false; 6]);
        fields.signs = Some(vec![false; 12]);
    })
    .expect("they say what the header says");
    assert_eq!(
        adapter,
        six_modules(|fields| fields.scale = 0.5).expect("valid")
    );
}

#[test]
fn lists_that_say_nothing_must_still_have_an_entry_a_module() {
    for value in [false, true] {
        let error = six_modules(|fields| fields.transposed = Some(vec![value; 5]));
        let wanted = InvalidAdapter::Length {
            list: "transposed",
            found: 5,
            wanted: 6,
        };
        assert_eq!(error.expect_err("one is missing"), wanted);
    }
}

#[test]
fn a_map_that_is_tiled_becomes_tiled() {
    let tiled = six_modules(|fields| {
        fields.tying = Tying::Explicit(vec![0, 0, 1, 1, 2, 2]);
        (fields.group_count, fields.n_tie, fields.v) = (3, 0, vec![1, 2, 3]);
    })
    .expect("tiled says the same");
    assert_eq!((&tiled.tying, tiled.n_tie), (&Tying::Tiled, 2));

    let uneven = six_modules(|fields| {
        fields.tying = Tying::Explicit(vec![0, 0, 0, 1, 2, 2]);
        (fields.group_count, fields.n_tie, fields.v) = (3, 0, vec![1, 2, 3]);
    });
    assert!(
        matches!(uneven.expect("valid").tying, Tying::Explicit(_)),
        "no n_tie gives runs of 3, 1 and 2"
    );
}

#[test]
fn every_wrong_length_is_named() {
    let error = changed(|fields| fields.v.push(1)).expect_err("14 values for 13 groups");
    assert_eq!(
        error,
        InvalidAdapter::Length {
            list: "v",
            found: 14,
            wanted: 13
        }
    );
    let error = six_modules(|fields| {
        let pair = Factors {
            out_features: 2,
            in_features: 1,
            b: vec![0; 6],
            a: vec![0; 2],
        };
        fields.basis = BasisKind::Explicit {
            precision: Precision::F16,
            factors: vec![pair; 6],
        };
    });
    assert_eq!(
        error.expect_err("A is 3 x 1"),
        InvalidAdapter::Length {
            list: "A",
            found: 2,
            wanted: 3
        }
    );
    let error = six_modules(|fields| {
        let values = vec![0; 9];
        fields.projection = ProjectionKind::Explicit {
            precision: Precision::F32,
            shared: false,
            values,
        };
    });
    assert_eq!(
        error.expect_err("9 a module"),
        InvalidAdapter::Length {
            list: "the projections",
            found: 9,
            wanted: 54
        }
    );
}

#[test]
fn what_length_fields_cannot_count_is_refused() {
    let long = |text: usize| "x".repeat(text);
    let error = changed(|fields| fields.targets = TargetModules::Suffixes(vec![long(256)]))
        .expect_err("256 bytes");
    assert!(
        matches!(
            error,
            InvalidAdapter::TooLong {
                found: 256,
                largest: 255,
                ..
            }
        ),
        "{error}"
    );
    let error = changed(|fields| drop(fields.text.insert(TextKey::Name, long(65_536))))
        .expect_err("too long");
    assert!(
        matches!(
            error,
            InvalidAdapter::TooLong {
                found: 65_536,
                largest: 65_535,
                ..
            }
        ),
        "{error}"
    );
    let error =
        changed(|fields| drop(fields.unknown.insert(128, vec![]))).expect_err("text is known");
    assert_eq!(error, InvalidAdapter::UnknownType { found: 128 });
    let error = changed(|fields| fields.v[0] = 0x0001_3F80).expect_err("17 bits");
    assert!(
        matches!(
            error,
            InvalidAdapter::Pattern {
                found: 0x0001_3F80,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_readers_rules_hold_for_fields() {
    assert_eq!(broken_rule(|fields| fields.rank = 65), "R7");
    assert_eq!(
        broken_rule(|fields| fields.projection = ProjectionKind::Standard),
        "R8"
    );
    assert_eq!(broken_rule(|fields| fields.n_tie = 17), "R11");
    assert_eq!(broken_rule(|fields| fields.scale = -0.0), "R13");
    assert_eq!(broken_rule(|fields| fields.v[12] = 0x7F80), "R17");
    assert_eq!(
        broken_rule(|fields| fields.targets = TargetModules::Suffixes(vec![])),
        "R22"
    );
    assert_eq!(
        broken_rule(|fields| fields.targets = TargetModules::Suffixes(vec!["a b".into()])),
        "R23"
    );
    assert_eq!(
        broken_rule(|fields| drop(fields.text.insert(TextKey::Name, "a\u{202E}b".into()))),
        "R34"
    );
    assert_eq!(
        broken_rule(|fields| {
            let pair = Factors {
                out_features: 1,
                in_features: 1,
                b: vec![0; 2],
                a: vec![0; 2],
            };
            fields.basis = BasisKind::Explicit {
                precision: Precision::F16,
                factors: vec![pair; 196],
            };
            fields.sigma_side = SigmaSide::Right;
        }),
        "R14"
    );
}

#[test]
fn a_broken_rule_is_the_cause_of_an_invalid_adapter() {
    let error = changed(|fields| fields.scale = 0.0).expect_err("0 is no scale");
    assert_eq!(error.to_string(), "the fields break rule R13 of the format");
    let cause = error.source().expect("the rule's own words");
    assert_eq!(
        cause.to_string(),
        "the scale (offset 36) is 0.0; expected a finite number other than 0"
    );
}

#[test]
fn errors_name_rule_class_place_found_and_wanted() {
    let mut bytes = changed(|_| ()).expect("valid").to_bytes();
    bytes[17] = 9;
    let error = Adapter::parse(&common::with_checksum(bytes)).expect_err("9 is no seed rule");
    assert_eq!(
        (error.rule(), error.class()),
        ("R6", FailureClass::Enumeration)
    );
    assert_eq!(
        error.to_string(),
        "the projection seed rule (offset 17) is 9; expected 0 to 1"
    );
}

#[test]
fn answers_fall_back_to_the_header() {
    let plain = six_modules(|fields| fields.scale = 0.25).expect("valid");
    assert_eq!((plain.module_rank(5), plain.module_scale(5)), (3, 0.25));
    assert!(!plain.is_transposed(0) && !plain.is_negated(0, 1));

    let own = six_modules(|fields| {
        fields.module_ranks = Some(vec![3, 3, 2, 3, 3, 3]);
        fields.module_scales = Some(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        fields.transposed = Some(vec![false, false, true, false, false, false]);
        // Two bits a module: columns 1 and 2; module 2 has rank 2 and no column 2.
        fields.signs = Some((0..12).map(|bit| bit == 4 || bit == 7).collect());
    })
    .expect("valid");
    assert_eq!(
        (
            own.module_rank(2),
            own.module_scale(2),
            own.is_transposed(2)
        ),
        (2, 3.0, true)
    );
    assert!(own.is_negated(2, 1) && own.is_negated(3, 2));
    assert!(!own.is_negated(2, 0) && !own.is_negated(2, 2) && !own.is_negated(2, 3));
    // Bits 4 and 7 of the only two bytes, least significant first.
    let bytes = own.to_bytes();
    assert_eq!(bytes[bytes.len() - 10..bytes.len() - 8], [0b1001_0000, 0]);
}

#[test]
fn v_is_exact_in_f64() {
    let adapter = changed(|fields| {
        fields.u = 2;
        fields.v = Precision::Bf16.pack(&[0.1; 26]).expect("finite");
        fields.v[25] = 0xC049;
    })
    .expect("valid");
    assert_eq!(
        adapter.v(12).expect("13 groups").collect::<Vec<_>>(),
        [0.100_097_656_25, -3.140_625]
    );
    assert!(adapter.v(13).is_none());
}

#[test]
fn targets_select_whole_dotted_endings() {
    let targets = TargetModules::Suffixes(vec!["q_proj".into(), "mlp.up".into()]);
    assert_eq!(targets.position("model.layers.3.self_attn.q_proj"), Some(0));
    assert_eq!(targets.position("mlp.up"), Some(1));
    assert_eq!(targets.position("model.xmlp.up"), None);
    assert_eq!(targets.position("model.big_q_proj"), None);
}

#[test]
fn torch_fields_reach_their_bytes() {
    let adapter = changed(|fields| {
        fields.projection = ProjectionKind::Torch {
            seed: 0x0102_0304_0506_0708,
            seed_rule: SeedRule::Shared,
            rounding: tlora_format::Rounding::F16,
        };
    });
    let bytes = adapter.expect("valid").to_bytes();
    assert_eq!((bytes[16], bytes[17], bytes[18]), (1, 1, 2));
    assert_eq!(bytes[40..48], [8, 7, 6, 5, 4, 3, 2, 1]);
}
