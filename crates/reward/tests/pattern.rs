//! `regex`: what it finds, how it compares, and which patterns it refuses.
#![expect(clippy::unwrap_used, reason = "a test")]

use tlora_reward::{
    Answer, Pattern, PatternCompare, PatternError, PatternPick, PatternSettings, Score, Verifier,
    VerifierSettings, build,
};

fn settings(pattern: &str) -> PatternSettings {
    PatternSettings {
        pattern: pattern.to_owned(),
        compare: PatternCompare::String,
        pick: PatternPick::Last,
    }
}

fn score(settings: &PatternSettings, completion: &str, gold: &str) -> Score {
    let answer = Answer {
        id: "a",
        question: "",
        completion,
        gold,
    };
    let verifier = Pattern::new(settings).unwrap();
    verifier.score(&[answer]).unwrap().pop().unwrap()
}

#[test]
fn the_group_is_the_answer() {
    let settings = settings(r"Answer: (\w+)");
    assert_eq!(
        score(&settings, "Answer: Paris.", " Paris "),
        Score::verdict(true, "Paris", "regex")
    );
    assert_eq!(score(&settings, "Answer: Rome", "Paris").reward, Some(0.0));
    assert_eq!(score(&settings, "It is Paris", "Paris"), Score::no_answer());
}

#[test]
fn the_group_named_answer_comes_before_the_first_one() {
    let settings = settings(r"(Answer|Result): (?<answer>\d+)");
    assert_eq!(score(&settings, "Result: 7", "7").reward, Some(1.0));
}

#[test]
fn the_last_match_counts_unless_the_first_is_asked_for() {
    let mut settings = settings(r"= (\d+)");
    let text = "2 + 2 = 5, no, 2 + 2 = 4";
    assert_eq!(score(&settings, text, "4").reward, Some(1.0));
    settings.pick = PatternPick::First;
    assert_eq!(score(&settings, text, "4").reward, Some(0.0));
}

/// A match that leaves the group out has no answer.
#[test]
fn a_group_that_takes_no_part_is_passed_over() {
    let settings = settings(r"x=(\d+)|none");
    assert_eq!(score(&settings, "x=3, none", "3").reward, Some(1.0));
}

#[test]
fn numbers_are_compared_by_their_value() {
    let mut settings = settings(r"is (\S+)$");
    assert_eq!(score(&settings, "it is 1,200.0", "1200").reward, Some(0.0));
    settings.compare = PatternCompare::Number;
    assert_eq!(score(&settings, "it is 1,200.0", "1200").reward, Some(1.0));
    assert_eq!(score(&settings, "it is 1,201", "1200").reward, Some(0.0));
    assert_eq!(score(&settings, "it is many", "1200").reward, Some(0.0));
    let verifier = Pattern::new(&settings).unwrap();
    assert!(verifier.check_gold("many").is_err());
    assert!(verifier.check_gold("-0.5").is_ok());
}

#[test]
fn mistakes_in_patterns_have_a_position() {
    for (pattern, place) in [
        ("a(b", (1, 2)),
        (r"é(\d+)\q", (1, 7)),
        ("(a)\n[z-a]", (2, 2)),
        (r"(\p{Nothing})", (1, 2)),
    ] {
        match Pattern::new(&settings(pattern)) {
            Err(PatternError::Syntax { line, column, .. }) => {
                assert_eq!((line, column), place, "{pattern}");
            }
            other => panic!("{pattern}: {other:?}"),
        }
    }
}

#[test]
fn patterns_without_a_group_and_giant_ones_are_refused() {
    assert!(matches!(
        Pattern::new(&settings(r"Answer: \d+")),
        Err(PatternError::NoGroup { .. })
    ));
    assert!(matches!(
        Pattern::new(&settings(r"(\w{1000}{1000})")),
        Err(PatternError::TooLarge { .. })
    ));
}

/// A pattern that takes exponential time where a matcher goes back.
#[test]
fn nested_repetitions_take_no_time() {
    let text = format!("{}!", "a".repeat(100_000));
    assert_eq!(
        score(&settings("^((a+)+)$"), &text, "a"),
        Score::no_answer()
    );
}

#[test]
fn settings_are_a_table_with_the_kind_regex() {
    let settings: VerifierSettings =
        serde_json::from_str(r#"{"kind": "regex", "pattern": "(\\d+)", "compare": "number"}"#)
            .unwrap();
    assert_eq!(
        build(&settings).unwrap().id(),
        r#"regex/number/last "(\\d+)" 1"#
    );
    let unknown = r#"{"kind": "regex", "pattern": "(a)", "flags": "i"}"#;
    assert!(serde_json::from_str::<VerifierSettings>(unknown).is_err());
}
