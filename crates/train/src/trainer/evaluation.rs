//! Evaluations on the way.

use tlora_model::Sampling;

use super::{Phase, Progress, Trainer};
use crate::TrainError;
use crate::evaluate::{Result as EvaluationResult, evaluate};
use crate::records::RunDirectory;
use crate::state::{Best, bits};

impl Trainer<'_> {
    pub(super) fn evaluation(
        &mut self,
        directory: &mut RunDirectory,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        if self.eval.is_empty() {
            return Ok(());
        }
        self.rollouts.publish(progress.step, Some(&progress.v))?;
        let settings = &self.config.evaluation;
        let limit = self.config.evaluation_tokens();
        let greedy = Sampling::greedy(limit, self.prompter.stop.clone());
        let result = self.evaluate_once(directory, progress.step, "greedy", 1, &greedy)?;
        if settings.samples > 0 {
            let sampled = Sampling {
                temperature: settings.temperature,
                // The same random numbers at every step, so that a difference is one of v.
                seed: self.config.seed ^ 0x6576_616c,
                ..greedy
            };
            self.evaluate_once(
                directory,
                progress.step,
                "sampled",
                settings.samples,
                &sampled,
            )?;
        }
        let score = result.strict.share;
        let better = progress
            .best
            .as_ref()
            .is_none_or(|best| score > f64::from_bits(best.score));
        if better {
            progress.best = Some(Best {
                step: progress.step,
                score: score.to_bits(),
                v: bits(&progress.v),
            });
            progress.since_best = 0;
        } else {
            progress.since_best += 1;
        }
        Ok(())
    }

    fn evaluate_once(
        &mut self,
        directory: &mut RunDirectory,
        step: u64,
        kind: &str,
        samples: usize,
        sampling: &Sampling,
    ) -> Result<EvaluationResult, TrainError> {
        self.observer
            .phase(Phase::Evaluation, self.eval.len() * samples);
        let observer = self.observer;
        let found = evaluate(
            &self.policy.tokenizer,
            self.rollouts,
            self.verifiers,
            self.eval,
            (samples, sampling),
            &mut |tokens| observer.drawn(tokens),
        )?;
        let ids: Vec<String> = self
            .eval
            .iter()
            .map(|task| task.problem.id.clone())
            .collect();
        let result = directory.evaluation(step, kind, &ids, &found)?;
        self.observer.evaluated(step, kind, &result);
        Ok(result)
    }
}
