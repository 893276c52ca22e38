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
