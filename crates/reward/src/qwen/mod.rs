//! `qwen-eval`: verdicts of the published Qwen2.5-Math / SimpleRL evaluation, with its leniencies, for comparable numbers.
//!
//! The rules are those of its `extract_answer`, `strip_string` and `math_equal`, step by step and in their order, because
//! what it accepts depends on it: 25 for 0.25, 99990 for 100000, (0,1) for [0,1]. To train or to judge, use `math-equal`.
//! One thing is not taken over: where the original asks an algebra system, with a time limit, expressions are read as that
//! system reads them and compared by their values at fixed points. A verdict is the same everywhere.
//!
//! | module | what it does |
//! |---|---|
//! | `extract` | where the answer stands |
//! | `strip`, `units`, `spoken`, `fractions` | spellings that count as one |
//! | `equal` | numbers within 1e-4, tuples, matrices, equations |
//! | `symbolic`, `tokens`, `grammar` | expressions |

mod equal;
mod extract;
mod fractions;
mod grammar;
mod spoken;
mod strip;
mod symbolic;
mod tokens;
mod units;

use serde::{Deserialize, Serialize};

use crate::{Answer, GoldError, RewardError, Score, Verifier, verifier};

/// Longer answers are compared as they are written: reading them would be slow, and they are none.
const MAX_LENGTH: usize = 10_000;

/// Options of `qwen-eval`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QwenSettings {
    /// Whether words of units stay in answers and gold answers as they are, as the original does for `minerva_math` and
    /// `carp_en`.
    #[serde(default)]
    pub keep_units: bool,
}

/// The verifier `qwen-eval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QwenEval {
    keep_units: bool,
}

impl QwenEval {
    /// With the treatment of units that the data set has in the original.
    #[must_use]
    pub const fn new(keep_units: bool) -> Self {
        Self { keep_units }
    }

    /// What the original compares: the answer in a completion, normalised. Empty if there is none.
    #[must_use]
    pub fn extract(self, completion: &str) -> String {
        let found = extract::answer(completion);
        if found.len() > MAX_LENGTH {
            return found;
        }
        // The original strips what it extracts, and then strips it again.
        let once = strip::strip(&found, self.keep_units);
        strip::strip(&once, self.keep_units)
    }

    /// A gold answer, normalised.
    #[must_use]
    pub fn gold(self, gold: &str) -> String {
        match self.keep_units || gold.len() > MAX_LENGTH {
            true => strip::relations(gold),
            false => strip::strip(gold, false),
        }
    }
}

impl Verifier for QwenEval {
    fn id(&self) -> String {
        match self.keep_units {
            true => "qwen-eval/keep-units 1".to_owned(),
            false => "qwen-eval 1".to_owned(),
        }
    }

    /// Refuses empty ones only. Of some others nothing is left after normalisation, `\text{east}` among them; to the
    /// original a completion without an answer is then right, and so it is here.
    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        verifier::present(gold).map(drop)
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        verifier::each(self, answers, |answer| {
            let found = self.extract(answer.completion);
            let right = equal::equal(&found, &self.gold(answer.gold));
            match found.is_empty() && !right {
                true => Score::no_answer(),
                false => Score::verdict(right, found, "qwen-eval"),
            }
        })
    }
}
