//! The order in which PEFT numbers the modules: that of `named_modules()`, which the files of a model do not show.
//!
//! It is known for the usual families (measured with transformers 5.23): embeddings, then layers by number and in a
//! layer as the family registers its parts, then the head.

/// Where a module stands among the others; smaller is earlier.
type Place = (u8, u64, usize);

/// Embeddings, by the last part of their names.
pub(crate) const EMBEDDINGS: [&str; 6] = [
    "embed_tokens",
    "wte",
    "wpe",
    "embed_in",
    "word_embeddings",
    "embed_positions",
];
const AFTER: [&str; 3] = ["lm_head", "embed_out", "score"];

const LLAMA: &[&str] = &[
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];
const FUSED_MLP: &[&str] = &[
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_up_proj",
    "mlp.down_proj",
];
const NEOX: &[&str] = &[
    "query_key_value",
    "dense",
    "mlp.dense_h_to_4h",
    "mlp.dense_4h_to_h",
];

/// Families by `model_type`, and the parts of a layer in the order in which `named_modules()` has them.
const FAMILIES: [(&[&str], &[&str]); 9] = [
    (
        &[
            "llama",
            "qwen2",
            "qwen3",
            "mistral",
            "gemma",
            "gemma2",
            "gemma3_text",
            "olmo",
            "olmo2",
            "granite",
            "cohere",
            "stablelm",
            "smollm3",
            "exaone4",
            "helium",
        ],
        LLAMA,
    ),
    (&["glm", "glm4"], FUSED_MLP),
    (
        &["phi3"],
        &[
            "self_attn.o_proj",
            "self_attn.qkv_proj",
            "mlp.gate_up_proj",
            "mlp.down_proj",
        ],
    ),
    (
        &["phi"],
        &[
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.dense",
            "mlp.fc1",
            "mlp.fc2",
        ],
    ),
    (
        &["starcoder2"],
        &[
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.c_fc",
            "mlp.c_proj",
        ],
    ),
    (
        &["gpt2"],
        &["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
    ),
    (
        &["gptj"],
        &[
            "attn.k_proj",
            "attn.v_proj",
            "attn.q_proj",
            "attn.out_proj",
            "mlp.fc_in",
            "mlp.fc_out",
        ],
    ),
    (
        &["opt"],
        &[
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.q_proj",
            "self_attn.out_proj",
            "fc1",
            "fc2",
        ],
    ),
    (&["gpt_neox", "bloom", "falcon"], NEOX),
];

/// The modules in the order of `named_modules()`, if the family is known and every module is one of its parts.
pub(crate) fn expected(model_type: Option<&str>, modules: &[String]) -> Option<Vec<String>> {
    let model_type = model_type?;
    let (_, parts) = FAMILIES
        .iter()
        .find(|(families, _)| families.contains(&model_type))?;
    let placed = modules
        .iter()
        .map(|module| Some((place(module, parts)?, module)));
    let mut placed: Vec<(Place, &String)> = placed.collect::<Option<_>>()?;
    placed.sort_unstable();
    // Two modules at one place, such as those of two towers, have no known order.
    let distinct = placed.windows(2).all(|pair| pair[0].0 < pair[1].0);
    distinct.then(|| {
        placed
            .into_iter()
            .map(|(_, module)| module.clone())
            .collect()
    })
}

fn place(module: &str, parts: &[&str]) -> Option<Place> {
    let names: Vec<&str> = module.split('.').collect();
    let is_number =
        |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = names.iter().filter(|name| is_number(name)).count();
    let last = *names.last()?;
    let position = |list: &[&str], name: &str| list.iter().position(|&listed| listed == name);
    match numbers {
        0 => position(&EMBEDDINGS, last)
            .map(|position| (0, 0, position))
            .or_else(|| position(&AFTER, last).map(|position| (2, 0, position))),
        1 => {
            let number = names.iter().position(is_number)?;
            let layer = names.get(number)?.parse().ok()?;
            let part = names.get(number.checked_add(1)?..)?.join(".");
            let part = parts
                .iter()
                .position(|&known| part == known || part.ends_with(&format!(".{known}")))?;
            Some((1, layer, part))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::expected;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn layers_are_numbers_and_the_head_is_last() {
        let wanted = names(&[
            "model.embed_tokens",
            "model.layers.2.self_attn.v_proj",
            "model.layers.2.mlp.gate_proj",
            "model.layers.10.self_attn.q_proj",
            "lm_head",
        ]);
        let mut shuffled = wanted.clone();
        shuffled.sort();
        assert_ne!(shuffled, wanted);
        assert_eq!(expected(Some("qwen2"), &shuffled), Some(wanted));
    }

    #[test]
    fn phi3_has_its_output_projection_first() {
        let wanted = names(&[
            "model.layers.0.self_attn.o_proj",
            "model.layers.0.self_attn.qkv_proj",
        ]);
        let reversed = wanted.iter().rev().cloned().collect::<Vec<_>>();
        assert_eq!(expected(Some("phi3"), &reversed), Some(wanted));
    }

    #[test]
    fn gpt_2_has_two_output_projections_in_a_layer() {
        let wanted = names(&[
            "transformer.wte",
            "transformer.h.0.attn.c_attn",
            "transformer.h.0.attn.c_proj",
            "transformer.h.0.mlp.c_fc",
            "transformer.h.0.mlp.c_proj",
        ]);
        let mut shuffled = wanted.clone();
        shuffled.reverse();
        assert_eq!(expected(Some("gpt2"), &shuffled), Some(wanted));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let modules = names(&["model.layers.0.self_attn.q_proj"]);
        assert_eq!(expected(Some("mystery"), &modules), None);
        assert_eq!(expected(None, &modules), None);
        assert_eq!(
            expected(Some("llama"), &names(&["model.layers.0.mlp.router"])),
            None
        );
        assert_eq!(
            expected(
                Some("llama"),
                &names(&["model.layers.0.mlp.experts.0.up_proj"])
            ),
            None
        );
        let towers = names(&[
            "vision.layers.0.self_attn.q_proj",
            "text.layers.0.self_attn.q_proj",
        ]);
        assert_eq!(expected(Some("llama"), &towers), None);
    }
}
