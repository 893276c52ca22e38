//! Completions are scored prompt by prompt while an engine still draws others, and the rest at the end.

use tlora_model::{Sample, Tokenizer};
use tlora_reward::Answer;

use crate::TrainError;
use crate::evaluate::{Scored, Task, Verifiers};

/// Scores the completions of tasks, once each.
pub(crate) struct Judge<'a> {
    tokenizer: &'a Tokenizer,
    verifiers: &'a Verifiers,
    tasks: Vec<&'a Task>,
    scored: Vec<Option<Vec<Scored>>>,
    failed: Option<TrainError>,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        tokenizer: &'a Tokenizer,
        verifiers: &'a Verifiers,
        tasks: Vec<&'a Task>,
    ) -> Self {
        Self {
            scored: vec![None; tasks.len()],
            tokenizer,
            verifiers,
            tasks,
            failed: None,
        }
    }

    /// Scores the completions of the task of this number now. A fault is told by [`Self::finish`].
    pub(crate) fn group(&mut self, number: usize, samples: &[Sample]) {
        let Some(&task) = self.tasks.get(number) else {
            return;
        };
        if self.failed.is_some() {
            return;
        }
        match score(self.tokenizer, self.verifiers, &[(task, samples)]) {
            Ok(mut scored) => self.scored[number] = scored.pop(),
            Err(error) => self.failed = Some(error),
        }
    }

    /// Scores those that were not scored yet, together; gives all, in the order of the tasks.
    pub(crate) fn finish(
        mut self,
        samples: &[Vec<Sample>],
    ) -> Result<Vec<Vec<Scored>>, TrainError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let left: Vec<usize> = (0..self.tasks.len())
            .filter(|&number| self.scored[number].is_none())
            .collect();
        let groups: Vec<(&Task, &[Sample])> = left
            .iter()
            .map(|&number| (self.tasks[number], &*samples[number]))
            .collect();
        let scored = score(self.tokenizer, self.verifiers, &groups)?;
        for (number, scored) in left.into_iter().zip(scored) {
            self.scored[number] = Some(scored);
        }
        Ok(self.scored.into_iter().flatten().collect())
    }
}

/// Decodes and scores completions of problems.
///
/// # Errors
/// A verifier failed.
fn score(
    tokenizer: &Tokenizer,
    verifiers: &Verifiers,
    groups: &[(&Task, &[Sample])],
) -> Result<Vec<Vec<Scored>>, TrainError> {
    let mut texts = Vec::new();
    for &(task, samples) in groups {
        for (number, sample) in samples.iter().enumerate() {
            let id = format!("{}#{number}", task.problem.id);
            texts.push((id, task, tokenizer.decode(&sample.tokens)?, sample));
        }
    }
    let answers: Vec<Answer<'_>> = texts
        .iter()
        .map(|(id, task, text, _)| Answer {
            id,
            question: &task.problem.question,
            completion: text,
            gold: &task.problem.answer,
        })
        .collect();
    let strict = verifiers.strict.score(&answers)?;
    let reward = if verifiers.reward.id() == verifiers.strict.id() {
        strict.clone()
    } else {
        verifiers.reward.score(&answers)?
    };
    let lenient = match &verifiers.lenient {
        Some(verifier) => verifier.score(&answers)?.into_iter().map(Some).collect(),
        None => vec![None; answers.len()],
    };
    let judged = reward.into_iter().zip(strict).zip(lenient);
    let mut scored =
        texts
            .iter()
            .zip(judged)
            .map(
                |((_, _, text, sample), ((reward, strict), lenient))| Scored {
                    text: text.clone(),
                    tokens: sample.tokens.len(),
                    truncated: sample.truncated,
                    reward,
                    strict,
                    lenient,
                },
            );
    let sizes = groups.iter().map(|(_, samples)| samples.len());
    Ok(sizes
        .map(|size| scored.by_ref().take(size).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use tlora_checkpoint::Checkpoint;
    use tlora_reward::VerifierSettings;

    use super::*;
    use crate::data::Problem;
    use crate::rollouts::Prompt;

    fn task(answer: &str) -> Task {
        Task {
            problem: Problem {
                id: answer.to_owned(),
                question: String::new(),
                answer: answer.to_owned(),
                solution: answer.to_owned(),
            },
            prompt: Prompt {
                id: answer.to_owned(),
                tokens: Vec::new(),
            },
        }
    }

    #[test]
    fn early_and_late_groups_have_their_own_scores() {
        let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/tiny-base");
        let tokenizer = Tokenizer::read(&Checkpoint::open(base).unwrap()).unwrap();
        let number = VerifierSettings::Number(tlora_reward::NumberSettings::default());
        let verifiers = Verifiers::new(&number).unwrap();
        let tasks = ["1", "2", "3"].map(task);
        let said = |text: &str| Sample {
            tokens: tokenizer.encode(text).unwrap(),
            ..Sample::default()
        };
        // The second is wrong, the others are right.
        let samples = ["1", "5", "3"].map(|text| vec![said(text)]);
        let mut judge = Judge::new(&tokenizer, &verifiers, tasks.iter().collect());
        judge.group(2, &samples[2]);
        judge.group(1, &samples[1]);
        let scored = judge.finish(&samples).unwrap();
        let rewards: Vec<Option<f64>> = scored.iter().map(|s| s[0].reward.reward).collect();
        assert_eq!(rewards, [Some(1.0), Some(0.0), Some(1.0)]);
    }
}
