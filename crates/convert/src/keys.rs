//! What the name of a tensor says, in the spellings of every peft release.

/// What a tensor of an adapter is; `&str` is its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// TinyLoRA: A, r × in.
    TinyA(&'a str),
    /// TinyLoRA: B, out × r.
    TinyB(&'a str),
    /// TinyLoRA: P, u × r × r.
    TinyP(&'a str),
    /// TinyLoRA: v of a group.
    TinyV(u32),
    /// The whole embedding, which peft stores when it is a target; the base has it.
    EmbeddingCopy(&'a str),
    /// LoRA or LoRA-XS: A.
    LoraA(&'a str),
    /// LoRA or LoRA-XS: B.
    LoraB(&'a str),
    /// LoRA-XS: R, r × r.
    LatentR(&'a str),
    /// A bias.
    Bias,
    /// Anything else.
    Other,
}

/// Makes the key of a module.
type OfModule<'a> = fn(&'a str) -> Key<'a>;

const MODEL: &str = "base_model.model.";
const VECTORS: &str = "base_model.tinylora_v.";
/// Up to peft 0.17 the name of the adapter was cut out of the middle of the key; from 0.18 on it is not.
const LATENT: [&str; 2] = [
    ".default_lora_latent_mapping.weight",
    "_lora_latent_mapping.weight",
];

impl<'a> Key<'a> {
    /// Reads a tensor's name.
    pub(crate) fn parse(name: &'a str) -> Self {
        if let Some(group) = name.strip_prefix(VECTORS) {
            return number(group).map_or(Self::Other, Self::TinyV);
        }
        let embedding = name.strip_suffix(".base_layer.weight");
        let Some(inner) = name.strip_prefix(MODEL) else {
            return embedding.map_or(Self::Other, Self::EmbeddingCopy);
        };
        let ends: [(&str, OfModule<'a>); 6] = [
            (".tinylora_A", Self::TinyA),
            (".tinylora_B", Self::TinyB),
            (".tinylora_P", Self::TinyP),
            (".lora_A.weight", Self::LoraA),
            (".lora_B.weight", Self::LoraB),
            (".base_layer.weight", Self::EmbeddingCopy),
        ];
        let latent = LATENT.map(|end| (end, Self::LatentR as OfModule<'a>));
        let found = ends.into_iter().chain(latent).find_map(|(end, key)| {
            Some(key(inner
                .strip_suffix(end)
                .filter(|name| !name.is_empty())?))
        });
        match found {
            Some(key) => key,
            None if name.ends_with(".bias") => Self::Bias,
            None => Self::Other,
        }
    }
}

/// A group's number as Python writes it.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn both_spellings_of_the_latent_mapping_name_the_same_module() {
        let module = "model.layers.0.self_attn.q_proj";
        for end in [
            "_lora_latent_mapping.weight",
            ".default_lora_latent_mapping.weight",
        ] {
            let name = format!("base_model.model.{module}{end}");
            assert_eq!(Key::parse(&name), Key::LatentR(module));
        }
    }

    #[test]
    fn a_group_is_a_number_as_python_writes_it() {
        assert_eq!(Key::parse("base_model.tinylora_v.12"), Key::TinyV(12));
        for name in [
            "base_model.tinylora_v.012",
            "base_model.tinylora_v.+1",
            "base_model.tinylora_v.",
            "base_model.tinylora_v.default.0",
        ] {
            assert_eq!(Key::parse(name), Key::Other, "{name}");
        }
    }

    #[test]
    fn an_embedding_is_known_with_and_without_the_prefix() {
        for name in [
            "base_model.model.model.embed_tokens.base_layer.weight",
            "model.embed_tokens.base_layer.weight",
        ] {
            assert_eq!(Key::parse(name), Key::EmbeddingCopy("model.embed_tokens"));
        }
    }

    #[test]
    fn anything_else_is_something_else() {
        assert_eq!(
            Key::parse("base_model.model.lm_head.modules_to_save.weight"),
            Key::Other
        );
        assert_eq!(Key::parse("base_model.model.q.bias"), Key::Bias);
        assert_eq!(Key::parse("model.q.tinylora_A"), Key::Other);
        assert_eq!(Key::parse("base_model.model..tinylora_A"), Key::Other);
    }
}
