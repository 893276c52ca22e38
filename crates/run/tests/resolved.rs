//! The resolved copy and the reference: complete, the same again when read, and as the documents have them.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use tlora_run::config::{PRESETS, RunConfig, keys, layered, reference};

/// A configuration that has nothing by default that can be otherwise.
const OTHER: &str = r##"
seed = 9223372036854775807
steps = 3
epochs = 2
[model]
base = "a\"b\\c"
dtype = "bf16"
device = "cuda"
threads = 3
[adapter]
rank = 3
u = 4
groups = 5
n_tie = 6
sharing = "structured"
targets = ["q_proj", "with \"quotes\""]
sigma_side = "right"
projection_seed = 7
scale = 0.1
init = { uniform = 1e-300 }
precision = "f16"
[data]
train = "a b.jsonl"
eval = "ü.jsonl"
train_limit = 1
eval_limit = 2
max_prompt_tokens = 3
shuffle_seed = 4
gold = "hashes"
[prompt]
template = "Q: {question}\n\tA:\u0000 '''\"\"\""
stop = ["\n\n", "</s>"]
[rollout]
prompts_per_step = 9
samples_per_prompt = 10
temperature = 0.7
top_p = 0.1
top_k = 11
max_new_tokens = 12
slots = 13
resample = 14
[reward]
verifiers = [{ kind = "regex", pattern = '#### (\d+)', weight = 0.3, nested = { list = [1, 2.5] } }, { kind = "gsm8k" }]
strict = { kind = "gsm8k", mode = "hash-strict" }
lenient = { kind = "gsm8k", mode = "lenient" }
truncated = "penalty"
overlong_buffer = 5
shuffled = true
[advantage]
scale = "none"
epsilon = 1e-6
[loss]
kind = "gspo"
ratio = "sequence"
eps_low = 3e-4
eps_high = 4e-4
delta = 4.0
dual_clip = 3.0
beta = 1e-3
kl = "k1"
kl_ratio = true
clamp = true
correction = "sequence_mask"
correction_cap = 1e22
correction_min = 0.5
[optimizer]
lr = 1e-7
beta1 = 0.8
beta2 = 0.95
epsilon = 5e-324
weight_decay = 0.1
clip = 0.0
schedule = "cosine"
warmup = 5
[update]
updates_per_step = 2
micro_batch_tokens = 100
[evaluation]
at_start = false
every = 3
samples = 4
temperature = 0.6
max_new_tokens = 5
keep_best = true
patience = 6
[checkpoint]
every = 7
keep = 8
[guard]
max_kl = 0.5
stop_on_nan = false
"##;

fn read(text: &str) -> RunConfig {
    layered(None, Some(text), &[]).unwrap()
}

fn all() -> Vec<RunConfig> {
    let presets = PRESETS.into_iter().map(|(_, text)| read(text));
    presets.chain([RunConfig::default(), read(OTHER)]).collect()
}

#[test]
fn a_resolved_copy_reads_back_as_the_same_configuration() {
    for config in all() {
        let text = config.resolved().unwrap();
        let again = read(&text);
        assert_eq!(again, config);
        assert_eq!(again.resolved().unwrap(), text);
    }
}

#[test]
fn a_resolved_copy_has_every_key_with_a_comment_and_fits_a_run_directory() {
    for config in all() {
        let text = config.resolved().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for key in keys::KEYS {
            let comment = format!("# {} (", key.meaning);
            let at = lines.iter().position(|line| line.starts_with(&comment));
            let at = at.unwrap_or_else(|| panic!("{} has no comment", key.path));
            let name = key.path.rsplit('.').next().unwrap();
            assert!(
                lines[at + 1].starts_with(&format!("{name} = ")),
                "{}",
                key.path
            );
        }
        // docs/run-directory.md: a file that is read whole has at most 1 MiB.
        assert!(text.len() < 1 << 20);
        assert!(text.ends_with('\n'));
    }
}

#[test]
fn the_table_of_keys_is_that_of_the_types() {
    let table = RunConfig::default().table().unwrap();
    let mut of_types = BTreeSet::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(section) => of_types.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => drop(of_types.insert(name.clone())),
        }
    }
    let of_keys: BTreeSet<String> = keys::KEYS.iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(of_keys, of_types);
    assert_eq!(of_keys.len(), keys::KEYS.len(), "a key stands there twice");
}

#[test]
fn the_test_above_tries_a_value_of_each_key_that_is_not_the_default() {
    let (default, other) = (
        RunConfig::default().table().unwrap(),
        read(OTHER).table().unwrap(),
    );
    let mut same: Vec<&str> = Vec::new();
    for key in keys::KEYS {
        let of = |table: &toml::Table| match key.path.split_once('.') {
            Some((section, name)) => table[section][name].clone(),
            None => table[key.path].clone(),
        };
        if of(&default) == of(&other) {
            same.push(key.path);
        }
    }
    // There is one engine, and a whole template leaves nothing to put around the question.
    assert_eq!(
        same,
        [
            "prompt.system",
            "prompt.prefix",
            "prompt.suffix",
            "rollout.engine"
        ]
    );
}

#[test]
fn the_choices_of_the_table_are_those_of_the_types() {
    let mut tried = 0;
    for key in keys::KEYS {
        let keys::Wanted::Choice(choices) = key.wanted else {
            continue;
        };
        for choice in choices {
            let mut settings = vec![format!("{}={choice}", key.path)];
            if *choice == "penalty" {
                settings.push("reward.overlong_buffer=1".to_owned());
            }
            assert!(layered(None, None, &settings).is_ok(), "{settings:?}");
            tried += 1;
        }
        let message = layered(None, None, &[format!("{}=neither", key.path)])
            .unwrap_err()
            .to_string();
        for choice in choices {
            assert!(message.contains(&format!("`{choice}`")), "{message}");
        }
        assert_eq!(
            message.matches('`').count(),
            2 * choices.len() + 2,
            "{message}"
        );
    }
    assert!(tried > 40);
}

#[test]
fn the_reference_in_the_documents_is_this_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/train-config.md");
    let document = fs_err::read_to_string(path).unwrap();
    let (before, found) = document.split_once(MARK).unwrap();
    let wanted = reference().unwrap();
    if std::env::var_os("TLORA_WRITE_DOCS").is_some() {
        fs_err::write(path, format!("{before}{MARK}{wanted}")).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "docs/train-config.md is not what the keys say: TLORA_WRITE_DOCS=1 cargo test --release -p tlora-run writes it"
    );
}

const MARK: &str = "<!-- From here on written by a test of crates/run. -->\n\n";
