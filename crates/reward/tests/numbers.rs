//! `gsm8k` and `number`: which rule finds which answer, and what settings are refused.
#![expect(clippy::unwrap_used, reason = "a test")]

use tlora_reward::{
    Answer, GoldError, Gsm8k, Gsm8kMode, Number, NumberMode, RewardError, Score, Verifier,
    VerifierSettings, build, build_pair,
};

fn score(verifier: &dyn Verifier, completion: &str, gold: &str) -> Score {
    verifier
        .score(&[Answer {
            id: "a1",
            question: "",
            completion,
            gold,
        }])
        .unwrap()
        .pop()
        .unwrap()
}

#[test]
fn each_mode_of_gsm8k_finds_its_format_only() {
    let modes = [
        Gsm8kMode::HashStrict,
        Gsm8kMode::Flexible,
        Gsm8kMode::Hash,
        Gsm8kMode::Boxed,
        Gsm8kMode::LastNumber,
    ];
    for (completion, right) in [
        ("#### 72", [true, true, true, false, true]),
        ("#### $72", [false, true, true, false, true]),
        ("####72 clips", [false, true, true, false, true]),
        ("#### 72.0", [false, false, true, false, true]),
        ("#### 72.", [false, false, true, false, true]),
        (
            "#### 72 clips in 2 months",
            [true, false, true, false, false],
        ),
        ("#### 70 + 2 = 72", [false, true, true, false, true]),
        ("#### 72\n#### 73", [true, false, false, false, false]),
        (r"\boxed{72} of 80", [false, false, false, true, false]),
        (r"\boxed{\$72}", [false, true, false, true, true]),
        ("7 and 2", [false; 5]),
        ("", [false; 5]),
    ] {
        for (mode, right) in modes.into_iter().zip(right) {
            let reward = score(&Gsm8k::new(mode), completion, "72").reward;
            assert_eq!(
                reward,
                Some(f64::from(u8::from(right))),
                "{completion:?} by {}",
                mode.name()
            );
        }
    }
}

#[test]
fn lenient_records_the_rule_that_matched() {
    let verifier = Gsm8k::new(Gsm8kMode::Lenient);
    for (completion, mode, right) in [
        ("#### 1,080", Some("hash-strict"), true),
        ("#### $1,080.00", Some("hash"), true),
        (r"so \boxed{1080}", Some("boxed"), true),
        ("it costs 1080 dollars.", Some("last-number"), true),
        ("#### 7\n1080", Some("hash"), false),
        ("nothing", None, false),
    ] {
        let score = score(&verifier, completion, "1,080");
        assert_eq!(score.mode.as_deref(), mode, "{completion}");
        assert_eq!(
            score.reward,
            Some(f64::from(u8::from(right))),
            "{completion}"
        );
    }
}

#[test]
fn the_gold_answer_may_be_a_whole_solution() {
    let gold = "He has 2 * 36 = 72 of them.\n#### 1,072";
    assert_eq!(Gsm8k::default().check_gold(gold), Ok(()));
    assert_eq!(
        score(&Gsm8k::default(), "#### 1072", gold).reward,
        Some(1.0)
    );
}

#[test]
fn golds_without_a_number_are_refused_at_load_and_never_scored() {
    let verifier = Gsm8k::default();
    assert_eq!(verifier.check_gold(" \n"), Err(GoldError::Empty));
    let error = verifier.check_gold("many").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gold answer \"many\" is not a number"
    );
    let answers = [Answer {
        id: "a7",
        question: "",
        completion: "",
        gold: "",
    }];
    let error = verifier.score(&answers).unwrap_err();
    assert!(
        matches!(&error, RewardError::Gold { id, source: GoldError::Empty } if id == "a7"),
        "{error}"
    );
    assert_eq!(
        Number::default().check_gold("12 or 13"),
        Err(GoldError::Unusable {
            gold: "12 or 13".to_owned(),
            wanted: "a number"
        })
    );
}

#[test]
fn strict_number_is_the_whole_completion_and_lenient_its_last_numeral() {
    for (completion, strict, lenient) in [
        ("12", true, true),
        (" 12.\n", true, true),
        ("12.0", true, true),
        ("+12", true, true),
        ("12..", false, true),
        ("The answer is 12.", false, true),
        ("12 + 0 = 12", false, true),
        ("12 is not 13", false, false),
        ("-12", false, false),
        ("twelve", false, false),
    ] {
        for (mode, right) in [(NumberMode::Strict, strict), (NumberMode::Lenient, lenient)] {
            let reward = score(&Number::new(mode), completion, "12").reward;
            assert_eq!(
                reward,
                Some(f64::from(u8::from(right))),
                "{completion:?} by {mode:?}"
            );
        }
    }
    assert_eq!(
        score(&Number::default(), "-3", "-3").extracted.as_deref(),
        Some("-3")
    );
    assert_eq!(
        score(&Number::new(NumberMode::Lenient), "7-3", "3").reward,
        Some(1.0)
    );
}

#[test]
fn settings_name_a_kind_and_nothing_unknown() {
    let parse = |text: &str| serde_json::from_str::<VerifierSettings>(text);
    let id = |text: &str| build(&parse(text).unwrap()).unwrap().id();
    assert_eq!(id(r#"{"kind": "gsm8k"}"#), "gsm8k/hash-strict 1");
    assert_eq!(
        id(r#"{"kind": "gsm8k", "mode": "last-number"}"#),
        "gsm8k/last-number 1"
    );
    assert_eq!(
        id(r#"{"kind": "number", "mode": "lenient"}"#),
        "number/lenient 1"
    );
    assert_eq!(id(r#"{"kind": "math-equal"}"#), "math-equal/strict 1");
    for wrong in [
        r#"{"kind": "gsm8k", "modes": "hash"}"#,
        r#"{"kind": "magic"}"#,
        r#"{"mode": "hash"}"#,
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_evaluation_gets_the_strict_and_the_lenient_reading() {
    for (settings, strict, lenient) in [
        (
            r#"{"kind": "gsm8k", "mode": "boxed"}"#,
            "gsm8k/hash-strict 1",
            "gsm8k/lenient 1",
        ),
        (
            r#"{"kind": "number"}"#,
            "number/strict 1",
            "number/lenient 1",
        ),
        (
            r#"{"kind": "math-equal"}"#,
            "math-equal/strict 1",
            "math-equal/lenient 1",
        ),
    ] {
        let pair = build_pair(&serde_json::from_str(settings).unwrap()).unwrap();
        assert_eq!(pair.strict.id(), strict);
        assert_eq!(pair.lenient.unwrap().id(), lenient);
    }
}
