//! Whether published weights arrived: on a fixed probe the server's log-probabilities have to move as the learner's do. A load
//! that answers "success" and changes nothing is the most common fault of adapters.

use crate::fleet::Member;
use crate::publish::is_away;
use crate::{Fleet, SyncError, Version};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyncProof<'a> {
    /// The version to compare with; the base shows most.
    pub before: Version,
    /// The version that was published.
    pub after: Version,
    /// The probe: tokens of a text.
    pub tokens: &'a [u32],
    /// The learner's log-probabilities of the tokens but the first, under `before`, at temperature 1.
    pub learner_before: &'a [f32],
    /// The same under `after`.
    pub learner_after: &'a [f32],
    /// How far the movements may differ on average, in nats: 1e-3 for servers in f32, 0.1 for bf16.
    pub tolerance: f32,
}

/// What was found at one server.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncCheck {
    /// Its address.
    pub url: String,
    /// Largest movement of the learner's log-probabilities, nats.
    pub learner: f32,
    /// Largest movement of the server's, nats.
    pub server: f32,
    /// Mean difference of the two movements, nats.
    pub difference: f32,
    /// Whether the learner moved by more than the tolerance on average. If not, a load without effect looks like this too.
    pub decided: bool,
}

impl Fleet {
    /// Scores the probe under both versions on every server in use that has both. Servers that do not answer any more are given up, unless
    /// all are.
    ///
    /// # Errors
    /// A server does not move although the learner does, or moves otherwise; it refuses to score; none has both versions.
    pub fn verify_sync(&mut self, proof: &SyncProof<'_>) -> Result<Vec<SyncCheck>, SyncError> {
        let wanted = proof.tokens.len().saturating_sub(1);
        let given = [proof.learner_before, proof.learner_after];
        if wanted == 0
            || given.iter().any(|values| {
                values.len() != wanted || values.iter().any(|value| !value.is_finite())
            })
        {
            return Err(SyncError::Learner {
                before: proof.learner_before.len(),
                after: proof.learner_after.len(),
                wanted,
            });
        }
        let results = self.at_once(|member| {
            if member.lost.is_some() {
                return None;
            }
            let after = self.model_at(member, proof.after)?;
            let server = &member.server;
            let before = match (self.model_at(member, proof.before), proof.before) {
                (Some(before), _) => server.score(&before, proof.tokens),
                (None, Version::Base) => Ok(member.kept_scores(proof.tokens)?.to_vec()),
                (None, Version::Step(_)) => return None,
            };
            let scores =
                before.and_then(|before| Ok((before, server.score(&after, proof.tokens)?)));
            Some(
                scores
                    .map_err(SyncError::Score)
                    .and_then(|(before, after)| compare(server.url(), proof, &before, &after)),
            )
        });
        let mut checks = Vec::new();
        for (member, result) in self.members.iter_mut().zip(results) {
            match result {
                Some(Err(SyncError::Score(error))) if is_away(&member.server, &error) => {
                    member.lost = Some(error);
                }
                Some(result) => checks.push(result?),
                None => {}
            }
        }
        if self.members.iter().all(|member| member.lost.is_some()) {
            let faults = self.lost().map(ToString::to_string).collect();
            return Err(SyncError::AllDown { faults });
        }
        if checks.is_empty() {
            return Err(SyncError::NoVersions {
                before: proof.before,
                after: proof.after,
            });
        }
        Ok(checks)
    }

    /// Every server's address and log-probabilities of the tokens but the first under the base. They are kept, so that
    /// [`verify_sync`](Self::verify_sync) has them when a merged checkpoint has taken the base's place.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn score_base(&mut self, tokens: &[u32]) -> Result<Vec<(String, Vec<f32>)>, SyncError> {
        let scores = self.scores(Version::Base, tokens)?;
        for (url, scores) in &scores {
            let members = self.members.iter_mut();
            for member in members.filter(|member| member.server.url() == url) {
                member.base_scores = Some((tokens.to_vec(), scores.clone()));
            }
        }
        Ok(scores)
    }

    /// Every server in use that has the version: its address, and its log-probabilities of the tokens but the first.
    ///
    /// # Errors
    /// None has it, or one cannot be asked.
    pub fn scores(
        &self,
        version: Version,
        tokens: &[u32],
    ) -> Result<Vec<(String, Vec<f32>)>, SyncError> {
        let scores = self.at_once(|member| {
            let model = self
                .model_at(member, version)
                .filter(|_| member.lost.is_none())?;
            let server = &member.server;
            let scores = server.score(&model, tokens);
            Some(scores.map(|scores| (server.url().to_owned(), scores)))
        });
        let scores: Vec<_> = scores
            .into_iter()
            .flatten()
            .collect::<Result<_, _>>()
            .map_err(SyncError::Score)?;
        if scores.is_empty() {
            return Err(SyncError::NoVersions {
                before: version,
                after: version,
            });
        }
        Ok(scores)
    }
}

impl Member {
    fn kept_scores(&self, tokens: &[u32]) -> Option<&[f32]> {
        let (of, scores) = self.base_scores.as_ref()?;
        (of == tokens).then_some(scores)
    }
}

/// Compares movements: [`SyncError::NoEffect`], [`SyncError::Differs`], or what was found.
pub(crate) fn compare(
    url: &str,
    proof: &SyncProof<'_>,
    before: &[f32],
    after: &[f32],
) -> Result<SyncCheck, SyncError> {
    let moved = |before: &[f32], after: &[f32]| -> Vec<f32> {
        before
            .iter()
            .zip(after)
            .map(|(before, after)| after - before)
            .collect()
    };
    let (ours, theirs) = (
        moved(proof.learner_before, proof.learner_after),
        moved(before, after),
    );
    let largest = |values: &[f32]| {
        values
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()))
    };
    let (learner, server) = (largest(&ours), largest(&theirs));
    let mean = |values: &[f32]| {
        let (sum, count) = values
            .iter()
            .fold((0.0_f32, 0.0_f32), |(sum, count), value| {
                (sum + value.abs(), count + 1.0)
            });
        sum / count.max(1.0)
    };
    let differences: Vec<f32> = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| ours - theirs)
        .collect();
    let difference = mean(&differences);
    let (url, tolerance) = (url.to_owned(), proof.tolerance);
    let decided = mean(&ours) > tolerance;
    let (before, after) = (proof.before, proof.after);
    if learner > tolerance && server == 0.0 {
        return Err(SyncError::NoEffect {
            url,
            before,
            after,
            learner,
        });
    }
    if difference > tolerance {
        return Err(SyncError::Differs {
            url,
            before,
            after,
            difference,
            tolerance,
        });
    }
    Ok(SyncCheck {
        url,
        learner,
        server,
        difference,
        decided,
    })
}
