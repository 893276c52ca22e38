//! Settings as they stand in a configuration.

use tlora_grpo::{KlKind, LossKind, LossSettings, OptimizerSettings};

fn loss_settings(json: &str) -> Result<LossSettings, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn what_is_absent_is_the_default() {
    assert_eq!(loss_settings("{}").unwrap(), LossSettings::default());
    let found = loss_settings(r#"{ "kind": "dr_grpo", "kl": "k2", "beta": 0.001 }"#).unwrap();
    let wanted = LossSettings {
        kind: LossKind::DrGrpo,
        kl: KlKind::K2,
        beta: 0.001,
        ..LossSettings::default()
    };
    assert_eq!(found, wanted);
}

#[test]
fn an_unknown_key_or_name_is_refused() {
    let found = loss_settings(r#"{ "epsilon_high": 0.28 }"#).unwrap_err();
    assert!(found.to_string().contains("epsilon_high"), "{found}");
    assert!(loss_settings(r#"{ "kind": "ppo" }"#).is_err());
    assert!(serde_json::from_str::<OptimizerSettings>(r#"{ "learning_rate": 1 }"#).is_err());
}

#[test]
fn settings_that_are_written_are_read_again() {
    let settings = LossSettings {
        delta: Some(1.5),
        ..LossSettings::default()
    };
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(loss_settings(&json).unwrap(), settings);
}

#[test]
fn a_value_out_of_range_is_refused_by_its_name() {
    type Change = fn(&mut LossSettings);
    let changes: [(&str, Change); 7] = [
        ("eps_low", |s| s.eps_low = -0.1),
        ("eps_high", |s| s.eps_high = f64::NAN),
        ("beta", |s| s.beta = f64::INFINITY),
        ("correction_min", |s| s.correction_min = -1.0),
        ("correction_cap", |s| s.correction_min = 3.0),
        ("delta", |s| s.delta = Some(0.5)),
        ("dual_clip", |s| s.dual_clip = Some(f64::NAN)),
    ];
    assert_eq!(LossSettings::default().check(), Ok(()));
    for (key, change) in changes {
        let mut settings = LossSettings::default();
        change(&mut settings);
        assert_eq!(settings.check().unwrap_err().key, key);
    }
}

#[test]
fn cispo_is_refused_with_a_cap_below_1_and_with_clips_that_it_does_not_have() {
    let cispo = LossSettings {
        kind: LossKind::Cispo,
        eps_high: 5.0,
        ..LossSettings::default()
    };
    assert_eq!(cispo.check(), Ok(()));
    let wrong = [
        // The default, which would be a ratio of 0.2 for every token.
        (
            LossSettings {
                eps_high: LossSettings::default().eps_high,
                ..cispo
            },
            "eps_high is 0.2, wanted 1 or more with cispo",
        ),
        (
            LossSettings {
                delta: Some(1.5),
                ..cispo
            },
            "delta is 1.5, wanted none with cispo",
        ),
        (
            LossSettings {
                dual_clip: Some(3.0),
                ..cispo
            },
            "dual_clip is 3, wanted none with cispo",
        ),
    ];
    for (settings, message) in wrong {
        assert_eq!(settings.check().unwrap_err().to_string(), message);
    }
}
