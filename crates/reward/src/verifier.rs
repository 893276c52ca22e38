//! What a verifier is given, what it says, and the trait that all of them have.
//!
//! Verifiers take a batch, so that an external one can be sent everything before it answers anything.

use crate::{GoldError, RewardError};

/// A completion to score, with what it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Names the completion in errors and to external verifiers; unique in a batch.
    pub id: &'a str,
    /// What was asked, without the prompt's template.
    pub question: &'a str,
    /// What the model wrote, without the prompt and without stop tokens.
    pub completion: &'a str,
    /// The right answer, as the data have it.
    pub gold: &'a str,
}

/// What a verifier says of one completion.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    /// The reward, finite; `None` is unscorable, which is not 0.
    pub reward: Option<f64>,
    /// The answer that was found in the completion.
    pub extracted: Option<String>,
    /// The rule by which it was found, such as `boxed`.
    pub mode: Option<String>,
    /// Why it is unscorable, or whatever else the verifier has to say.
    pub note: Option<String>,
}

impl Score {
    /// 1 for a right answer, 0 for a wrong one, with the answer and the rule it was found by.
    #[must_use]
    pub fn verdict(right: bool, extracted: impl Into<String>, mode: impl Into<String>) -> Self {
        Self {
            reward: Some(f64::from(u8::from(right))),
            extracted: Some(extracted.into()),
            mode: Some(mode.into()),
            note: None,
        }
    }

    /// 0 for a completion without an answer.
    #[must_use]
    pub fn no_answer() -> Self {
        Self {
            reward: Some(0.0),
            ..Self::default()
        }
    }

    /// Neither right nor wrong: left out of averages and of training.
    #[must_use]
    pub fn unscorable(note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..Self::default()
        }
    }
}

/// Scores completions against gold answers.
pub trait Verifier: Send + Sync {
    /// Name, mode and version of the rules, recorded with results.
    fn id(&self) -> String;

    /// Whether the verifier can compare anything with this gold answer; asked for each when data are loaded.
    ///
    /// # Errors
    /// [`GoldError`] for an empty or unusable gold answer.
    fn check_gold(&self, gold: &str) -> Result<(), GoldError>;

    /// The scores of a batch, as many as answers and in their order.
    ///
    /// # Errors
    /// [`RewardError`] when the verifier itself failed. A bad completion is no error.
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError>;
}

/// The gold answer without white space around it, unless nothing is left.
pub(crate) fn present(gold: &str) -> Result<&str, GoldError> {
    let gold = gold.trim();
    if gold.is_empty() {
        Err(GoldError::Empty)
    } else {
        Ok(gold)
    }
}

/// A gold answer that is not what the verifier takes.
pub(crate) fn unusable(gold: &str, wanted: &'static str) -> GoldError {
    GoldError::Unusable {
        gold: gold.chars().take(80).collect(),
        wanted,
    }
}

/// Scores one by one, after the gold answer is looked at again: a wrong one is an error, not a wrong answer.
pub(crate) fn each(
    verifier: &dyn Verifier,
    answers: &[Answer<'_>],
    score: impl Fn(&Answer<'_>) -> Score,
) -> Result<Vec<Score>, RewardError> {
    let checked = |answer: &Answer<'_>| {
        verifier
            .check_gold(answer.gold)
            .map_err(|source| RewardError::Gold {
                id: answer.id.to_owned(),
                source,
            })?;
        Ok(score(answer))
    };
    answers.iter().map(checked).collect()
}
