//! The table of keys. A macro, so that each key takes three lines rather than eight.

use super::{Key, Limits, MOST, Wanted};

const ANY: Wanted = Wanted::Count(0, MOST);
const FROM_1: Wanted = Wanted::Count(1, MOST);
const AT_LEAST_0: Wanted = limits(0.0, f64::INFINITY, false, false);
const MORE_THAN_0: Wanted = limits(0.0, f64::INFINITY, true, false);
const BELOW_1: Wanted = limits(0.0, 1.0, false, true);
const UNIT: Wanted = limits(0.0, 1.0, false, false);
const TEMPERATURE: Wanted = limits(1e-3, 1e3, false, false);

const fn limits(least: f64, most: f64, above: bool, below: bool) -> Wanted {
    Wanted::Number(Limits {
        least,
        most,
        above,
        below,
    })
}

/// The sections in their order, with what they are about; the first has the keys before any section.
pub const SECTIONS: [(&str, &str); 14] = [
    ("", "The run"),
    ("model", "What is trained on"),
    ("adapter", "What is trained"),
    ("data", "The problems"),
    ("prompt", "How a question becomes a prompt"),
    ("rollout", "How completions are sampled"),
    ("reward", "What a completion is worth"),
    ("advantage", "From rewards to advantages"),
    ("loss", "The loss of an update"),
    ("optimizer", "AdamW on v"),
    ("update", "How an update is computed"),
    ("evaluation", "What is measured on held-out problems"),
    ("checkpoint", "What is kept on the way"),
    ("guard", "When a run stops by itself"),
];

const INIT: Wanted =
    Wanted::Other("\"zeros\" or { uniform = SIZE }, SIZE more than 0, at most 1000");
const TEMPLATE: Wanted = Wanted::Other(crate::prompt::WANTED);
const CAP: Wanted = Wanted::Other("0, or a number of at least 1");
const VERIFIERS: &str =
    "a list of tables with kind, if need be weight, and the options of the kind";
const VERIFIER: &str = "a table with kind and its options, or an empty one";

macro_rules! keys {
    ($($path:literal: $wanted:expr => $meaning:literal)*) => {
        /// All keys, by section and in the order of the resolved copy.
        pub const KEYS: &[Key] = &[$(Key { path: $path, wanted: $wanted, meaning: $meaning }),*];
    };
}

keys! {
    "seed": ANY =>
        "The seed of samples, of the order of the problems, and of an init that is not zeros"
    "steps": FROM_1 =>
        "Steps of the run; each samples once"
    "epochs": ANY =>
        "Times that all problems are taken, in place of steps; 0 uses steps"

    "model.base": Wanted::Text =>
        "A checkpoint directory or a hub id"
    "model.dtype": Wanted::Choice(&["f32", "bf16"]) =>
        "The type that the model computes in"
    "model.device": Wanted::Choice(&["auto", "cpu", "cuda"]) =>
        "Where it runs"
    "model.threads": Wanted::Count(0, 1024) =>
        "Threads; 0 is one for each core; results do not depend on it"

    "adapter.rank": Wanted::Count(1, 64) =>
        "Singular directions of each module"
    "adapter.u": Wanted::Count(1, 65_535) =>
        "Trained numbers of each group"
    "adapter.groups": Wanted::Count(0, 16_777_216) =>
        "Number of groups; 0 gives each module its own"
    "adapter.n_tie": Wanted::Count(0, 16_777_216) =>
        "Modules of a group, in place of groups; 0 uses groups"
    "adapter.sharing": Wanted::Choice(&["tiled", "structured"]) =>
        "Whether neighbours are modules of one layer or of one type"
    "adapter.targets": Wanted::Texts =>
        "Ends of the names of the modules; none for the standard targets"
    "adapter.sigma_side": Wanted::Choice(&["left", "split", "right"]) =>
        "Where the singular values stand: as in the paper, PEFT, LoRA-XS"
    "adapter.projection_seed": ANY =>
        "Seed of the projections"
    "adapter.scale": limits(0.0, 1e9, true, false) =>
        "Factor of the whole update"
    "adapter.init": INIT =>
        "What v begins as: the base model, or numbers between plus and minus SIZE"
    "adapter.precision": Wanted::Choice(&["f32", "bf16", "f16"]) =>
        "The type that v is stored in"

    "data.train": Wanted::Text =>
        "JSONL with question and answer, and id if there are names"
    "data.eval": Wanted::Text =>
        "The same, held out; empty for none"
    "data.train_limit": ANY =>
        "Problems of train that are used; 0 is all"
    "data.eval_limit": ANY =>
        "Problems of eval that are used; 0 is all"
    "data.max_prompt_tokens": ANY =>
        "Longer prompts are left out; 0 leaves none out"
    "data.shuffle_seed": ANY =>
        "Seed of the order of the problems; 0 is the seed of the run"
    "data.gold": Wanted::Choice(&["auto", "hashes", "whole"]) =>
        "Where the gold answer is: after the last #### if there is one; after it in any case; the whole answer"

    "prompt.template": TEMPLATE =>
        "A chat with the question as the user's turn, the question alone, a published prompt, or your own text"
    "prompt.system": Wanted::Text =>
        "The system's turn of a chat; empty leaves it to the model's chat template"
    "prompt.prefix": Wanted::Text =>
        "Text before the question, with chat and plain"
    "prompt.suffix": Wanted::Text =>
        "Text after the question, with chat and plain"
    "prompt.stop": Wanted::Texts =>
        "Texts that end a completion, beside the model's own"

    "rollout.engine": Wanted::Choice(&["native"]) =>
        "What samples"
    "rollout.prompts_per_step": Wanted::Count(1, 65_536) =>
        "Problems of a step"
    "rollout.samples_per_prompt": Wanted::Count(2, 65_536) =>
        "Completions of each; one alone has nothing to be compared with"
    "rollout.temperature": TEMPERATURE =>
        "What logits are divided by"
    "rollout.top_p": limits(0.0, 1.0, true, false) =>
        "Nucleus; 1 is everything"
    "rollout.top_k": ANY =>
        "Most probable tokens; 0 is all"
    "rollout.max_new_tokens": Wanted::Count(1, 1_048_576) =>
        "Tokens of a completion at most"
    "rollout.slots": Wanted::Count(1, 65_536) =>
        "Completions that run at once; results do not depend on it"
    "rollout.resample": Wanted::Count(0, 1024) =>
        "Groups of equal rewards are replaced by others, at most so many times a step; 0 never"

    "reward.verifiers": Wanted::Other(VERIFIERS) =>
        "What is trained with; rewards are summed by weight, 1 if none is given"
    "reward.strict": Wanted::Other(VERIFIER) =>
        "The careful reading of an evaluation; empty takes that of the first verifier's kind"
    "reward.lenient": Wanted::Other(VERIFIER) =>
        "The generous reading of an evaluation; empty takes that of the first verifier's kind"
    "reward.truncated": Wanted::Choice(&["keep", "mask", "penalty"]) =>
        "Completions that were cut off count as they are, have no loss, or lose reward for length"
    "reward.overlong_buffer": Wanted::Count(0, 1_048_576) =>
        "With penalty: it begins so many tokens before the limit"
    "reward.shuffled": Wanted::Flag =>
        "The rewards of a step are exchanged at random between its completions: a control"

    "advantage.scale": Wanted::Choice(&["group", "batch", "none"]) =>
        "What they are divided by: the standard deviation of the group, of all, nothing"
    "advantage.epsilon": UNIT =>
        "Added to the standard deviation; TRL has 1e-4, verl 1e-6"

    "loss.kind": Wanted::Choice(&[
            "grpo", "dr_grpo", "dapo", "bnpo", "gspo", "cispo", "seq_mean_token_mean",
            "seq_mean_token_sum", "seq_mean_token_sum_norm",
        ]) =>
        "How tokens are weighted"
    "loss.ratio": Wanted::Choice(&["token", "sequence"]) =>
        "What the ratio to the policy that sampled is taken of"
    "loss.eps_low": UNIT =>
        "The ratio may fall below 1 by this"
    "loss.eps_high": AT_LEAST_0 =>
        "The ratio may rise above 1 by this; for cispo the cap of the ratio itself"
    "loss.delta": CAP =>
        "Cap of the ratio in the unclipped branch; 0 is none"
    "loss.dual_clip": CAP =>
        "No loss of a negative advantage is larger than this times its size; 0 is no limit"
    "loss.beta": AT_LEAST_0 =>
        "Weight of the KL penalty; 0 computes none"
    "loss.kl": Wanted::Choice(&["k1", "k2", "k3", "abs"]) =>
        "The estimate of the KL to the base"
    "loss.kl_ratio": Wanted::Flag =>
        "Whether it is multiplied by the ratio, as TRL does"
    "loss.clamp": Wanted::Flag =>
        "Whether log-ratios are cut to ±20 and k3 to ±10, as verl does"
    "loss.correction": Wanted::Choice(&[
            "none", "token_truncate", "token_mask", "sequence_truncate", "sequence_mask",
        ]) =>
        "Importance sampling for what the sampler computed otherwise"
    "loss.correction_cap": AT_LEAST_0 =>
        "The largest weight of the correction"
    "loss.correction_min": AT_LEAST_0 =>
        "The smallest weight of the correction"

    "optimizer.lr": AT_LEAST_0 =>
        "The learning rate"
    "optimizer.beta1": BELOW_1 =>
        "Decay of the mean of the gradient"
    "optimizer.beta2": BELOW_1 =>
        "Decay of the mean of its square"
    "optimizer.epsilon": MORE_THAN_0 =>
        "Added to the root of the latter"
    "optimizer.weight_decay": AT_LEAST_0 =>
        "Pull of v to 0, by lr times this at each step"
    "optimizer.clip": AT_LEAST_0 =>
        "Largest norm of the gradient; 0 does not clip"
    "optimizer.schedule": Wanted::Choice(&["constant", "linear", "cosine"]) =>
        "How the rate changes after the warm-up"
    "optimizer.warmup": ANY =>
        "Steps in which the rate rises in a line from 0"

    "update.updates_per_step": Wanted::Count(1, 1024) =>
        "Updates on the samples of a step"
    "update.micro_batch_tokens": Wanted::Count(1, 16_777_216) =>
        "Tokens that are computed together; a smaller number needs less memory"

    "evaluation.at_start": Wanted::Flag =>
        "Whether the untrained model is evaluated; without it nobody knows what training did"
    "evaluation.every": ANY =>
        "Steps from one evaluation to the next; 0 only at the beginning and the end"
    "evaluation.samples": Wanted::Count(0, 65_536) =>
        "Samples of each problem beside the greedy one, for avg@k and pass@k; 0 for none"
    "evaluation.temperature": TEMPERATURE =>
        "Their temperature"
    "evaluation.max_new_tokens": Wanted::Count(0, 1_048_576) =>
        "Tokens of a completion at most; 0 takes that of rollout"
    "evaluation.keep_best": Wanted::Flag =>
        "Whether the adapter is that of the best evaluation, rather than of the last step"
    "evaluation.patience": ANY =>
        "Evaluations without a better one after which the run ends; 0 never"

    "checkpoint.every": FROM_1 =>
        "Steps from one checkpoint to the next"
    "checkpoint.keep": ANY =>
        "How many are kept; 0 is all"

    "guard.max_kl": AT_LEAST_0 =>
        "The run ends when the KL to the base is larger; 0 never"
    "guard.stop_on_nan": Wanted::Flag =>
        "The run ends when a loss or gradient is no number; otherwise that update is left out"
}
