//! What a training says on the way.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{Duration, Instant};

use tlora_model::MemoryPlan;
use tlora_train::config::Method;
use tlora_train::evaluate::{Result as EvaluationResult, Share};
use tlora_train::{Ending, Finished, Observer, Phase, Policy, RunConfig, StepMetrics};

use super::problems::Problems;
use crate::device::Chosen;
use crate::escape::Untrusted;
use crate::progress::{Bar, size};
use crate::terminal::note;

/// The settings that matter most, and the memory plan.
pub(super) fn start(
    config: &RunConfig,
    chosen: &Chosen,
    (policy, plan): (&Policy, &MemoryPlan),
    problems: &Problems,
) {
    let rollout = &config.rollout;
    note(format_args!(
        "trained           {} numbers of {}",
        policy.projections.values(),
        Untrusted(&config.model.base)
    ));
    note(format_args!(
        "problems          {} to train on, {} to evaluate on",
        problems.train.len(),
        problems.eval.len()
    ));
    let of_each = match config.method {
        Method::Grpo => format!("{} completions each", rollout.samples_per_prompt),
        Method::Sft => "the solution of each".to_owned(),
    };
    note(format_args!(
        "a step            {} problems, {of_each}, at most {} tokens",
        rollout.prompts_per_step, rollout.max_new_tokens
    ));
    let begin = if config.adapter.init == 0.0 {
        "zeros: step 0 is the base model".to_owned()
    } else {
        format!(
            "up to {} either way: step 0 is not the base model",
            config.adapter.init
        )
    };
    note(format_args!("v begins as       {begin}"));
    note(format_args!(
        "device            {}",
        Untrusted(&chosen.text)
    ));
    let bytes = |bytes: usize| size(bytes as u64);
    note(format_args!(
        "memory            {}: weights {}; keys and values {}, a step of sampling {}; or layer inputs {}, one layer {} or logits {}",
        bytes(plan.peak()),
        bytes(plan.weights),
        bytes(plan.cache),
        bytes(plan.sampling),
        bytes(plan.layer_inputs),
        bytes(plan.layer),
        bytes(plan.head)
    ));
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Nothing,
    /// Evaluations, and a bar between them.
    Evaluations,
    /// Steps too.
    Steps,
}

/// A line for each step, and a bar while it goes on.
pub(super) struct Steps {
    bar: Bar,
    steps: u64,
    detail: Detail,
    started: Instant,
    first: Cell<Option<u64>>,
    phase: RefCell<(Instant, usize)>,
}

impl Steps {
    pub(super) fn new(steps: u64, detail: Detail) -> Self {
        Self {
            bar: Bar::new(detail == Detail::Nothing),
            steps,
            detail,
            started: Instant::now(),
            first: Cell::new(None),
            phase: RefCell::new((Instant::now(), 0)),
        }
    }

    /// Until the end at the pace so far.
    fn left(&self, step: u64) -> Duration {
        let first = self.first.get().unwrap_or(step);
        let done = u32::try_from(step - first + 1).unwrap_or(u32::MAX);
        let left = u32::try_from(self.steps.saturating_sub(step)).unwrap_or(u32::MAX);
        (self.started.elapsed() / done).saturating_mul(left)
    }
}

impl Observer for Steps {
    fn phase(&self, phase: Phase, completions: usize) {
        let label = match phase {
            Phase::Rollout => "sampling",
            Phase::Update => "updating",
            Phase::Evaluation => "evaluating",
        };
        *self.phase.borrow_mut() = (Instant::now(), 0);
        self.bar.activity(label, completions);
    }

    fn drawn(&self, tokens: usize) {
        let mut phase = self.phase.borrow_mut();
        phase.1 += tokens;
        self.bar.tokens(phase.1, phase.0.elapsed());
    }

    fn step(&self, metrics: &StepMetrics) {
        if self.first.get().is_none() {
            self.first.set(Some(metrics.step));
        }
        if self.detail != Detail::Steps {
            return;
        }
        let left = self.left(metrics.step).as_secs();
        let zero = metrics.all_right + metrics.all_wrong;
        self.bar.note(format_args!(
            "step {:>4}/{}  reward {:.3}  strict {:.3}{}  length {:.1}  no difference {:.2}  |v| {:.4}  {}:{:02} left",
            metrics.step,
            self.steps,
            metrics.reward,
            metrics.strict,
            metrics.lenient.map_or(String::new(), |share| format!("  lenient {share:.3}")),
            metrics.length,
            zero,
            metrics.v_norm,
            left / 60,
            left % 60
        ));
    }

    fn evaluated(&self, step: u64, kind: &str, result: &EvaluationResult) {
        if self.detail == Detail::Nothing {
            return;
        }
        let lenient = result.lenient.map_or(String::new(), |share| {
            format!(", lenient {}", percent(&share))
        });
        self.bar.note(format_args!(
            "step {step:>4}  {kind}: strict {}{lenient}, {:.1} tokens, {:.0} % cut off",
            percent(&result.strict),
            result.tokens,
            100.0 * result.truncated
        ));
    }
}

/// `61.5 % (54.6-68.0, 123 of 200)`.
pub(crate) fn percent(share: &Share) -> String {
    format!(
        "{:.1} % ({:.1}-{:.1}, {} of {})",
        100.0 * share.share,
        100.0 * share.low,
        100.0 * share.high,
        // Means of several samples are not whole.
        (share.right * 10.0).round() / 10.0,
        share.of
    )
}

/// What the run left.
pub(super) fn end(path: &Path, bytes: usize, finished: &Finished) {
    let why = match finished.ending {
        Ending::Complete => "",
        Ending::Patience => ", because evaluations no longer improved",
        Ending::Interrupted => ", because it was interrupted; --resume goes on",
    };
    note(format_args!(
        "wrote {}: {bytes} bytes, v of step {}{why}",
        Untrusted(path.display()),
        finished.step
    ));
}

/// Where one looks at it.
pub(super) fn page(path: &Path) {
    note(format_args!(
        "curves and samples: {}",
        Untrusted(path.display())
    ));
}
