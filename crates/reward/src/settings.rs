//! Which verifier, from a configuration: a table with `kind` and the options of that kind.

use serde::{Deserialize, Serialize};

use crate::{
    Command, CommandSettings, Gsm8k, Gsm8kMode, Gsm8kSettings, Http, HttpSettings, MathEqual,
    MathMode, MathSettings, Number, NumberMode, NumberSettings, Pattern, PatternSettings, QwenEval,
    QwenSettings, RewardError, Verifier,
};

/// A verifier and its options. Unknown kinds and options are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum VerifierSettings {
    /// GSM8K's numbers.
    Gsm8k(Gsm8kSettings),
    /// A number and nothing else.
    Number(NumberSettings),
    /// Mathematical answers, by strict equality.
    MathEqual(MathSettings),
    /// The published Qwen2.5-Math / SimpleRL evaluation, for comparison.
    QwenEval(QwenSettings),
    /// A pattern with a group.
    #[serde(rename = "regex")]
    Pattern(PatternSettings),
    /// A program of the user's.
    Command(CommandSettings),
    /// A service of the user's.
    Http(HttpSettings),
}

/// A verifier to train with and evaluate by, and the one that is reported beside it.
pub struct VerifierPair {
    /// What a careful reader of the format accepts.
    pub strict: Box<dyn Verifier>,
    /// Accepts the right answer wherever it stands; `None` for kinds with one rule.
    pub lenient: Option<Box<dyn Verifier>>,
}

/// The verifier that the settings describe.
///
/// # Errors
/// [`RewardError`] for options that no verifier can be built from.
pub fn build(settings: &VerifierSettings) -> Result<Box<dyn Verifier>, RewardError> {
    Ok(match settings {
        VerifierSettings::Gsm8k(settings) => Box::new(Gsm8k::new(settings.mode)),
        VerifierSettings::Number(settings) => Box::new(Number::new(settings.mode)),
        VerifierSettings::MathEqual(settings) => Box::new(MathEqual::new(settings.mode)),
        VerifierSettings::QwenEval(settings) => Box::new(QwenEval::new(settings.keep_units)),
        VerifierSettings::Pattern(settings) => Box::new(Pattern::new(settings)?),
        VerifierSettings::Command(settings) => Box::new(Command::new(settings)?),
        VerifierSettings::Http(settings) => Box::new(Http::new(settings)?),
    })
}

/// The strict and the lenient reading of a kind, whatever mode the settings name.
///
/// # Errors
/// [`RewardError`] for options that no verifier can be built from.
pub fn build_pair(settings: &VerifierSettings) -> Result<VerifierPair, RewardError> {
    let pair = |strict: Box<dyn Verifier>, lenient: Box<dyn Verifier>| VerifierPair {
        strict,
        lenient: Some(lenient),
    };
    Ok(match settings {
        VerifierSettings::Gsm8k(_) => pair(
            Box::new(Gsm8k::new(Gsm8kMode::HashStrict)),
            Box::new(Gsm8k::new(Gsm8kMode::Lenient)),
        ),
        VerifierSettings::Number(_) => pair(
            Box::new(Number::new(NumberMode::Strict)),
            Box::new(Number::new(NumberMode::Lenient)),
        ),
        VerifierSettings::MathEqual(_) => pair(
            Box::new(MathEqual::new(MathMode::Strict)),
            Box::new(MathEqual::new(MathMode::Lenient)),
        ),
        VerifierSettings::QwenEval(_)
        | VerifierSettings::Pattern(_)
        | VerifierSettings::Command(_)
        | VerifierSettings::Http(_) => VerifierPair {
            strict: build(settings)?,
            lenient: None,
        },
    })
}
