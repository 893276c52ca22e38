//! What a run works on: the model, the adapter, the problems, the prompts, the sampling. The sections of a configuration, as
//! plain values; [`keys`](super::keys) says what each may be.
//!
//! 0 stands for "none" or "all" where it makes no sense as a number, so that every key has a value that can be printed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[model]`: what is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// A checkpoint directory or a hub id.
    pub base: String,
    /// The type that the model computes in.
    pub dtype: Dtype,
    /// Where it runs.
    pub device: Device,
    /// Threads; 0 is one for each core. Results do not depend on it.
    pub threads: usize,
}

/// The type that the model computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// binary32.
    #[default]
    F32,
    /// The upper half of a binary32.
    Bf16,
}

/// Where the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// The best there is.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

/// `[adapter]`: what is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterSettings {
    /// Singular directions of each module.
    pub rank: u8,
    /// Trained numbers of each group.
    pub u: u16,
    /// Number of groups; 0 gives each module its own.
    pub groups: u32,
    /// Modules of a group, in place of `groups`; 0 uses `groups`.
    pub n_tie: u32,
    /// Which modules are neighbours.
    pub sharing: Sharing,
    /// Ends of the names of the modules; none for the standard targets.
    pub targets: Vec<String>,
    /// Where the singular values stand.
    pub sigma_side: SigmaSide,
    /// Seed of the projections.
    pub projection_seed: u64,
    /// Factor of the whole update.
    pub scale: f32,
    /// What v begins as.
    pub init: Init,
    /// The type that v is stored in.
    pub precision: Precision,
}

/// Which modules share a v: what `groups` and `n_tie` come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tying {
    /// Each module has its own.
    Untied,
    /// So many groups.
    Groups(u32),
    /// So many modules in a group.
    NTie(u32),
}

impl AdapterSettings {
    /// Which modules share a v.
    #[must_use]
    pub const fn tying(&self) -> Tying {
        match (self.n_tie, self.groups) {
            (0, 0) => Tying::Untied,
            (0, groups) => Tying::Groups(groups),
            (n_tie, _) => Tying::NTie(n_tie),
        }
    }
}

/// Which modules are neighbours, so that they share v.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Those of one layer.
    #[default]
    Tiled,
    /// Those of one type.
    Structured,
}

/// Where the singular values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaSide {
    /// As in the paper.
    #[default]
    Left,
    /// As in PEFT.
    Split,
    /// As in LoRA-XS.
    Right,
}

/// What v begins as.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// 0: step 0 is the base model.
    #[default]
    Zeros,
    /// Numbers between plus and minus this, by the seed of the run.
    Uniform(f64),
}

/// The type that v is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// binary32.
    #[default]
    F32,
    /// The upper half of a binary32.
    Bf16,
    /// IEEE binary16.
    F16,
}

/// `[data]`: the problems.
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
    /// Seed of the order of the problems; 0 is the seed of the run.
    pub shuffle_seed: u64,
    /// Where the gold answer stands in `answer`.
    pub gold: GoldRule,
}

/// Where the gold answer stands in the field `answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldRule {
    /// After the last `####` where there is one, as [`GoldRule::Hashes`]; otherwise the whole field.
    #[default]
    Auto,
    /// After the last `####`, without commas, as GSM8K has it; a field without is refused.
    Hashes,
    /// The whole field.
    Whole,
}

/// `[prompt]`: how a question becomes a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSettings {
    /// `chat`, `plain`, `qwen-boxed`, `gsm8k-hash`, or a text with `{question}`.
    pub template: String,
    /// The system's turn of a chat; empty leaves it to the model's chat template.
    pub system: String,
    /// Text before the question.
    pub prefix: String,
    /// Text after the question.
    pub suffix: String,
    /// Texts that end a completion, beside the model's own.
    pub stop: Vec<String>,
}

/// `[rollout]`: how completions are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSettings {
    /// What samples.
    pub engine: Engine,
    /// Problems of a step.
    pub prompts_per_step: usize,
    /// Completions of each.
    pub samples_per_prompt: usize,
    /// What logits are divided by.
    pub temperature: f64,
    /// Nucleus; 1 is everything.
    pub top_p: f64,
    /// Most probable tokens; 0 is all.
    pub top_k: usize,
    /// Tokens of a completion at most.
    pub max_new_tokens: usize,
    /// Completions that run at once.
    pub slots: usize,
    /// Groups whose rewards are all equal are replaced by others, at most so many times a step; 0 never.
    pub resample: usize,
}

/// What samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Our own.
    #[default]
    Native,
}

impl Default for AdapterSettings {
    fn default() -> Self {
        Self {
            rank: 2,
            u: 13,
            groups: 1,
            n_tie: 0,
            sharing: Sharing::Tiled,
            targets: Vec::new(),
            sigma_side: SigmaSide::Left,
            projection_seed: 42,
            scale: 1.0,
            init: Init::Zeros,
            precision: Precision::F32,
        }
    }
}

impl Default for PromptSettings {
    fn default() -> Self {
        Self {
            template: "chat".to_owned(),
            system: String::new(),
            prefix: String::new(),
            suffix: String::new(),
            stop: Vec::new(),
        }
    }
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            engine: Engine::Native,
            prompts_per_step: 8,
            samples_per_prompt: 8,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_new_tokens: 256,
            slots: 32,
            resample: 0,
        }
    }
}
