//! What the types of a configuration leave open: ranges, and settings that only make sense together.

use toml::{Table, Value};

use super::keys::{self, KEYS};
use super::{ConfigError, Init, RunConfig, Truncated, Weighted};
use crate::prompt::PromptTemplate;

impl RunConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that is not what it may be.
    pub fn check(&self) -> Result<(), ConfigError> {
        let table = self.table()?;
        for key in KEYS {
            let value = keys::value(&table, key.path);
            if let Some(value) = value.filter(|value| !key.wanted.holds(value)) {
                return wrong(key.path, value, key.wanted);
            }
        }
        self.check_adapter()?;
        self.check_loss()?;
        self.check_reward()?;
        PromptTemplate::new(&self.prompt).map(drop)
    }

    /// Checks that there is something to train and to train on. An evaluation does without.
    ///
    /// # Errors
    /// `model.base` or `data.train` is empty, or something is chosen by an evaluation and `data.eval` is empty.
    pub fn check_inputs(&self) -> Result<(), ConfigError> {
        if self.model.base.is_empty() {
            return wrong("model.base", "\"\"", "a checkpoint directory or a hub id");
        }
        if self.data.train.as_os_str().is_empty() {
            return wrong("data.train", "\"\"", "a file of problems");
        }
        let evaluation = &self.evaluation;
        let chooses = evaluation.keep_best || evaluation.patience > 0;
        if chooses && self.data.eval.as_os_str().is_empty() {
            return wrong(
                "data.eval",
                "\"\"",
                "a file of problems, for evaluation.keep_best and evaluation.patience",
            );
        }
        Ok(())
    }

    fn check_adapter(&self) -> Result<(), ConfigError> {
        match self.adapter.init {
            Init::Uniform(size) if !(size > 0.0 && size <= 1e3) => {
                let found = format!("{{ uniform = {size:?} }}");
                wrong("adapter.init", found, "a size of more than 0, at most 1000")
            }
            _ => Ok(()),
        }
    }

    fn check_loss(&self) -> Result<(), ConfigError> {
        let loss = &self.loss;
        for (key, cap) in [
            ("loss.delta", loss.delta),
            ("loss.dual_clip", loss.dual_clip),
        ] {
            if cap != 0.0 && !(cap >= 1.0 && cap.is_finite()) {
                return wrong(key, cap, "0, or a number of at least 1");
            }
        }
        if loss.correction_cap < loss.correction_min {
            let wanted = "a number that is not below loss.correction_min";
            return wrong("loss.correction_cap", loss.correction_cap, wanted);
        }
        if self.guard.max_kl > 0.0 && loss.beta == 0.0 {
            let wanted = "0 while loss.beta is 0: no KL is computed then";
            return wrong("guard.max_kl", self.guard.max_kl, wanted);
        }
        Ok(())
    }

    fn check_reward(&self) -> Result<(), ConfigError> {
        let reward = &self.reward;
        if reward.verifiers.is_empty() {
            return wrong("reward.verifiers", "[]", "one verifier or more");
        }
        for verifier in &reward.verifiers {
            has_kind("reward.verifiers", verifier)?;
            let weight = weight(verifier).filter(|weight| weight.is_finite());
            if weight.is_none() {
                return wrong(
                    "reward.verifiers",
                    shown(verifier),
                    "a weight that is a number",
                );
            }
        }
        for (key, table) in [
            ("reward.strict", &reward.strict),
            ("reward.lenient", &reward.lenient),
        ] {
            if !table.is_empty() {
                has_kind(key, table)?;
            }
        }
        let (buffer, limit) = (reward.overlong_buffer, self.rollout.max_new_tokens);
        if reward.truncated == Truncated::Penalty && !(1..=limit).contains(&buffer) {
            let wanted = format!(
                "1 to {limit}, the value of rollout.max_new_tokens, with reward.truncated = \"penalty\""
            );
            return wrong("reward.overlong_buffer", buffer, wanted);
        }
        Ok(())
    }

    /// What is trained with: each verifier without its weight, and the weight.
    #[must_use]
    pub fn verifiers(&self) -> Vec<Weighted> {
        let weighted = |verifier: &Table| {
            let mut settings = verifier.clone();
            settings.remove("weight");
            let weight = weight(verifier).unwrap_or(1.0);
            Weighted { settings, weight }
        };
        self.reward.verifiers.iter().map(weighted).collect()
    }
}

fn has_kind(key: &'static str, table: &Table) -> Result<(), ConfigError> {
    match table.get("kind") {
        Some(Value::String(kind)) if !kind.is_empty() => Ok(()),
        _ => wrong(
            key,
            shown(table),
            "a table with kind, such as { kind = \"gsm8k\" }",
        ),
    }
}

/// The weight of a verifier; none if it is no number.
#[expect(
    clippy::cast_precision_loss,
    reason = "a weight that is written as an integer is small"
)]
fn weight(verifier: &Table) -> Option<f64> {
    match verifier.get("weight") {
        None => Some(1.0),
        Some(Value::Float(weight)) => Some(*weight),
        Some(Value::Integer(weight)) => Some(*weight as f64),
        Some(_) => None,
    }
}

fn shown(table: &Table) -> Value {
    Value::Table(table.clone())
}

fn wrong(
    key: &'static str,
    found: impl ToString,
    wanted: impl ToString,
) -> Result<(), ConfigError> {
    Err(ConfigError::Value {
        key,
        found: found.to_string(),
        wanted: wanted.to_string(),
    })
}
