//! `number`: for prompts that ask for just a number.

use serde::{Deserialize, Serialize};

use crate::{Answer, GoldError, RewardError, Score, Verifier, numeral, verifier};

/// Where `number` looks for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberMode {
    /// The whole completion is a number, with white space around it and one point after it or without.
    #[default]
    Strict,
    /// The last numeral of the completion.
    Lenient,
}

/// Options of `number`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberSettings {
    /// Where the answer has to stand.
    #[serde(default)]
    pub mode: NumberMode,
}

/// The verifier `number`: exact equality of rationals, so that 12, 12.0 and 12. are one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Number {
    mode: NumberMode,
}

impl Number {
    /// Looks for answers where `mode` says.
    #[must_use]
    pub const fn new(mode: NumberMode) -> Self {
        Self { mode }
    }
}

impl Verifier for Number {
    fn id(&self) -> String {
        match self.mode {
            NumberMode::Strict => "number/strict 1".to_owned(),
            NumberMode::Lenient => "number/lenient 1".to_owned(),
        }
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        let gold = verifier::present(gold)?;
        numeral::parse(gold)
            .map(drop)
            .ok_or_else(|| verifier::unusable(gold, "a number"))
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        verifier::each(self, answers, |answer| {
            let whole = whole(answer.completion).map(|found| (found, "whole"));
            let found = match self.mode {
                NumberMode::Strict => whole,
                NumberMode::Lenient => {
                    whole.or_else(|| Some((numeral::last(answer.completion)?, "last-number")))
                }
            };
            found.map_or_else(Score::no_answer, |(found, mode)| {
                let value = numeral::parse(found);
                Score::verdict(
                    value.is_some() && value == numeral::parse(answer.gold),
                    found,
                    mode,
                )
            })
        })
    }
}

/// The completion, if all of it is a number.
fn whole(completion: &str) -> Option<&str> {
    let trimmed = completion.trim();
    let number = trimmed.strip_suffix('.').unwrap_or(trimmed);
    numeral::parse(number).map(|_| number)
}
