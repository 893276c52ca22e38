//! `target_modules`: names that select exactly the modules of an adapter, as PEFT matches them.

use std::collections::BTreeSet;

use super::ExportError;

/// The last parts of the names where these select nothing else in the base, otherwise full names.
///
/// PEFT takes a module whose name is one of the list, or ends with a dot and one of it.
///
/// # Errors
/// [`ExportError::Ambiguous`] if not even a full name selects just its module.
pub(super) fn target_modules(
    base: &BTreeSet<&str>,
    adapted: &[&str],
) -> Result<Vec<String>, ExportError> {
    let wanted: BTreeSet<&str> = adapted.iter().copied().collect();
    let others = |target: &str| {
        let mut selected = base.iter().copied().filter(|name| selects(target, name));
        selected.find(|name| !wanted.contains(name))
    };
    let mut targets: Vec<String> = Vec::new();
    for &name in adapted {
        let last = name.rsplit('.').next().unwrap_or(name);
        let target = match (others(last), others(name)) {
            (None, _) => last,
            (Some(_), None) => name,
            (Some(_), Some(other)) => {
                return Err(ExportError::Ambiguous {
                    module: name.to_owned(),
                    other: other.to_owned(),
                });
            }
        };
        if !targets.iter().any(|listed| listed == target) {
            targets.push(target.to_owned());
        }
    }
    Ok(targets)
}

/// The modules that tensors of these names belong to, and all that these are in.
pub(super) fn modules_of<'a>(tensors: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut modules = BTreeSet::new();
    for tensor in tensors {
        let ends = tensor.match_indices('.').map(|(dot, _)| dot);
        modules.extend(ends.filter_map(|end| tensor.get(..end)));
    }
    modules
}

fn selects(target: &str, name: &str) -> bool {
    let front = name.strip_suffix(target);
    front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT2: [&str; 6] = [
        "transformer.wte.weight",
        "transformer.h.0.attn.c_attn.weight",
        "transformer.h.0.attn.c_proj.weight",
        "transformer.h.0.mlp.c_proj.weight",
        "transformer.h.1.attn.c_attn.weight",
        "transformer.h.1.ln_1.bias",
    ];

    fn targets(adapted: &[&str]) -> Vec<String> {
        target_modules(&modules_of(GPT2.into_iter()), adapted).unwrap()
    }

    #[test]
    fn a_suffix_stands_for_all_modules_that_it_selects() {
        let adapted = [
            "transformer.h.0.attn.c_attn",
            "transformer.h.1.attn.c_attn",
            "transformer.wte",
        ];
        assert_eq!(targets(&adapted), ["c_attn", "wte"]);
    }

    #[test]
    fn a_suffix_that_selects_another_module_gives_way_to_full_names() {
        let adapted = ["transformer.h.0.attn.c_attn", "transformer.h.0.mlp.c_proj"];
        assert_eq!(targets(&adapted), adapted);
    }

    #[test]
    fn a_full_name_that_ends_another_is_ambiguous() {
        let base = modules_of(["q.weight", "x.q.weight"].into_iter());
        let error = target_modules(&base, &["q"]).unwrap_err();
        assert!(matches!(error, ExportError::Ambiguous { other, .. } if other == "x.q"));
    }
}
