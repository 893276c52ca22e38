//! `gsm8k`: whole or decimal numbers, compared exactly, in the formats that models of GSM8K write them.
//!
//! What counts as an answer is a choice of [`Gsm8kMode`]. The rule that found the answer is recorded with each score,
//! so that a better format can be told from better reasoning.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{Answer, GoldError, RewardError, Score, Verifier, extract, numeral, verifier};

/// Where `gsm8k` looks for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gsm8kMode {
    /// verl's strict rule, bit for bit: the first `#### ` with digits, commas and points after it, commas removed, is
    /// the same string as the gold answer. `#### $72`, `####72` and `#### 72.` are wrong.
    #[default]
    HashStrict,
    /// verl's flexible rule, bit for bit: the last run of digits, commas and points is the same string as the gold answer.
    Flexible,
    /// The last numeral before the end of the line after the last `####`; currency, units and commas do not matter.
    Hash,
    /// The last numeral in the last balanced `\boxed{}`.
    Boxed,
    /// The last numeral of the completion.
    LastNumber,
    /// `hash-strict` if it is right, otherwise the first of `hash`, `boxed`, `last-number` that finds anything.
    Lenient,
}

impl Gsm8kMode {
    /// As in settings, and as recorded with each score.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HashStrict => "hash-strict",
            Self::Flexible => "flexible",
            Self::Hash => "hash",
            Self::Boxed => "boxed",
            Self::LastNumber => "last-number",
            Self::Lenient => "lenient",
        }
    }

    /// Whether what was found has to be the gold answer as a string, not as a number.
    const fn by_string(self) -> bool {
        matches!(self, Self::HashStrict | Self::Flexible)
    }
}

/// Options of `gsm8k`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gsm8kSettings {
    /// Where the answer has to stand.
    #[serde(default)]
    pub mode: Gsm8kMode,
}

/// The verifier `gsm8k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gsm8k {
    mode: Gsm8kMode,
}

impl Gsm8k {
    /// Looks for answers where `mode` says.
    #[must_use]
    pub const fn new(mode: Gsm8kMode) -> Self {
        Self { mode }
    }
}

impl Verifier for Gsm8k {
    fn id(&self) -> String {
        format!("gsm8k/{} 1", self.mode.name())
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        let gold = verifier::present(gold)?;
        match numeral::parse(&gold_number(gold)) {
            Some(_) => Ok(()),
            None => Err(verifier::unusable(gold, "a number")),
        }
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        verifier::each(self, answers, |answer| {
            let gold = gold_number(answer.gold);
            self.mode
                .find(answer.completion, &gold)
                .map_or_else(Score::no_answer, |(mode, found)| {
                    Score::verdict(mode.is_right(&found, &gold), found, mode.name())
                })
        })
    }
}

impl Gsm8kMode {
    /// What the rule finds, and which rule that was. The gold answer matters to `lenient` only.
    fn find(self, completion: &str, gold: &str) -> Option<(Self, String)> {
        let found = match self {
            Self::HashStrict => hash_strict(completion),
            Self::Flexible => flexible(completion),
            Self::Hash => extract::after_hash(completion).and_then(numeral_after_hash),
            Self::Boxed => extract::boxed(completion)
                .and_then(numeral::last)
                .map(str::to_owned),
            Self::LastNumber => numeral::last(completion).map(str::to_owned),
            Self::Lenient => return lenient(completion, gold),
        };
        found.map(|found| (self, found))
    }

    fn is_right(self, found: &str, gold: &str) -> bool {
        if self.by_string() {
            return found == gold;
        }
        numeral::parse(found).is_some_and(|found| Some(found) == numeral::parse(gold))
    }
}

fn lenient(completion: &str, gold: &str) -> Option<(Gsm8kMode, String)> {
    if hash_strict(completion).is_some_and(|found| found == gold) {
        return Some((Gsm8kMode::HashStrict, gold.to_owned()));
    }
    [Gsm8kMode::Hash, Gsm8kMode::Boxed, Gsm8kMode::LastNumber]
        .into_iter()
        .find_map(|mode| mode.find(completion, gold))
}

/// The number of a gold answer: after its last `####` if it has one, without commas, `$` and a trailing point.
fn gold_number(gold: &str) -> String {
    let number = gold.rsplit("####").next().unwrap_or(gold);
    number
        .trim()
        .replace([',', '$'], "")
        .trim_end_matches('.')
        .trim()
        .to_owned()
}

/// `72` of `$72 clips`, and of `x = 72`: the first numeral, unless an equation gives it last.
fn numeral_after_hash(line: &str) -> Option<String> {
    let side = line.rsplit('=').next().unwrap_or(line);
    let start = side.find(|character: char| character.is_ascii_digit())?;
    let end = side
        .get(start..)?
        .find(|character: char| !(character.is_ascii_digit() || matches!(character, ',' | '.')))
        .map_or(side.len(), |length| start + length);
    let first = side
        .get(..end)?
        .trim_end_matches(['.', ','])
        .replace("-$", "-")
        .replace("- ", "-");
    numeral::last(&first).map(str::to_owned)
}

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant, and the tests compile it"
)]
static HASH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"#### (-?[0-9.,]+)").expect("the pattern is well formed"));

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant, and the tests compile it"
)]
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"-?[0-9.,]+").expect("the pattern is well formed"));

/// verl's `extract_solution(…, "strict")` as it was first: later versions look at the last 300 characters and take the
/// last match.
fn hash_strict(completion: &str) -> Option<String> {
    Some(HASH.captures(completion)?.get(1)?.as_str().replace(',', ""))
}

/// verl's `extract_solution(…, "flexible")`, which keeps commas. If every run is a lone point the first one counts.
fn flexible(completion: &str) -> Option<String> {
    let runs: Vec<&str> = NUMBER
        .find_iter(completion)
        .map(|found| found.as_str())
        .collect();
    runs.iter()
        .rev()
        .find(|run| **run != ".")
        .or(runs.first())
        .map(|run| (*run).to_owned())
}
