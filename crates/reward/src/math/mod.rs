//! `math-equal`: strict equality of mathematical answers.
//!
//! Spellings first, then exact rationals, then the structure of tuples, sets and equations, then values at fixed points.
//! No algebra system, no random state, no time limit: a verdict is the same everywhere and always, and the work is bounded
//! by limits on length, depth, digits and exponents. What is beyond a limit is equal only if it is written the same.
//!
//! | module | what it does |
//! |---|---|
//! | `lex`, `spelling`, `token`, `literal`, `words` | a text in pieces; spellings of one thing become one |
//! | `read`, `form`, `names`, `units` | what the whole is, and what its items are |
//! | `parse`, `cursor`, `functions`, `tree` | an expression as a tree |
//! | `exact`, `numeric`, `approx` | what a tree is worth, exactly or with a bound on the error |
//! | `equal`, `relations`, `values` | the rules of equality |

mod approx;
mod cursor;
mod equal;
pub(crate) mod exact;
mod form;
mod functions;
pub(crate) mod lex;
pub(crate) mod literal;
mod names;
pub(crate) mod numeric;
pub(crate) mod parse;
mod read;
mod relations;
mod spelling;
pub(crate) mod token;
pub(crate) mod tree;
mod units;
mod values;
mod words;

use serde::{Deserialize, Serialize};

use crate::{Answer, GoldError, RewardError, Score, Verifier, extract, numeral, verifier};

/// Where `math-equal` looks for the answer. How it compares is the same in both modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MathMode {
    /// In the last balanced `\boxed{}` only.
    #[default]
    Strict,
    /// The first that there is: the last balanced `\boxed{}`, the line after the last `####`, what follows the last
    /// `answer is` or `answer:`, the last number.
    Lenient,
}

/// Options of `math-equal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MathSettings {
    /// Where the answer has to stand.
    #[serde(default)]
    pub mode: MathMode,
}

/// The verifier `math-equal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MathEqual {
    mode: MathMode,
}

impl MathEqual {
    /// Looks for answers where `mode` says.
    #[must_use]
    pub const fn new(mode: MathMode) -> Self {
        Self { mode }
    }

    /// Whether `prediction` is the answer `gold`, both without their surroundings.
    #[must_use]
    pub fn equal(gold: &str, prediction: &str) -> bool {
        equal::equal(gold, prediction)
    }
}

impl Verifier for MathEqual {
    fn id(&self) -> String {
        match self.mode {
            MathMode::Strict => "math-equal/strict 1".to_owned(),
            MathMode::Lenient => "math-equal/lenient 1".to_owned(),
        }
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        let gold = verifier::present(gold)?;
        if gold.len() > lex::MAX_LENGTH {
            return Err(verifier::unusable(gold, "an answer of 600 bytes or less"));
        }
        match lex::lex(gold, true) {
            Some(lexemes) if lexemes.is_empty() => Err(GoldError::Empty),
            _ => Ok(()),
        }
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        verifier::each(self, answers, |answer| {
            self.mode
                .find(answer.completion)
                .map_or_else(Score::no_answer, |(mode, found)| {
                    Score::verdict(equal::equal(answer.gold, found), found, mode)
                })
        })
    }
}

impl MathMode {
    fn find(self, completion: &str) -> Option<(&'static str, &str)> {
        let boxed = extract::boxed(completion).map(|found| ("boxed", found));
        match self {
            Self::Strict => boxed,
            Self::Lenient => boxed
                .or_else(|| Some(("hash", extract::after_hash(completion)?)))
                .or_else(|| Some(("phrase", extract::after_phrase(completion)?)))
                .or_else(|| Some(("last-number", numeral::last(completion)?))),
        }
    }
}
