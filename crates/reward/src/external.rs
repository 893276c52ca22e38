//! What goes to a verifier outside of this program, and what may come back.
//!
//! An answer goes out as `{"id", "question", "completion", "gold"}` and comes back as `{"id", "reward", …}` with
//! `extracted`, `mode` and `note` if the verifier likes. A reward is a finite number, or null for what cannot be scored.
//! Anything else is an error: a reward that was guessed would be trained on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, GoldError, RewardError, Score, verifier};

/// What is wrong with what a verifier said of an answer.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// Not JSON, or not an object with the right keys. `NaN` is not JSON.
    #[error("{text:?} is not a JSON object with `id` and `reward`")]
    Format {
        /// Its first characters.
        text: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The reward is neither a number nor null.
    #[error("the reward of {id:?} is {found}, not a finite number or null")]
    NoNumber {
        /// Of the answer.
        id: String,
        /// The reward.
        found: String,
    },
    /// Something came before anything of the batch was sent.
    #[error("nothing was asked when {text:?} came")]
    Unasked {
        /// Its first characters.
        text: String,
    },
    /// No such answer was sent.
    #[error("nothing with the id {id:?} was asked")]
    UnknownId {
        /// What came back.
        id: String,
    },
    /// The answer has a reward already.
    #[error("{id:?} was scored before")]
    Repeated {
        /// What came back.
        id: String,
    },
}

#[derive(Serialize)]
pub(crate) struct Request<'a> {
    id: &'a str,
    question: &'a str,
    completion: &'a str,
    gold: &'a str,
}

impl<'a> Request<'a> {
    pub(crate) fn new(answer: &Answer<'a>) -> Self {
        Self {
            id: answer.id,
            question: answer.question,
            completion: answer.completion,
            gold: answer.gold,
        }
    }
}

/// What came back for an answer.
#[derive(Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: String,
    reward: Value,
    extracted: Option<String>,
    mode: Option<String>,
    note: Option<String>,
}

impl Reply {
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, ReplyError> {
        serde_json::from_slice(json).map_err(|source| ReplyError::Format {
            text: beginning(json),
            source,
        })
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, ReplyError> {
        let text = value.to_string();
        serde_json::from_value(value).map_err(|source| ReplyError::Format {
            text: beginning(text.as_bytes()),
            source,
        })
    }

    pub(crate) fn into_score(self) -> Result<Score, ReplyError> {
        let reward = match self.reward.as_f64() {
            Some(reward) if reward.is_finite() => Some(reward),
            None if self.reward.is_null() => None,
            _ => {
                return Err(ReplyError::NoNumber {
                    found: beginning(self.reward.to_string().as_bytes()),
                    id: self.id,
                });
            }
        };
        Ok(Score {
            reward,
            extracted: self.extracted,
            mode: self.mode,
            note: self.note,
        })
    }
}

/// The scores of a batch as they come in, in any order.
pub(crate) struct Batch<'a> {
    answers: &'a [Answer<'a>],
    places: BTreeMap<&'a str, usize>,
    scores: Vec<Option<Score>>,
}

impl<'a> Batch<'a> {
    /// Refuses empty gold answers, and ids that occur twice.
    pub(crate) fn new(answers: &'a [Answer<'a>]) -> Result<Self, RewardError> {
        let mut places = BTreeMap::new();
        for (place, answer) in answers.iter().enumerate() {
            check(answer)?;
            if places.insert(answer.id, place).is_some() {
                return Err(RewardError::RepeatedId {
                    id: answer.id.to_owned(),
                });
            }
        }
        Ok(Self {
            answers,
            places,
            scores: vec![None; answers.len()],
        })
    }

    /// Answers without a score, in their order.
    pub(crate) fn open(&self) -> impl Iterator<Item = &'a Answer<'a>> + '_ {
        let pairs = self.answers.iter().zip(&self.scores);
        pairs
            .filter(|(_, score)| score.is_none())
            .map(|(answer, _)| answer)
    }

    pub(crate) fn take(&mut self, reply: Reply) -> Result<(), ReplyError> {
        let place = self.places.get(reply.id.as_str());
        let Some(slot) = place.and_then(|place| self.scores.get_mut(*place)) else {
            return Err(ReplyError::UnknownId { id: reply.id });
        };
        if slot.is_some() {
            return Err(ReplyError::Repeated { id: reply.id });
        }
        *slot = Some(reply.into_score()?);
        Ok(())
    }

    /// The scores in the order of the answers, once none is open.
    pub(crate) fn into_scores(self) -> Vec<Score> {
        self.scores.into_iter().flatten().collect()
    }
}

fn check(answer: &Answer<'_>) -> Result<(), RewardError> {
    let checked: Result<&str, GoldError> = verifier::present(answer.gold);
    checked.map(drop).map_err(|source| RewardError::Gold {
        id: answer.id.to_owned(),
        source,
    })
}

/// The first characters, for an error.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes.get(..SHOWN * 4).unwrap_or(bytes));
    text.chars().take(SHOWN).collect()
}

/// A time in seconds that can be waited for.
pub(crate) fn seconds(value: f64) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    (value > 0.0 && value <= DAY).then(|| Duration::from_secs_f64(value))
}
