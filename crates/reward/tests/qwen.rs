//! `qwen-eval` against the verdicts, answers and gold answers of the original's own code.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tlora_reward::{Answer, QwenEval, Verifier};

/// One line of the file; the fields that these tests look at.
#[derive(Deserialize)]
struct Case {
    id: u32,
    category: String,
    dataset: String,
    text: String,
    gold: String,
    expected: bool,
    extracted: String,
    gold_norm: String,
}

impl Case {
    fn verifier(&self) -> QwenEval {
        QwenEval::new(self.dataset == "minerva_math")
    }

    fn verdict(&self) -> bool {
        accepts(self.verifier(), &self.text, &self.gold)
    }
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/math_verdicts.jsonl");
    let text = fs_err::read_to_string(path).unwrap();
    let cases: Vec<Case> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(cases.len(), 495, "cases in the file");
    cases
}

fn accepts(verifier: QwenEval, completion: &str, gold: &str) -> bool {
    let answer = Answer {
        id: "case",
        question: "",
        completion,
        gold,
    };
    let score = verifier.score(&[answer]).unwrap().pop().unwrap();
    score.reward == Some(1.0)
}

#[test]
fn verdicts_are_those_of_the_original() {
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        if case.verdict() != case.expected {
            faults
                .entry(case.category.clone())
                .or_default()
                .push(format!(
                    "{}: {:?} for {:?} should be {}",
                    case.id, case.extracted, case.gold_norm, case.expected
                ));
        }
    }
    println!("{faults:#?}");
    let wrong: usize = faults.values().map(Vec::len).sum();
    println!(
        "{} of {} as in the original",
        cases.len() - wrong,
        cases.len()
    );
    assert!(wrong * 100 <= 5 * cases.len(), "less than 95 %");
    assert_eq!(wrong, 0, "all were as in the original before");
}

#[test]
fn answers_and_gold_answers_are_normalised_as_in_the_original() {
    let mut faults = Vec::new();
    for case in cases() {
        let (found, gold) = (
            case.verifier().extract(&case.text),
            case.verifier().gold(&case.gold),
        );
        if found != case.extracted || gold != case.gold_norm {
            faults.push(format!(
                "{}: {found:?} is {:?}, {gold:?} is {:?}",
                case.id, case.extracted, case.gold_norm
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn leniencies_of_the_original_are_kept() {
    let verifier = QwenEval::default();
    for (completion, gold) in [
        (r"\boxed{25}", "0.25"),
        (r"\boxed{2500}", "25"),
        (r"\boxed{99990}", "100000"),
        (r"\boxed{12,34}", "1234"),
        (r"\boxed{[0,1]}", "(0,1)"),
        (r"\boxed{x>2}", "x<2"),
        (r"\boxed{x,3}", "x,7"),
        (r"\boxed{72", "72"),
        ("The answer is (B).", "B"),
        ("答案是5\n\n7", "5"),
        ("it is -3.50", "-3.5"),
        (
            "the final answer is $\\frac12$. I hope it is correct.",
            "0.5",
        ),
        ("so the answer is twenty-five cm.", "25"),
    ] {
        assert!(
            accepts(verifier, completion, gold),
            "{completion} for {gold}"
        );
    }
}

/// What SymPy reads otherwise than a reader would: each found by running the original.
#[test]
fn expressions_are_read_as_sympy_reads_them() {
    let verifier = QwenEval::default();
    for (completion, gold, right) in [
        (r"\boxed{3.14159}", r"\pi", false),
        (r"\boxed{\frac{1}{2x}}", "1/2x", true),
        (r"\boxed{x(x+1)}", "x^2+x", false),
        (r"\boxed{3.83e35}", r"3.83\times10^{35}", false),
        (r"\boxed{2\frac{1}{3}}", r"\frac{2}{3}", true),
        (r"\boxed{\sin^2x}", r"1-\cos^2x", true),
        (r"\boxed{-1}", "i^2", false),
        (r"\boxed{\log 100}", "4.6052", true),
        (r"\boxed{6:8}", "3:4", true),
        (r"\boxed{\{3,2,1\}}", r"\{1,2,3\}", true),
        (r"\boxed{\{3,2\}}", r"\{1,2,3\}", false),
        (r"\boxed{2ab=u+1}", "u-2ab=-1", true),
        (r"\boxed{2ab=u+1}", "u-2ab=1", false),
    ] {
        assert_eq!(
            accepts(verifier, completion, gold),
            right,
            "{completion} for {gold}"
        );
    }
}

#[test]
fn units_stay_where_the_original_keeps_them() {
    assert_eq!(QwenEval::default().extract(r"\boxed{5 cm}"), "5");
    assert_eq!(QwenEval::new(true).extract(r"\boxed{5 cm}"), "5cm");
    assert_eq!(QwenEval::new(true).gold(r"5 \leq x"), r"5 \le x");
    assert_ne!(QwenEval::new(true).id(), QwenEval::default().id());
}

#[test]
fn only_an_empty_gold_answer_is_refused() {
    let verifier = QwenEval::default();
    assert!(verifier.check_gold(" ").is_err());
    assert!(verifier.check_gold(r"\text{east}").is_ok());
}

/// Nothing that a model writes may take long or bring the program down.
#[test]
fn hostile_answers_end_soon() {
    let long = 30_000;
    let texts = [
        "(".repeat(long),
        "x(".repeat(300),
        "|(".repeat(300),
        r"\frac{".repeat(90),
        r"\sin(".repeat(100),
        "x_".repeat(300),
        "-".repeat(500),
        format!("{}1{}", "(".repeat(280), ")".repeat(280)),
        format!("{}1{}", "[".repeat(900), "]".repeat(900)),
        "9^".repeat(200),
        "1,".repeat(900),
        "a b ".repeat(long),
        r"\begin{array}{".repeat(long / 20),
        "9".repeat(long),
        "{".repeat(long),
        "\u{0}é²½٣".repeat(100),
    ];
    let start = Instant::now();
    let verifier = QwenEval::default();
    for one in &texts {
        for other in &texts {
            accepts(verifier, &format!(r"\boxed{{{one}}}"), other);
        }
    }
    assert!(start.elapsed() < Duration::from_secs(30));
}
