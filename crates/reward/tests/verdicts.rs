//! The labelled cases of `tests/vectors/math_verdicts.jsonl`: no wrong answer may be accepted, few right ones refused.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use serde::Deserialize;
use tlora_reward::{Answer, Gsm8k, Gsm8kMode, MathEqual, MathMode, Score, Verifier};

/// One line of the file; the fields that these tests look at.
#[derive(Deserialize)]
struct Case {
    id: u32,
    category: String,
    text: String,
    gold: String,
    #[serde(default)]
    truth: Option<bool>,
    #[serde(default)]
    verl_gsm8k_strict: Option<bool>,
    #[serde(default)]
    verl_gsm8k_flexible: Option<bool>,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/math_verdicts.jsonl");
    let text = fs_err::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn score(verifier: &dyn Verifier, case: &Case) -> Score {
    let answer = Answer {
        id: "case",
        question: "",
        completion: &case.text,
        gold: &case.gold,
    };
    verifier.score(&[answer]).unwrap().pop().unwrap()
}

fn accepts(verifier: &dyn Verifier, case: &Case) -> bool {
    score(verifier, case).reward == Some(1.0)
}

#[test]
fn math_equal_accepts_no_wrong_answer_and_refuses_few_right_ones() {
    let verifier = MathEqual::new(MathMode::Lenient);
    let (mut accepted, mut refused, mut wrong, mut missed) = (0, 0, 0, Vec::new());
    for case in cases() {
        let Some(truth) = case.truth else { continue };
        match (truth, accepts(&verifier, &case)) {
            (true, true) => accepted += 1,
            (false, false) => refused += 1,
            (false, true) => {
                wrong += 1;
                println!(
                    "accepted though wrong: {} {:?} for {:?}",
                    case.id, case.text, case.gold
                );
            }
            (true, false) => {
                missed.push(format!("{} {:?} for {:?}", case.id, case.text, case.gold));
            }
        }
    }
    println!(
        "right accepted {accepted}, wrong refused {refused}, wrong accepted {wrong}, right refused {}",
        missed.len()
    );
    missed
        .iter()
        .for_each(|case| println!("refused though right: {case}"));
    assert_eq!(
        accepted + refused + missed.len(),
        247,
        "labelled cases in the file"
    );
    assert_eq!(wrong, 0);
    assert!(missed.len() * 100 <= 3 * 247, "more than 3 % missed");
    assert!(missed.len() <= 1, "more missed than before: {missed:#?}");
}

/// Real gold answers as they are, in another spelling, or with a digit changed: their categories say what is right.
#[test]
fn math_equal_knows_rewritten_golds_from_changed_ones() {
    let verifier = MathEqual::new(MathMode::Lenient);
    let (mut same, mut changed, mut faults) = (0, 0, Vec::new());
    for case in cases() {
        let truth = match case.category.as_str() {
            "variant_same" | "variant_nospace" | "variant_dfrac" | "variant_noleft"
            | "variant_slash" => true,
            "variant_perturbed" => false,
            _ => continue,
        };
        if truth {
            same += 1;
        } else {
            changed += 1;
        }
        if accepts(&verifier, &case) != truth {
            faults.push(format!(
                "{} {} {:?} for {:?}",
                case.id, case.category, case.text, case.gold
            ));
        }
    }
    assert_eq!((same, changed), (91, 47), "cases in the file");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn hash_strict_and_flexible_are_those_of_verl() {
    let (mut strict, mut flexible) = (0, 0);
    for case in cases() {
        if let Some(expected) = case.verl_gsm8k_strict {
            assert_eq!(
                accepts(&Gsm8k::new(Gsm8kMode::HashStrict), &case),
                expected,
                "{} {:?}",
                case.id,
                case.text
            );
            strict += 1;
        }
        if let Some(expected) = case.verl_gsm8k_flexible {
            assert_eq!(
                accepts(&Gsm8k::new(Gsm8kMode::Flexible), &case),
                expected,
                "{} {:?}",
                case.id,
                case.text
            );
            flexible += 1;
        }
    }
    assert_eq!((strict, flexible), (46, 46), "cases in the file");
}

#[test]
fn lenient_gsm8k_is_right_on_all_labelled_formats() {
    let verifier = Gsm8k::new(Gsm8kMode::Lenient);
    let mut labelled = 0;
    for case in cases().iter().filter(|case| case.category == "gsm8k") {
        let Some(truth) = case.truth else { continue };
        labelled += 1;
        assert_eq!(
            accepts(&verifier, case),
            truth,
            "{} {:?}",
            case.id,
            case.text
        );
    }
    assert_eq!(labelled, 16, "cases in the file");
}
