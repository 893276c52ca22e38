//! Configurations from layers, and what they refuse.
#![expect(clippy::unwrap_used, reason = "a test")]

use tlora_run::config::{
    Correction, Init, KlKind, LossKind, PRESETS, RunConfig, Tying, keys, layered, preset,
};

fn read(text: &str) -> RunConfig {
    layered(None, Some(text), &[]).unwrap()
}

fn refused(text: &str) -> String {
    layered(None, Some(text), &[]).unwrap_err().to_string()
}

fn with(settings: &[&str]) -> RunConfig {
    layered(None, None, &texts(settings)).unwrap()
}

fn refused_setting(setting: &str) -> String {
    layered(None, None, &texts(&[setting]))
        .unwrap_err()
        .to_string()
}

fn texts(settings: &[&str]) -> Vec<String> {
    settings.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_gives_the_defaults() {
    assert_eq!(read(""), RunConfig::default());
    assert_eq!(
        layered(None, None, &[]).unwrap().optimizer.lr.to_bits(),
        1e-3_f64.to_bits()
    );
}

#[test]
fn the_defaults_pass_their_own_check() {
    RunConfig::default().check().unwrap();
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
    assert_eq!(
        refused("steps = 3\n\n[optimizer]\nlr = 1e-3\nwieght_decay = 0.1\n"),
        "line 5: there is no key optimizer.wieght_decay, did you mean optimizer.weight_decay?"
    );
    assert_eq!(
        refused("sede = 1\n"),
        "line 1: there is no key sede, did you mean seed?"
    );
    assert_eq!(
        refused("[optimiser]\nlr = 1\n"),
        "line 1: there is no key optimiser, did you mean optimizer?"
    );
}

#[test]
fn a_key_in_the_wrong_section_is_shown_where_it_belongs() {
    assert_eq!(
        refused("lr = 1e-3\n"),
        "line 1: there is no key lr, did you mean optimizer.lr?"
    );
    assert_eq!(
        refused("[rollout]\nmicro_batch_tokens = 9"),
        "line 2: there is no key rollout.micro_batch_tokens, did you mean update.micro_batch_tokens?"
    );
}

#[test]
fn nothing_is_suggested_for_a_key_that_is_like_none() {
    assert_eq!(
        refused("[loss]\nsomething_else = 9"),
        "line 2: there is no key loss.something_else"
    );
}

#[test]
fn a_value_of_another_type_is_named_with_its_key_and_line() {
    let message = refused("[optimizer]\n\nlr = \"much\"");
    assert!(message.starts_with("line 3: optimizer.lr: "), "{message}");
    let message = refused("[loss]\nkind = \"ppo\"");
    assert!(message.starts_with("line 2: loss.kind: "), "{message}");
    assert!(message.contains("dr_grpo"), "{message}");
    for (text, start) in [
        ("adapter = 3", "line 1: adapter: "),
        ("[[adapter]]\nu = 3", "line 1: "),
        ("steps = 1.5", "line 1: steps: "),
        ("steps = -1", "line 1: steps: "),
        ("[adapter]\nu = 70000", "line 2: adapter.u: "),
        (
            "[adapter]\ninit = { normal = 1.0 }",
            "line 2: adapter.init: ",
        ),
        ("[prompt]\nstop = [1]", "line 2: prompt.stop: "),
    ] {
        let message = refused(text);
        assert!(message.starts_with(start), "{text}: {message}");
    }
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    for (text, line) in [
        ("seed = 1\nsteps = \n", "line 2: "),
        ("seed = 1\nseed = 2\n", "line 2: "),
        ("[loss]\n[loss]\n", "line 2: "),
        ("\"\" = {}", "line 1: "),
    ] {
        let message = refused(text);
        assert!(message.starts_with(line), "{text}: {message}");
    }
}

#[test]
fn whole_numbers_stand_for_numbers() {
    let config = read("[optimizer]\nlr = 1\n[adapter]\nscale = 2\ninit = { uniform = 1 }");
    assert_eq!(config.optimizer.lr.to_bits(), 1_f64.to_bits());
    assert_eq!(config.adapter.init, Init::Uniform(1.0));
}

#[test]
fn values_out_of_range_are_named_with_what_is_wanted() {
    for (setting, wanted) in [
        (
            "adapter.rank=0",
            "adapter.rank is 0, wanted a whole number, 1 to 64",
        ),
        (
            "adapter.rank=65",
            "adapter.rank is 65, wanted a whole number, 1 to 64",
        ),
        ("steps=0", "steps is 0, wanted a whole number, 1 or more"),
        (
            "rollout.top_p=0",
            "rollout.top_p is 0.0, wanted a number, more than 0, at most 1",
        ),
        (
            "rollout.top_p=1.5",
            "rollout.top_p is 1.5, wanted a number, more than 0, at most 1",
        ),
        (
            "rollout.temperature=0",
            "rollout.temperature is 0.0, wanted a number, 0.001 to 1000",
        ),
        (
            "rollout.samples_per_prompt=1",
            "rollout.samples_per_prompt is 1, wanted a whole number, 2 to 65536",
        ),
        (
            "optimizer.beta2=1.0",
            "optimizer.beta2 is 1.0, wanted a number, 0 or more, below 1",
        ),
        (
            "optimizer.lr=-1e-3",
            "optimizer.lr is -0.001, wanted a number, 0 or more",
        ),
        (
            "optimizer.epsilon=0.0",
            "optimizer.epsilon is 0.0, wanted a number, more than 0",
        ),
        (
            "loss.eps_low=1.01",
            "loss.eps_low is 1.01, wanted a number, 0 to 1",
        ),
        (
            "loss.delta=0.5",
            "loss.delta is 0.5, wanted 0, or a number of at least 1",
        ),
        (
            "loss.dual_clip=nan",
            "loss.dual_clip is nan, wanted 0, or a number of at least 1",
        ),
        (
            "adapter.init={ uniform = 0.0 }",
            "adapter.init is { uniform = 0.0 }, wanted a size of more than 0, at most 1000",
        ),
        (
            "checkpoint.every=0",
            "checkpoint.every is 0, wanted a whole number, 1 or more",
        ),
        (
            "prompt.template=chatty",
            "prompt.template is \"chatty\", wanted \"chat\", \"plain\", \"qwen-boxed\", \"gsm8k-hash\" or a text with {question} once",
        ),
        (
            "reward.verifiers=[]",
            "reward.verifiers is [], wanted one verifier or more",
        ),
        (
            "reward.verifiers=[{ weight = 1.0 }]",
            "reward.verifiers is { weight = 1.0 }, wanted a table with kind, such as { kind = \"gsm8k\" }",
        ),
        (
            "reward.verifiers=[{ kind = \"gsm8k\", weight = \"much\" }]",
            "reward.verifiers is { kind = \"gsm8k\", weight = \"much\" }, wanted a weight that is a number",
        ),
        (
            "reward.strict={ mode = \"hash\" }",
            "reward.strict is { mode = \"hash\" }, wanted a table with kind, such as { kind = \"gsm8k\" }",
        ),
    ] {
        assert_eq!(refused_setting(setting), wanted);
    }
}

#[test]
fn no_infinity_or_nan_is_accepted_anywhere() {
    let table = RunConfig::default().table().unwrap();
    let mut tried = 0;
    for key in keys::KEYS {
        let (section, name) = key.path.split_once('.').unwrap_or(("", key.path));
        let value = if section.is_empty() {
            &table[name]
        } else {
            &table[section][name]
        };
        if value.is_float() {
            tried += 1;
            for bad in ["inf", "-inf", "nan"] {
                let message = refused_setting(&format!("{}={bad}", key.path));
                assert!(
                    message.starts_with(&format!("{} is ", key.path)),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(tried, 19);
    refused_setting("adapter.init={ uniform = inf }");
    refused_setting("reward.verifiers=[{ kind = \"regex\", threshold = { low = [nan] } }]");
    refused_setting("reward.lenient={ kind = \"regex\", threshold = inf }");
}

#[test]
fn settings_that_only_make_sense_together_are_checked_together() {
    assert_eq!(
        refused("[guard]\nmax_kl = 0.1"),
        "guard.max_kl is 0.1, wanted 0 while loss.beta is 0: no KL is computed then"
    );
    read("[guard]\nmax_kl = 0.1\n[loss]\nbeta = 0.01");
    assert_eq!(
        refused("[loss]\ncorrection_min = 3.0"),
        "loss.correction_cap is 2, wanted a number that is not below loss.correction_min"
    );
    assert_eq!(
        refused("[reward]\ntruncated = \"penalty\""),
        "reward.overlong_buffer is 0, wanted 1 to 256, the value of rollout.max_new_tokens, with reward.truncated = \"penalty\""
    );
    read("[reward]\ntruncated = \"penalty\"\noverlong_buffer = 256");
}

#[test]
fn a_training_needs_a_base_and_problems_and_a_choice_needs_held_out_ones() {
    let mut config = RunConfig::default();
    let message = |config: &RunConfig| config.check_inputs().unwrap_err().to_string();
    assert_eq!(
        message(&config),
        "model.base is \"\", wanted a checkpoint directory or a hub id"
    );
    config.model.base = "base".to_owned();
    assert_eq!(
        message(&config),
        "data.train is \"\", wanted a file of problems"
    );
    config.data.train = "train.jsonl".into();
    config.check_inputs().unwrap();
    config.evaluation.keep_best = true;
    assert!(message(&config).starts_with("data.eval is \"\""));
    config.data.eval = "eval.jsonl".into();
    config.check_inputs().unwrap();
}

#[test]
fn a_later_layer_replaces_values_and_leaves_the_others() {
    let settings = texts(&["optimizer.lr=3e-5", "loss.kind=grpo"]);
    let file = "steps = 7\n[optimizer]\nlr = 1e-2\nclip = 0.5";
    let config = layered(Some(preset("paper-math").unwrap()), Some(file), &settings).unwrap();
    assert_eq!(config.steps, 7);
    assert_eq!(config.optimizer.lr.to_bits(), 3e-5_f64.to_bits());
    assert_eq!(config.optimizer.clip.to_bits(), 0.5_f64.to_bits());
    assert_eq!(config.optimizer.weight_decay.to_bits(), 0.01_f64.to_bits());
    assert_eq!(config.loss.kind, LossKind::Grpo);
    assert_eq!(config.rollout.prompts_per_step, 256);
}

#[test]
fn a_verifier_of_a_later_layer_keeps_nothing_of_the_one_before() {
    let first = "[reward]\nstrict = { kind = \"gsm8k\", mode = \"hash\" }\n\
                 verifiers = [{ kind = \"gsm8k\", mode = \"hash\" }]";
    let second = "[reward]\nstrict = { kind = \"number\" }\nverifiers = [{ kind = \"number\" }]";
    let config = layered(Some(first), Some(second), &[]).unwrap();
    assert_eq!(config.reward.strict.len(), 1);
    assert_eq!(config.verifiers()[0].settings.len(), 1);
}

#[test]
fn single_settings_need_no_quotes_and_have_the_type_of_their_key() {
    let config = with(&[
        "model.base=2024",
        "data.train=true",
        "prompt.suffix= = ",
        "prompt.system=\"  indented\"",
        "adapter.targets=q_proj",
        "prompt.stop=[\"a\", \"b\"]",
        "seed = 7",
        "evaluation.keep_best=true",
    ]);
    assert_eq!(config.model.base, "2024");
    assert_eq!(config.data.train.as_os_str(), "true");
    assert_eq!(config.prompt.suffix, "=");
    assert_eq!(config.prompt.system, "  indented");
    assert_eq!(config.adapter.targets, ["q_proj"]);
    assert_eq!(config.prompt.stop, ["a", "b"]);
    assert_eq!(config.seed, 7);
    assert!(config.evaluation.keep_best);
}

#[test]
fn parts_of_a_table_are_set_one_by_one() {
    let config = with(&[
        "adapter.init.uniform=0.02",
        "reward.strict.kind=gsm8k",
        "reward.strict.mode=hash",
    ]);
    assert_eq!(config.adapter.init, Init::Uniform(0.02));
    assert_eq!(config.reward.strict["mode"].as_str(), Some("hash"));
    assert_eq!(config.reward.strict["kind"].as_str(), Some("gsm8k"));
    assert_eq!(
        with(&["adapter.init.uniform=0.02", "adapter.init=zeros"])
            .adapter
            .init,
        Init::Zeros
    );
}

#[test]
fn single_settings_are_refused_as_those_of_a_file_are() {
    assert_eq!(
        refused_setting("optimizer.learning_rate=1"),
        "there is no key optimizer.learning_rate"
    );
    assert_eq!(
        refused_setting("optimzer.lr=1"),
        "there is no key optimzer.lr, did you mean optimizer.lr?"
    );
    assert_eq!(
        refused_setting("optimizer"),
        "\"optimizer\" is not KEY=VALUE, such as optimizer.lr=1e-4"
    );
    for setting in [
        "optimizer.lr=fast",
        "optimizer.lr=",
        "optimizer.lr=1\nseed = 2",
        "steps=1.5",
    ] {
        let key = setting.split('=').next().unwrap();
        let message = refused_setting(setting);
        assert!(message.starts_with(&format!("{key}: ")), "{message}");
    }
    assert!(refused_setting("optimizer=3").starts_with("there is no key optimizer"));
    assert!(refused_setting("optimizer.lr.x=3").starts_with("there is no key optimizer.lr.x"));
}

#[test]
fn weights_of_verifiers_stand_apart_from_their_settings() {
    let config = read(
        "[reward]\nverifiers = [{ kind = \"gsm8k\", mode = \"hash\" }, { kind = \"regex\", weight = 2 }]",
    );
    let verifiers = config.verifiers();
    assert_eq!(verifiers[0].weight.to_bits(), 1_f64.to_bits());
    assert_eq!(verifiers[0].settings["mode"].as_str(), Some("hash"));
    assert_eq!(verifiers[1].weight.to_bits(), 2_f64.to_bits());
    assert!(!verifiers[1].settings.contains_key("weight"));
}

#[test]
fn epochs_replace_steps_and_leave_the_rest_of_an_epoch_out() {
    let mut config = RunConfig::default();
    assert_eq!(config.total_steps(7473), 100);
    // The paper's: 3 × ⌊7473 / 64⌋ and 3 × ⌊8523 / 256⌋.
    config.epochs = 3;
    config.rollout.prompts_per_step = 64;
    assert_eq!(config.total_steps(7473), 348);
    config.rollout.prompts_per_step = 256;
    assert_eq!(config.total_steps(8523), 99);
    // Fewer problems than a step takes: each step takes all.
    assert_eq!(config.total_steps(100), 3);
}

#[test]
fn what_groups_and_n_tie_come_to() {
    assert_eq!(RunConfig::default().adapter.tying(), Tying::Groups(1));
    assert_eq!(with(&["adapter.groups=0"]).adapter.tying(), Tying::Untied);
    assert_eq!(with(&["adapter.n_tie=7"]).adapter.tying(), Tying::NTie(7));
}

#[test]
fn zero_takes_the_value_of_another_key() {
    let mut config = RunConfig::default();
    assert_eq!((config.order_seed(), config.evaluation_tokens()), (42, 256));
    config.data.shuffle_seed = 9;
    config.evaluation.max_new_tokens = 12;
    assert_eq!((config.order_seed(), config.evaluation_tokens()), (9, 12));
}

#[test]
fn paths_are_read_from_the_directory_of_the_file() {
    let mut config = read("[data]\ntrain = \"a/train.jsonl\"");
    config.resolve_paths(std::path::Path::new("there"));
    assert_eq!(
        config.data.train,
        std::path::Path::new("there/a/train.jsonl")
    );
    assert_eq!(config.data.eval, std::path::Path::new(""));
}

#[test]
fn every_preset_is_a_valid_configuration() {
    for (name, text) in PRESETS {
        let config = layered(Some(text), None, &[]);
        assert!(config.is_ok(), "{name}: {config:?}");
    }
    assert_eq!(
        preset("paper").unwrap_err().to_string(),
        "there is no preset \"paper\"; there are paper-gsm8k, paper-math, tiny"
    );
}

#[test]
fn the_presets_have_the_numbers_of_the_paper() {
    let of = |name| layered(Some(preset(name).unwrap()), None, &[]).unwrap();
    let gsm8k = of("paper-gsm8k");
    let rollout = &gsm8k.rollout;
    assert_eq!(
        (rollout.prompts_per_step, rollout.samples_per_prompt),
        (64, 4)
    );
    assert_eq!((gsm8k.steps, rollout.max_new_tokens), (348, 4096));
    assert_eq!(gsm8k.loss.beta.to_bits(), 0_f64.to_bits());
    assert_eq!(gsm8k.prompt.template, "gsm8k-hash");
    let math = of("paper-math");
    let rollout = &math.rollout;
    assert_eq!(
        (rollout.prompts_per_step, rollout.samples_per_prompt),
        (256, 8)
    );
    assert_eq!((math.steps, rollout.max_new_tokens), (99, 3072));
    assert_eq!(math.data.max_prompt_tokens, 1024);
    assert_eq!(
        (math.loss.kl, math.loss.beta.to_bits()),
        (KlKind::K3, 0.001_f64.to_bits())
    );
    assert_eq!(math.prompt.template, "qwen-boxed");
    for config in [gsm8k, math] {
        let optimizer = &config.optimizer;
        let numbers = [
            optimizer.beta1,
            optimizer.beta2,
            optimizer.weight_decay,
            optimizer.clip,
        ];
        assert_eq!(numbers, [0.9, 0.999, 0.01, 1.0]);
        assert_eq!([config.loss.eps_low, config.loss.eps_high], [0.2, 0.2]);
        assert!([1e-7, 5e-7, 1e-6, 5e-6, 1e-5, 1e-4, 2e-4].contains(&optimizer.lr));
        assert_eq!(config.loss.correction, Correction::TokenTruncate);
        assert_eq!(
            (config.adapter.rank, config.adapter.u, config.adapter.groups),
            (2, 13, 1)
        );
        assert_eq!(config.update.updates_per_step, 1);
    }
}
