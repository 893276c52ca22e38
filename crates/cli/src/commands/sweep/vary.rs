//! `--vary`: which settings take which values, and all their combinations.

use std::collections::BTreeSet;

/// The most runs of a sweep.
const MAX_RUNS: usize = 10_000;

/// A setting and its values, or several whose values go together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Axis {
    keys: Vec<String>,
    /// One value for each key.
    values: Vec<Vec<String>>,
}

/// The settings of one run that others have with other values, in the order of the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Combination {
    pub(crate) settings: Vec<(String, String)>,
}

impl Combination {
    /// Such as `lr=1e-3,seed=1`, from characters that a file name may have everywhere.
    pub(crate) fn name(&self) -> String {
        let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let unique = |name: &str| {
            let same = self.settings.iter().filter(|(key, _)| short(key) == name);
            same.count() == 1
        };
        let part = |(key, value): &(String, String)| {
            let name = Some(short(key)).filter(|name| unique(name));
            format!("{}={value}", name.unwrap_or_else(|| key.clone()))
        };
        let parts: Vec<String> = self.settings.iter().map(part).collect();
        let safe = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | '=' | ',' | '+' => c,
            _ => '_',
        };
        parts.join(",").chars().map(safe).collect()
    }

    /// As `--set` takes them.
    pub(crate) fn overrides(&self) -> Vec<String> {
        let one = |(key, value): &(String, String)| format!("{key}={value}");
        self.settings.iter().map(one).collect()
    }
}

/// All combinations, the last option's values next to each other.
///
/// # Errors
/// A sentence that says which option is wrong, and why.
pub(crate) fn combinations(options: &[String]) -> Result<Vec<Combination>, String> {
    let axes = options.iter().map(|text| axis(text));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let mut keys = BTreeSet::new();
    for key in axes.iter().flat_map(|axis| &axis.keys) {
        if !keys.insert(key) {
            return Err(format!("{key} is varied twice"));
        }
    }
    let mut all = vec![Vec::new()];
    for axis in &axes {
        let count = all.len().saturating_mul(axis.values.len());
        if count > MAX_RUNS {
            return Err(format!("{count} runs are more than {MAX_RUNS}"));
        }
        let extended = |before: &Vec<(String, String)>, values: &Vec<String>| {
            let pairs = axis.keys.iter().cloned().zip(values.iter().cloned());
            before.iter().cloned().chain(pairs).collect()
        };
        all = all
            .iter()
            .flat_map(|before| {
                axis.values
                    .iter()
                    .map(move |values| extended(before, values))
            })
            .collect();
    }
    let all: Vec<Combination> = all
        .into_iter()
        .map(|settings| Combination { settings })
        .collect();
    let mut names = BTreeSet::new();
    for name in all.iter().map(Combination::name) {
        if !names.insert(name.to_lowercase()) {
            return Err(format!("two runs would have the name {name}"));
        }
    }
    Ok(all)
}

fn axis(text: &str) -> Result<Axis, String> {
    let wrong = |why: &str| format!("--vary {text:?}: {why}");
    let (keys, values) = text
        .split_once('=')
        .ok_or_else(|| wrong("wanted KEY=V1,V2, such as optimizer.lr=1e-4,1e-3"))?;
    let keys: Vec<String> = keys.split(',').map(|key| key.trim().to_owned()).collect();
    if keys.iter().any(String::is_empty) {
        return Err(wrong("a name is empty"));
    }
    let mut rows = Vec::new();
    for value in split(values, ',') {
        let row = match keys.len() {
            1 => vec![value.clone()],
            _ => split(&value, ':'),
        };
        if row.iter().any(String::is_empty) {
            return Err(wrong("a value is empty"));
        }
        if row.len() != keys.len() {
            return Err(wrong(&format!(
                "{value:?} has {} values for {} names",
                row.len(),
                keys.len()
            )));
        }
        rows.push(row);
    }
    Ok(Axis { keys, values: rows })
}

/// The parts between separators that are in no brackets and no quotes.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_usize, None);
    for c in text.chars() {
        match (quoted, c) {
            (Some(quote), _) if c == quote => quoted = None,
            (None, '"' | '\'') => quoted = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) if c == separator && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::combinations;

    fn names(options: &[&str]) -> Result<Vec<String>, String> {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        combinations(&options).map(|all| all.iter().map(super::Combination::name).collect())
    }

    #[test]
    fn every_value_of_one_setting_meets_every_value_of_another() {
        assert_eq!(
            names(&["optimizer.lr=1e-3,1e-2", "seed=1,2"]).as_deref(),
            Ok(&[
                "lr=1e-3,seed=1",
                "lr=1e-3,seed=2",
                "lr=1e-2,seed=1",
                "lr=1e-2,seed=2"
            ]
            .map(str::to_owned)[..])
        );
    }

    #[test]
    fn values_of_several_names_go_together() {
        assert_eq!(
            names(&["adapter.u,adapter.groups=1:1, 4:13"]).as_deref(),
            Ok(&["u=1,groups=1", "u=4,groups=13"].map(str::to_owned)[..])
        );
    }

    #[test]
    fn commas_in_brackets_and_quotes_do_not_separate() {
        let options = [
            "adapter.targets=[\"q_proj\", \"v_proj\"],[]".to_owned(),
            "prompt.text=\"{question}, please\"".to_owned(),
        ];
        let all = combinations(&options).unwrap_or_default();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0].overrides(),
            [
                "adapter.targets=[\"q_proj\", \"v_proj\"]",
                "prompt.text=\"{question}, please\""
            ]
        );
    }

    #[test]
    fn settings_of_one_last_name_keep_their_first_ones() {
        assert_eq!(
            names(&["rollout.temperature=1", "evaluation.temperature=2"]).as_deref(),
            Ok(&["rollout.temperature=1,evaluation.temperature=2".to_owned()][..])
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (options, wanted) in [
            (&["seed"][..], "KEY=V1,V2"),
            (&["seed=1,"], "a value is empty"),
            (&["=1"], "a name is empty"),
            (&["adapter.u,adapter.groups=1:1,4"], "1 values for 2 names"),
            (&["seed=1", "seed=2"], "seed is varied twice"),
            (&["seed=1,1"], "two runs would have the name seed=1"),
        ] {
            let found = names(options);
            assert!(
                found.as_ref().is_err_and(|error| error.contains(wanted)),
                "{options:?}: {found:?}"
            );
        }
    }
}
