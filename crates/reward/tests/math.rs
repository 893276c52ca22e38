//! `math-equal` on pairs by hand: what it accepts, what it refuses, and that it stays within its limits.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use tlora_reward::{Answer, GoldError, MathEqual, MathMode, Verifier};

/// Prediction, gold answer.
const ACCEPTED: &[(&str, &str)] = &[
    // Spelling.
    (r"\left( 3 , 4 \right)", "(3,4)"),
    (r"\tfrac{1}{2}", r"\dfrac12"),
    (r"\cfrac{1}{2}", "1/2"),
    (r"{1 \over 2}", r"\frac12"),
    (r"x^2 + 1", "x^{2}+1"),
    (r"\mathrm{Evelyn}", r"\text{evelyn}"),
    (r"\textbf{(B)}", "B"),
    ("B.", r"\text{(B)}"),
    ("no  Solution.", "no solution"),
    ("−5", "-5"),
    ("√2", r"\sqrt{2}"),
    // Numbers.
    ("1,234", "1234"),
    ("1{,}234", "1234"),
    (r"1,\!234", "1234"),
    ("12,345.50", "12345.5"),
    ("0.5", r"\frac{1}{2}"),
    (r"4\frac23", r"\frac{14}{3}"),
    ("1 1/2", "1.5"),
    (r"-1\frac{1}{2}", "-1.5"),
    (r"3\frac{x}12", "6x"),
    (r"3.83\times10^{35}", "3.83e35"),
    (r"2 \cdot 10^{-3}", "0.002"),
    ("1e5", "100000"),
    (r"0.\overline{142857}", r"\frac17"),
    (r"\frac{0.5}{2}", "0.25"),
    (r"\sqrt{784}", "28"),
    ("2^{1009}", r"2 \cdot 2^{1008}"),
    ("seven", "7"),
    ("twenty-one", "21"),
    // Decimals that round to the gold answer.
    ("3.14159", "3.14"),
    ("0.125", "0.13"),
    (r"1.602\times 10^{-19}", r"1.6\times10^{-19}"),
    // Units, money, percent, degrees, names.
    (r"5 \text{ cm}^2", "5"),
    ("12 square meters", r"12\text{ m}^2"),
    ("60 miles per hour", "60 mph"),
    (r"\$18", "18"),
    (r"25\%", "25"),
    ("25%", "0.25"),
    ("0.25", r"25\%"),
    (r"45^{\circ}", "45"),
    ("45 degrees", r"45^\circ"),
    ("x=7", "7"),
    ("7", "x = 7"),
    ("f(x) = x + 1", "x+1"),
    (r"A = \pi r^2 = 9\pi", r"9\pi"),
    (r"\angle ABC = 60", "60"),
    (r"2 + 3 = 5", "5"),
    ("5 million", "5,000,000"),
    ("2.5 million dollars", "2500000"),
    (r"20^\circ C", "20"),
    (r"\textdollar 18", "18"),
    ("18 USD", "18"),
    ("5 meters squared", "5"),
    (r"5 \text{ square meters}", "5 meters squared"),
    // Tuples, intervals, sets.
    (r"(-\infty, 2]", "x \\le 2"),
    ("2 > x", "x < 2"),
    ("1 < x \\leq 3", "(1,3]"),
    (
        r"(3,\infty)\cup(-\infty,1)",
        r"(-\infty,1) \cup (3, \infty)",
    ),
    (r"x<1 \text{ or } x>3", r"(-\infty,1) \cup (3, \infty)"),
    (r"\{3, 1, 2\}", r"\{1,2,3\}"),
    (r"2 \text{ or } 1", r"\{1,2\}"),
    (r"1 \pm \sqrt{2}", r"1-\sqrt2, 1+\sqrt2"),
    (r"x = \pm 3", r"\pm 3"),
    ("x=1, y=2", "y=2, x=1"),
    ("3:4", "6:8"),
    ("3/4", "3:4"),
    // Matrices.
    (
        r"\begin{bmatrix}1&2\\3&4\end{bmatrix}",
        r"\begin{pmatrix} 1 & 2 \\ 3 & \frac{8}{2} \end{pmatrix}",
    ),
    // Equations.
    ("2y - 4x = 2", "y = 2x + 1"),
    ("x^2 + y^2 = 4", "4 - y^2 = x^2"),
    // Expressions by their values.
    ("(a-b)(a+b)", "a^2-b^2"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\frac{2}{\sqrt{3}+1}", r"\sqrt3-1"),
    (r"2\sin x\cos x", r"\sin 2x"),
    (r"1-\sin^2\theta", r"\cos^2 \theta"),
    (r"\tan^{-1} x", r"\arctan(x)"),
    (r"\frac{\ln 8}{\ln 2}", "3"),
    (r"\log_{2} 32", "5"),
    (r"e^{2\ln 3}", "9"),
    (r"e^{i\pi}", "-1"),
    (r"(1+i)^2", "2i"),
    (r"\sqrt{-4}", "2i"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"\sqrt{x^2}", "|x|"),
    (r"\binom{6}{3}", "20"),
    (r"{5 \choose 2}", "10"),
    (r"\sqrt[3]{2}", "2^{1/3}"),
    (r"3+4\mathrm{i}", "4i + 3"),
    (r"1.0 \times 10^3", "10^{3}"),
    (r"\text{Evelyn }", "Evelyn"),
    (r"x=1 \text{ or } x=-2", "1,-2"),
    (r"0 \le x \le 1", "[0,1]"),
    (r"\frac12:\frac13", "3:2"),
    (r"n(n-1)(n-2)/6", r"\frac{n^3-3n^2+2n}{6}"),
    (r"\sin(30^\circ)", "0.5"),
    (r"\lceil 2.1 \rceil", "3"),
    (r"2516_{8}", "2516_8"),
    (r"x_{1}+x_2", "x_2 + x_1"),
];

/// Prediction, gold answer.
const REFUSED: &[(&str, &str)] = &[
    // What relative tolerances and leniency with percent let through.
    ("1", "100"),
    ("25", "0.25"),
    ("2500", "25"),
    ("0.25", "25"),
    (r"2500\%", "25\\%"),
    (r"0.25\%", "25\\%"),
    ("99990", "100000"),
    ("100001", "100000"),
    (r"1000000001\pi", r"1000000000\pi"),
    (r"\sqrt{10000000001}", "100000"),
    ("3^{1009}", "2^{1009}"),
    (r"e^{-50}", "0"),
    // Rounding goes one way, from decimals to decimals.
    ("0.333", r"\frac13"),
    (r"\frac13", "0.33"),
    ("3.14", r"\pi"),
    (r"\pi", "3.14"),
    ("5.2", "5"),
    ("3", "3.14"),
    ("0.135", "0.13"),
    ("3.1", "3.14"),
    // Commas, brackets, order.
    ("12,34", "1234"),
    ("23", "2,3"),
    ("3,2", "2,3"),
    ("3,4", "(3,4)"),
    ("[0,1]", "(0,1)"),
    ("(0,1]", "[0,1]"),
    ("(4,3)", "(3,4)"),
    ("(3,4,5)", "(3,4)"),
    (r"(-\infty,2)", r"(-\infty,2]"),
    (r"-\infty", r"\infty"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("x<2", "x>2"),
    ("x<2", r"x \le 2"),
    ("x<2", "y<2"),
    ("-2x < 4", "x < -2"),
    (r"12 \text{ or } 13", "12"),
    ("1:15", "2:30"),
    ("4:3", "3:4"),
    ("1,2,3", "3,2,1"),
    (r"\{1,2\}", "(1,2)"),
    ("[1,2]", r"\{1,2\}"),
    ("(1,2)", r"(1,2) \cup (3,4)"),
    ("12:30", "12.5"),
    ("1:2", "2:1"),
    // Another thing altogether.
    (r"\frac{22}{7}", r"\pi"),
    (r"\text{No}", "Yes"),
    ("odd", "even"),
    ("5", "5i"),
    ("-5", "5"),
    ("x+y", "xy"),
    ("2^{10}", "20"),
    ("10", "10_2"),
    (r"\frac12 x", r"\frac{1}{2x}"),
    (r"x \ne 2", "2"),
    (r"x \ne 3", r"x \ne 2"),
    ("50 cents", "0.5"),
    ("2x", "2y"),
    ("q-p", "p-q"),
    ("x=7", "y=7"),
    ("y=2x-1", "y=2x+1"),
    ("2x+1", "2x+1=0"),
    ("1=1", "2=2"),
    ("3 + 4 = 8", "8"),
    ("x^2=49", "x=7"),
    ("5x", "5"),
    ("5 cm", "5 m"),
    ("6 cm", "5"),
    ("5 million", "5"),
    ("5 squared", "5"),
    ("2 thirds", "2"),
    ("5 is not the answer", "5"),
    ("5 factorial", "5"),
    (r"20^\circ C", r"20^\circ F"),
    ("ACB", "ABC"),
    ("x", "|x|"),
    ("2i+3j", "3i+2j"),
    ("I(0) e^{t}", "I(0) e^{2t}"),
    ("f(x)", "f(2x)"),
    ("2516_7", "2516_8"),
    ("2516", "2516_8"),
    ("C", "B"),
    ("(B)(C)", "B"),
    ("x+1", "X+1"),
    ("parallelogram", "rectangle"),
    (
        r"\begin{vmatrix}1\\2\end{vmatrix}",
        r"\begin{pmatrix}1\\2\end{pmatrix}",
    ),
    (r"\arcsin(1.3 \sin \theta)", r"\arcsin{1.3 \sin{\theta_w}}"),
    (r"\frac{1}{0}", "0"),
    ("1/0", "2/0"),
    ("0^0", "1"),
    ("", "0"),
    ("$$", "0"),
    (".", "0"),
    ("12 apples and 5 pears", "12"),
    ("2 3", "23"),
    ("2 3", "6"),
];

#[test]
fn right_answers_are_accepted_however_they_are_written() {
    let refused: Vec<_> = ACCEPTED
        .iter()
        .filter(|(prediction, gold)| !MathEqual::equal(gold, prediction))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn wrong_answers_are_refused_however_close_they_are() {
    let accepted: Vec<_> = REFUSED
        .iter()
        .filter(|(prediction, gold)| MathEqual::equal(gold, prediction))
        .collect();
    assert!(accepted.is_empty(), "{accepted:#?}");
}

/// Every answer of the tables is itself, and none of the wrong ones is another.
#[test]
fn an_answer_is_itself() {
    for (prediction, gold) in ACCEPTED.iter().chain(REFUSED) {
        for text in [prediction, gold] {
            assert!(
                ["", "$$", "."].contains(text) || MathEqual::equal(text, text),
                "{text:?}"
            );
        }
    }
}

#[test]
fn huge_inputs_are_refused_quickly() {
    let nested = |open: &str, inside: &str, close: &str, times: usize| {
        format!("{}{inside}{}", open.repeat(times), close.repeat(times))
    };
    let hostile = [
        nested("(", "1", ")", 200_000),
        nested("(", "1", ")", 250),
        nested("{", "7", "}", 280),
        nested(r"\{", "1", r"\}", 140),
        nested(r"\sqrt{", "2", "}", 80),
        nested(r"\text{", "a", "}", 80),
        nested("|", "x", "|", 280),
        nested("(1,", "2", ")", 140),
        r"\sqrt".repeat(100) + "2",
        r"\frac".repeat(100) + "12",
        r"\sin".repeat(140) + "x",
        "-".repeat(591) + "1",
        "5".to_owned() + &"!".repeat(590),
        "2^".repeat(290) + "2",
        "9^{9^{9^{9^{9}}}}".to_owned(),
        "9^{9^{9}}!".to_owned(),
        "450!^{450!}".to_owned(),
        "99999999999!".to_owned(),
        r"\binom{450}{225}^{99}".to_owned(),
        "1e400".to_owned() + &"*1e400".repeat(90),
        "1e999999999".to_owned(),
        "9".repeat(590),
        "9".repeat(1_000_000),
        "1/9".to_owned() + &"+1/99999999999999999999".repeat(24),
        r"\pm".repeat(140) + "1",
        r"1 \pm 1, ".repeat(60),
        (0..200).map(|item| format!("{item},")).collect(),
        "x".repeat(590),
        "abcdefghijklmnopqrstuvwxyz"
            .chars()
            .map(|letter| format!("{letter}+"))
            .collect::<String>()
            + "1",
        r"\begin{pmatrix}".to_owned() + &"1&".repeat(250),
        r"\boxed{".repeat(80),
    ];
    let start = Instant::now();
    for prediction in &hostile {
        for gold in ["1", "x^2+1", r"\{1,2\}", "(1,2)", r"1 \pm \sqrt{x}"] {
            assert!(
                !MathEqual::equal(gold, prediction),
                "{:?}",
                prediction.chars().take(60).collect::<String>()
            );
        }
        assert!(
            MathEqual::equal(prediction, &format!("{prediction} ")),
            "an answer is itself, whatever its size"
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "took {:?}",
        start.elapsed()
    );
}

#[test]
fn sets_of_the_longest_expressions_are_compared_quickly() {
    let sums: Vec<String> = (0..30)
        .map(|item| format!("x^{item}+\\sin{{{item}y}}"))
        .collect();
    let (gold, prediction) = (
        format!("\\{{{}\\}}", sums.join(",")),
        format!("\\{{{},z\\}}", sums.join(", ")),
    );
    assert!(
        gold.len() > 400 && prediction.len() <= 600,
        "as long as is looked at"
    );
    let start = Instant::now();
    assert!(!MathEqual::equal(&gold, &prediction));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "took {:?}",
        start.elapsed()
    );
}

/// A generator of its own, so that the inputs are the same on every machine.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Pieces that the rules look at, in any order, so that unfinished ones occur everywhere.
#[test]
fn no_text_makes_a_verifier_panic() {
    const PIECES: &[&str] = &[
        "1",
        "23",
        "0.5",
        "1,234",
        ".",
        ",",
        "x",
        "e",
        "i",
        "j",
        "f(",
        "cm",
        "sec",
        "and",
        "\\text{",
        "\\mathrm{ m}",
        "}",
        "{",
        "(",
        ")",
        "[",
        "]",
        "\\{",
        "\\}",
        "|",
        "^",
        "_",
        "^{-1}",
        "!",
        "%",
        "°",
        "^\\circ",
        "+",
        "-",
        "*",
        "/",
        "=",
        "<",
        "\\le",
        "\\in",
        "\\cup",
        ":",
        ";",
        "\\frac",
        "\\frac12",
        "\\sqrt",
        "\\sqrt[3]",
        "\\sqrt[",
        "\\sin",
        "\\log_",
        "\\binom",
        "\\pm",
        "\\infty",
        "\\pi",
        "\\over",
        "\\overline{",
        "0.\\overline{3}",
        "\\begin{array}{c}",
        "\\\\",
        "&",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "\\left",
        "\\right.",
        "\\boxed{",
        "\\boxed",
        "####",
        "answer is ",
        "$",
        "\\",
        "é",
        "−",
        "½",
        "²",
        "答案是",
        " ",
        "\n",
        "\0",
        "1e9",
        "e-3",
        "\\vec",
        "\\hat{",
        "\\lfloor",
        "\\rfloor",
        "'",
    ];
    let mut draws = Draws(7);
    let lenient = MathEqual::new(MathMode::Lenient);
    for round in 0..30_000 {
        let mut text = || {
            (0..1 + draws.below(12))
                .map(|_| PIECES[draws.below(PIECES.len())])
                .collect::<String>()
        };
        let (gold, completion) = (text(), text());
        std::hint::black_box(MathEqual::equal(&gold, &completion));
        if gold.trim().is_empty() || lenient.check_gold(&gold).is_err() {
            continue;
        }
        let answers = [Answer {
            id: "0",
            question: "",
            completion: &completion,
            gold: &gold,
        }];
        let scores = lenient.score(&answers).unwrap();
        assert!(
            scores[0].reward == Some(0.0) || scores[0].reward == Some(1.0),
            "round {round}"
        );
        assert!(MathEqual::equal(&gold, &gold), "{gold:?} is not itself");
    }
}

#[test]
fn empty_and_overlong_golds_are_refused_at_load() {
    let verifier = MathEqual::new(MathMode::Strict);
    assert_eq!(verifier.check_gold("  "), Err(GoldError::Empty));
    assert_eq!(verifier.check_gold("$ $"), Err(GoldError::Empty));
    assert!(matches!(
        verifier.check_gold(&"x".repeat(601)),
        Err(GoldError::Unusable { .. })
    ));
    assert_eq!(verifier.check_gold(r"\frac12"), Ok(()));
}

#[test]
fn the_rule_that_found_the_answer_is_recorded() {
    for (completion, strict, lenient, extracted) in [
        (r"so $\boxed{12}$", Some("boxed"), Some("boxed"), Some("12")),
        ("#### 12", None, Some("hash"), Some("12")),
        ("The answer is 12.", None, Some("phrase"), Some("12")),
        ("twelve, or 12", None, Some("last-number"), Some("12")),
        ("none", None, None, None),
    ] {
        let answers = [Answer {
            id: "0",
            question: "",
            completion,
            gold: "12",
        }];
        let of = |mode| MathEqual::new(mode).score(&answers).unwrap().pop().unwrap();
        assert_eq!(of(MathMode::Strict).mode.as_deref(), strict, "{completion}");
        assert_eq!(
            of(MathMode::Lenient).mode.as_deref(),
            lenient,
            "{completion}"
        );
        assert_eq!(
            of(MathMode::Lenient).extracted.as_deref(),
            extracted,
            "{completion}"
        );
        assert_eq!(
            of(MathMode::Lenient).reward,
            Some(if extracted.is_some() { 1.0 } else { 0.0 }),
            "{completion}"
        );
    }
}
