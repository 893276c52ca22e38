//! The configuration of a run: TOML in which every key has a default, and an unknown one is an error.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tlora_grpo::{AdvantageScale, LossSettings, OptimizerSettings};
use tlora_reward::VerifierSettings;

mod check;
mod layers;
mod rollout;

pub use layers::{PRESETS, layered, preset};
pub use rollout::{EngineSetting, RolloutSettings, VllmSettings};

/// Everything that a run depends on. Paths are as they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The seed of samples and of the order of the problems.
    pub seed: u64,
    /// Steps of the run; each samples once.
    pub steps: u64,
    /// What the steps do.
    pub method: Method,
    /// What is trained on.
    pub model: ModelSettings,
    /// What is trained.
    pub adapter: AdapterSettings,
    /// The problems.
    pub data: DataSettings,
    /// How a problem becomes a prompt.
    pub prompt: PromptSettings,
    /// How completions are sampled.
    pub rollout: RolloutSettings,
    /// What a completion is worth.
    pub reward: RewardSettings,
    /// Advantages.
    pub advantage: AdvantageSettings,
    /// The loss.
    pub loss: LossSettings,
    /// The optimizer.
    pub optimizer: OptimizerSettings,
    /// How an update is computed.
    pub update: UpdateSettings,
    /// Evaluation during the run.
    pub evaluation: EvaluationSettings,
    /// What is kept on the way.
    pub checkpoint: CheckpointSettings,
    /// When a run stops by itself.
    pub guard: GuardSettings,
}

/// What is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Completions of the model, by their rewards.
    #[default]
    Grpo,
    /// The solutions of the data: the baseline that the paper compares with.
    Sft,
}

/// `[model]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// A checkpoint directory or a hub id.
    pub base: String,
    /// Where it runs.
    pub device: DeviceSetting,
    /// The type of weights, keys and values there.
    pub dtype: DtypeSetting,
}

/// The device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSetting {
    /// A GPU if there is one that can be used.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

/// A type of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DtypeSetting {
    /// f32 on the processor, bf16 on a GPU.
    #[default]
    Auto,
    /// f32.
    Float32,
    /// bf16; sums are f32. On a GPU only.
    Bfloat16,
}

/// `[adapter]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterSettings {
    /// Singular directions of each module.
    pub rank: u8,
    /// Trained numbers of each group.
    pub u: u16,
    /// Number of groups; 0 gives each module its own.
    pub groups: u32,
    /// Modules of a group by the paper's rule, in place of `groups`; 0: use `groups`.
    pub n_tie: u32,
    /// Whether neighbours are modules of one type, rather than of one layer.
    pub structured: bool,
    /// Ends of the names of the modules; none for the usual ones.
    pub targets: Vec<String>,
    /// Where the singular values stand.
    pub sigma_side: SigmaSideSetting,
    /// Seed of the projections.
    pub projection_seed: u64,
    /// Factor of the whole update.
    pub scale: f32,
    /// v begins as numbers between plus and minus this, by `seed`; 0 begins at the base.
    pub init: f64,
    /// The type that v is stored in.
    pub precision: PrecisionSetting,
}

/// Where the singular values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaSideSetting {
    /// As in the paper.
    Left,
    /// As in PEFT.
    Split,
    /// As in LoRA-XS.
    Right,
}

/// The type that v is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrecisionSetting {
    /// binary32.
    F32,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE binary16.
    F16,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// JSONL with `question` and `answer`, and `id` if there are names.
    pub train: PathBuf,
    /// The same, held out.
    pub eval: PathBuf,
    /// Problems of `train` that are used; 0 is all.
    pub train_limit: usize,
    /// Problems of `eval` that are used; 0 is all.
    pub eval_limit: usize,
    /// Longer prompts are left out; 0 leaves none out.
    pub max_prompt_tokens: usize,
}

/// `[prompt]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSettings {
    /// Whether the text is the user's turn of the model's chat template, or the whole prompt.
    pub chat: bool,
    /// The system's turn; none leaves it to the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The text, with `{question}` where the question goes.
    pub text: String,
    /// Texts of tokens that end a completion, beside the model's own.
    pub stop: Vec<String>,
}

/// `[reward]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSettings {
    /// The verifier.
    pub verifier: VerifierSettings,
    /// What becomes of completions that were cut off.
    pub truncated: TruncatedSetting,
    /// With `penalty`: the penalty begins so many tokens before the limit.
    pub overlong_buffer: usize,
    /// The rewards of a step are exchanged at random between its completions: a control.
    pub shuffled: bool,
}

/// What becomes of completions that were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TruncatedSetting {
    /// They count as they are.
    Keep,
    /// They have no loss.
    Mask,
    /// Long ones lose reward, as in DAPO.
    Penalty,
}

/// `[advantage]`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvantageSettings {
    /// What they are divided by.
    pub scale: AdvantageScale,
    /// Added to it.
    pub epsilon: f64,
}

/// `[update]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSettings {
    /// Updates on the samples of a step.
    pub updates_per_step: usize,
    /// Tokens that are computed together.
    pub micro_batch_tokens: usize,
}

/// `[evaluation]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSettings {
    /// Steps from one to the next; 0 only at the beginning and the end.
    pub every: u64,
    /// Samples of each problem beside the greedy one; 0 for none.
    pub samples: usize,
    /// Their temperature.
    pub temperature: f64,
    /// Tokens of a completion at most; 0 takes that of `[rollout]`.
    pub max_new_tokens: usize,
    /// Whether the adapter is that of the best evaluation, rather than the last step.
    pub keep_best: bool,
    /// Evaluations without a better one after which the run ends; 0 never.
    pub patience: u64,
}

/// `[checkpoint]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSettings {
    /// Steps from one to the next.
    pub every: u64,
    /// How many are kept; 0 is all.
    pub keep: usize,
}

/// `[guard]`
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardSettings {
    /// The run ends when the KL to the base is larger; 0 never. Needs `loss.beta`.
    pub max_kl: f64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            steps: 100,
            method: Method::default(),
            model: ModelSettings::default(),
            adapter: AdapterSettings::default(),
            data: DataSettings::default(),
            prompt: PromptSettings::default(),
            rollout: RolloutSettings::default(),
            reward: RewardSettings::default(),
            advantage: AdvantageSettings::default(),
            loss: LossSettings::default(),
            optimizer: OptimizerSettings::default(),
            update: UpdateSettings::default(),
            evaluation: EvaluationSettings::default(),
            checkpoint: CheckpointSettings::default(),
            guard: GuardSettings::default(),
        }
    }
}

impl Default for AdapterSettings {
    fn default() -> Self {
        Self {
            rank: 2,
            u: 13,
            groups: 1,
            n_tie: 0,
            structured: false,
            targets: Vec::new(),
            sigma_side: SigmaSideSetting::Left,
            projection_seed: 42,
            scale: 1.0,
            init: 0.0,
            precision: PrecisionSetting::F32,
        }
    }
}

impl Default for PromptSettings {
    fn default() -> Self {
        Self {
            chat: true,
            system: None,
            text: "{question}".to_owned(),
            stop: Vec::new(),
        }
    }
}

impl Default for RewardSettings {
    fn default() -> Self {
        Self {
            verifier: VerifierSettings::Gsm8k(tlora_reward::Gsm8kSettings::default()),
            truncated: TruncatedSetting::Keep,
            overlong_buffer: 0,
            shuffled: false,
        }
    }
}

impl Default for AdvantageSettings {
    fn default() -> Self {
        Self {
            scale: AdvantageScale::Group,
            epsilon: 1e-4,
        }
    }
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            updates_per_step: 1,
            micro_batch_tokens: 4096,
        }
    }
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            every: 0,
            samples: 0,
            temperature: 1.0,
            max_new_tokens: 0,
            keep_best: false,
            patience: 0,
        }
    }
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self { every: 10, keep: 3 }
    }
}

impl RunConfig {
    /// The configuration without what does not change the run: where the servers are.
    #[must_use]
    pub fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.rollout.vllm = VllmSettings::default();
        config
    }

    /// Tokens of an evaluated completion at most.
    #[must_use]
    pub fn evaluation_tokens(&self) -> usize {
        match self.evaluation.max_new_tokens {
            0 => self.rollout.max_new_tokens,
            tokens => tokens,
        }
    }
}
