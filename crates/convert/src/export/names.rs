//! What torch calls the modules of a base, and which way round PEFT wants their factors.

use tlora_checkpoint::{Checkpoint, Config, stores_transposed};
use tlora_rebuild::AdaptedModule;

use super::write::Tensor;
use crate::order::EMBEDDINGS;

/// The class of a module in torch, as far as PEFT treats it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Stores out × in.
    Linear,
    /// Stores in × out.
    Conv1d,
    /// Stores one row an index.
    Embedding,
}

impl Layer {
    /// Whether PEFT's LoRA adds (B·A)ᵀ to what is stored.
    pub(super) const fn turns_lora(self) -> bool {
        matches!(self, Self::Conv1d | Self::Embedding)
    }

    /// Whether PEFT's TinyLoRA adds (B·R·A)ᵀ to what is stored.
    pub(super) const fn turns_tinylora(self) -> bool {
        matches!(self, Self::Conv1d)
    }
}

/// A module as PEFT sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<'a> {
    pub(super) module: &'a AdaptedModule,
    /// Its name in the model that transformers makes of the base.
    pub(super) name: String,
    pub(super) layer: Layer,
}

impl<'a> Placed<'a> {
    /// Where a module of a base of this kind stands, whose names transformers puts `prefix` before.
    pub(super) fn new(module: &'a AdaptedModule, config: &Config, prefix: &str) -> Self {
        let name = &module.weight.name;
        let last = name.rsplit('.').next().unwrap_or(name);
        Self {
            module,
            name: format!("{prefix}{name}"),
            layer: if stores_transposed(config, name) {
                Layer::Conv1d
            } else if EMBEDDINGS.contains(&last) {
                Layer::Embedding
            } else {
                Layer::Linear
            },
        }
    }

    /// Whether PEFT's factors are ours transposed, in the other order. Both of them turn what they make for some weights,
    /// and write for the others as it is stored.
    pub(super) const fn is_turned(&self, peft_turns: bool) -> bool {
        peft_turns != self.module.weight.transposed
    }

    /// Rows of PEFT's B and columns of its A.
    pub(super) const fn sides(&self, peft_turns: bool) -> (usize, usize) {
        let weight = &self.module.weight;
        if self.is_turned(peft_turns) {
            (weight.in_features, weight.out_features)
        } else {
            (weight.out_features, weight.in_features)
        }
    }

    /// A tensor of the module.
    pub(super) fn tensor(&self, part: &str, shape: &[usize]) -> Tensor {
        Tensor::new(format!("base_model.model.{}.{part}", self.name), shape)
    }
}

/// What transformers puts before the names of a base's tensors: a model with a head has the rest of it under a name that
/// the files of some models leave out, such as those of the first GPT-2.
pub(super) fn prefix(checkpoint: &Checkpoint, config: &Config) -> &'static str {
    let prefix = match config.model_type() {
        Some("gpt2" | "gptj" | "bloom" | "falcon") => "transformer.",
        Some("gpt_neox") => "gpt_neox.",
        _ => "model.",
    };
    let tensors = checkpoint.tensors();
    if has_head(config) && !tensors.keys().any(|name| name.starts_with(prefix)) {
        prefix
    } else {
        ""
    }
}

/// Whether the class of the model is one with a head for language.
pub(super) fn has_head(config: &Config) -> bool {
    let architectures = config.architectures();
    let mut classes = architectures.iter();
    classes.any(|class| class.ends_with("ForCausalLM") || class.ends_with("LMHeadModel"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::has_head;

    fn config(value: Value) -> tlora_checkpoint::Config {
        let Value::Object(members) = value else {
            unreachable!("an object")
        };
        members.into()
    }

    #[test]
    fn the_class_of_a_model_says_whether_it_has_a_head() {
        let has = |class: &str| has_head(&config(json!({ "architectures": [class] })));
        assert!(has("Qwen2ForCausalLM"));
        assert!(has("GPT2LMHeadModel"));
        assert!(!has("LlamaModel"));
        assert!(!has_head(&config(json!({}))));
    }
}
