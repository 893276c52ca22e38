//! `[loss]` and `[optimizer]` have the keys, names and defaults of the room `grpo`, which reads what they are mapped to.
#![expect(clippy::unwrap_used, reason = "a test")]

use tlora_grpo::{LossSettings, OptimizerSettings};
use tlora_run::config::{RunConfig, keys};
use toml::Table;

/// Where 0 stands for a value that `grpo` leaves out.
const NONE_IS_0: [&str; 2] = ["delta", "dual_clip"];

fn section(name: &str) -> Table {
    let table = RunConfig::default().table().unwrap();
    table[name].as_table().unwrap().clone()
}

#[test]
fn keys_and_defaults_of_the_loss_are_those_of_grpo() {
    let mut found = section("loss");
    found.retain(|key, _| !NONE_IS_0.contains(&key));
    let wanted = Table::try_from(LossSettings::default()).unwrap();
    assert_eq!(found, wanted);
    for key in NONE_IS_0 {
        found.insert(key.to_owned(), 3.0.into());
    }
    let read: LossSettings = found.try_into().unwrap();
    assert_eq!((read.delta, read.dual_clip), (Some(3.0), Some(3.0)));
}

#[test]
fn keys_and_defaults_of_the_optimizer_are_those_of_grpo() {
    let wanted = Table::try_from(OptimizerSettings::default()).unwrap();
    assert_eq!(section("optimizer"), wanted);
}

#[test]
fn every_choice_of_the_loss_and_the_optimizer_is_one_of_grpo_and_no_other_is() {
    for key in keys::KEYS {
        let (keys::Wanted::Choice(choices), Some((section, name))) =
            (key.wanted, key.path.split_once('.'))
        else {
            continue;
        };
        let read = |choice: &str| {
            let table = Table::from_iter([(name.to_owned(), choice.into())]);
            match section {
                "loss" => table.try_into::<LossSettings>().err(),
                "optimizer" => table.try_into::<OptimizerSettings>().err(),
                _ => None,
            }
        };
        for choice in choices {
            assert_eq!(read(choice), None, "{}", key.path);
        }
        if let Some(error) = read("neither") {
            let names = error.message().matches('`').count() / 2 - 1;
            assert_eq!(names, choices.len(), "{}: {error}", key.path);
        }
    }
}
