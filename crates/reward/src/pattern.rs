//! `regex`: a pattern whose group is the answer, compared as a string or as a number.
//!
//! The time a match takes grows linearly with the completion, whatever the pattern is: there is no backtracking.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{Answer, GoldError, RewardError, Score, Verifier, numeral, verifier};

/// How `regex` compares what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatternCompare {
    /// As they are written, but for white space around them.
    #[default]
    String,
    /// As exact rationals, so that `1,200` and `1200.0` are one answer.
    Number,
}

/// Which match of several `regex` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatternPick {
    /// The first one.
    First,
    /// The last one: a model that corrects itself answers twice.
    #[default]
    Last,
}

/// Options of `regex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternSettings {
    /// In the syntax of the crate `regex`. The group named `answer` is the answer; without one, the first group.
    pub pattern: String,
    /// How the answer is compared with the gold answer.
    #[serde(default)]
    pub compare: PatternCompare,
    /// Which match counts.
    #[serde(default)]
    pub pick: PatternPick,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// It is no pattern.
    #[error("the pattern {pattern:?} has a mistake in line {line}, column {column}: {reason}")]
    Syntax {
        /// As it was given.
        pattern: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Compiled it would be too large.
    #[error("the pattern {pattern:?} is too large when it is compiled")]
    TooLarge {
        /// As it was given.
        pattern: String,
        /// The limit that it passes.
        source: regex::Error,
    },
    /// There is nothing in it to compare.
    #[error("the pattern {pattern:?} has no group, as in `answer: (.*)`")]
    NoGroup {
        /// As it was given.
        pattern: String,
    },
}

/// The verifier `regex`.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    group: usize,
    compare: PatternCompare,
    pick: PatternPick,
}

impl Pattern {
    /// Compiles the pattern.
    ///
    /// # Errors
    /// [`PatternError`], with the position of the mistake.
    pub fn new(settings: &PatternSettings) -> Result<Self, PatternError> {
        let pattern = || settings.pattern.clone();
        check_syntax(&settings.pattern)?;
        let regex = Regex::new(&settings.pattern).map_err(|source| PatternError::TooLarge {
            pattern: pattern(),
            source,
        })?;
        if regex.captures_len() < 2 {
            return Err(PatternError::NoGroup { pattern: pattern() });
        }
        let named = regex
            .capture_names()
            .position(|name| name == Some("answer"));
        Ok(Self {
            group: named.unwrap_or(1),
            regex,
            compare: settings.compare,
            pick: settings.pick,
        })
    }

    fn find<'a>(&self, completion: &'a str) -> Option<&'a str> {
        let matches = self.regex.captures_iter(completion);
        let mut found = matches.filter_map(|captures| captures.get(self.group));
        let found = match self.pick {
            PatternPick::First => found.next(),
            PatternPick::Last => found.last(),
        };
        found.map(|found| found.as_str().trim())
    }

    fn is_right(&self, found: &str, gold: &str) -> bool {
        match self.compare {
            PatternCompare::String => found == gold.trim(),
            PatternCompare::Number => {
                numeral::parse(found).is_some_and(|found| Some(found) == numeral::parse(gold))
            }
        }
    }
}

/// The crate `regex` draws a picture of a mistake; its parser says where the mistake is.
fn check_syntax(pattern: &str) -> Result<(), PatternError> {
    let Err(error) = regex_syntax::parse(pattern) else {
        return Ok(());
    };
    let (span, reason) = match &error {
        regex_syntax::Error::Parse(error) => (Some(error.span()), error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (Some(error.span()), error.kind().to_string()),
        other => (None, other.to_string()),
    };
    Err(PatternError::Syntax {
        pattern: pattern.to_owned(),
        line: span.map_or(1, |span| span.start.line),
        column: span.map_or(1, |span| span.start.column),
        reason,
    })
}

impl Verifier for Pattern {
    fn id(&self) -> String {
        let compare = match self.compare {
            PatternCompare::String => "string",
            PatternCompare::Number => "number",
        };
        let pick = match self.pick {
            PatternPick::First => "first",
            PatternPick::Last => "last",
        };
        format!("regex/{compare}/{pick} {:?} 1", self.regex.as_str())
    }

    fn check_gold(&self, gold: &str) -> Result<(), GoldError> {
        let gold = verifier::present(gold)?;
        match self.compare {
            PatternCompare::Number if numeral::parse(gold).is_none() => {
                Err(verifier::unusable(gold, "a number"))
            }
            _ => Ok(()),
        }
    }

    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Score>, RewardError> {
        verifier::each(self, answers, |answer| {
            self.find(answer.completion)
                .map_or_else(Score::no_answer, |found| {
                    Score::verdict(self.is_right(found, answer.gold), found, "regex")
                })
        })
    }
}
