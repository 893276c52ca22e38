//! What an update is, whatever it is cut into: micro-batches, skipped groups, masked completions.

use tlora_grpo::{
    Correction, Denominators, KlKind, Loss, LossKind, LossSettings, RatioLevel, Sequence, loss,
};

const NEW: [&[f64]; 4] = [
    &[-0.9, -1.7, -0.3],
    &[-2.2],
    &[-0.61, -0.4],
    &[-1.3, -0.2, -0.8, -3.1],
];
const OLD: [&[f64]; 4] = [
    &[-1.1, -1.2, -0.35],
    &[-2.9],
    &[-0.6, -0.7],
    &[-1.3, -0.1, -0.9, -2.9],
];

/// Of the last two the advantage is 0.
fn sequences() -> Vec<Sequence<'static>> {
    let advantages = [0.8, -1.3, 0.0, 0.0];
    let all = NEW.iter().zip(OLD).zip(advantages);
    all.map(|((new, old), advantage)| Sequence {
        advantage,
        new,
        old: Some(old),
        sampler: Some(old),
        reference: None,
        counts: true,
    })
    .collect()
}

const UPDATE: Denominators = Denominators {
    sequences: 4,
    counting: 4,
    tokens: 10,
    micro_batches: 1,
    micro_tokens: 10,
    max_tokens: 16,
};

/// All losses but bnpo, which depends on the micro-batches by its definition.
const KINDS: [LossKind; 7] = [
    LossKind::Grpo,
    LossKind::DrGrpo,
    LossKind::Dapo,
    LossKind::Gspo,
    LossKind::SeqMeanTokenMean,
    LossKind::SeqMeanTokenSum,
    LossKind::SeqMeanTokenSumNorm,
];

fn settings(kind: LossKind) -> LossSettings {
    LossSettings {
        kind,
        ..LossSettings::default()
    }
}

#[test]
fn micro_batches_add_up_to_the_update() {
    for kind in KINDS {
        let whole = loss(&sequences(), &settings(kind), &UPDATE);
        let mut parts = Loss::default();
        for part in sequences().chunks(3) {
            let update = Denominators {
                micro_batches: 2,
                ..UPDATE
            };
            let one = loss(part, &settings(kind), &update);
            parts.value += one.value;
            parts.gradient.extend(one.gradient);
            parts.metrics.add(&one.metrics);
        }
        assert_eq!(parts.gradient, whole.gradient, "{kind:?}");
        assert!((parts.value - whole.value).abs() < 1e-16, "{kind:?}");
        assert_eq!(parts.metrics.tokens, 10);
        assert_eq!(
            (parts.metrics.ratio_min, parts.metrics.ratio_max),
            (whole.metrics.ratio_min, whole.metrics.ratio_max)
        );
    }
}

#[test]
fn completions_without_advantage_may_be_skipped_if_the_denominators_keep_them() {
    for kind in KINDS.into_iter().chain([LossKind::Bnpo]) {
        let whole = loss(&sequences(), &settings(kind), &UPDATE);
        let some = loss(&sequences()[..2], &settings(kind), &UPDATE);
        assert_eq!(some.value, whole.value, "{kind:?}");
        assert_eq!(some.gradient, whole.gradient[..2], "{kind:?}");
        for gradient in whole.gradient[2..].iter().flatten() {
            assert_eq!(*gradient, 0.0, "{kind:?}");
        }
    }
}

#[test]
fn a_masked_completion_has_no_loss_no_gradient_and_no_metrics_even_of_infinities() {
    let new = [f64::NEG_INFINITY, -1.0];
    let masked = Sequence {
        new: &new,
        old: Some(&[-1.0, f64::NAN]),
        sampler: None,
        reference: Some(&[-1.0, -2.0]),
        counts: false,
        advantage: 1.0,
    };
    for (beta, kl_ratio) in [(0.0, false), (0.1, false), (0.1, true)] {
        let settings = LossSettings {
            beta,
            kl_ratio,
            ..LossSettings::default()
        };
        let found = loss(&[masked], &settings, &UPDATE);
        assert_eq!(found.value, 0.0);
        assert_eq!(found.gradient, [[0.0, 0.0]]);
        assert_eq!(found.per_token, [[0.0, 0.0]]);
        assert_eq!(found.metrics.tokens, 0);
    }
}

#[test]
fn gspo_is_grpo_with_one_ratio_a_completion() {
    let gspo = loss(&sequences(), &settings(LossKind::Gspo), &UPDATE);
    let grpo = LossSettings {
        ratio: RatioLevel::Sequence,
        ..settings(LossKind::Grpo)
    };
    assert_eq!(gspo, loss(&sequences(), &grpo, &UPDATE));
    let mean: f64 = (0.2 - 0.5 + 0.05) / 3.0;
    let first = (-libm::exp(mean) * 0.8).max(-1.2 * 0.8);
    assert!((gspo.per_token[0][0] - first).abs() < 1e-15);
}

#[test]
fn on_the_first_update_ratio_and_gradient_are_those_of_the_policy_gradient() {
    let mut all = sequences();
    all.iter_mut().for_each(|sequence| sequence.old = None);
    let found = loss(&all, &settings(LossKind::Dapo), &UPDATE);
    for (sequence, gradient) in all.iter().zip(&found.gradient) {
        for g in gradient {
            assert!((g + sequence.advantage / 10.0).abs() < 1e-16);
        }
    }
    assert_eq!(
        (found.metrics.ratio_min, found.metrics.ratio_max),
        (1.0, 1.0)
    );
}

#[test]
fn a_token_that_the_sampler_did_not_report_has_the_weight_1() {
    let (new, sampler) = ([-1.0, -1.0, -1.0], [-2.0, f64::NAN]);
    let settings = LossSettings {
        correction: Correction::TokenTruncate,
        correction_cap: 1.5,
        kl: KlKind::K1,
        ..LossSettings::default()
    };
    let sequence = Sequence {
        advantage: 1.0,
        new: &new,
        old: None,
        sampler: Some(&sampler),
        reference: None,
        counts: true,
    };
    let found = loss(&[sequence], &settings, &UPDATE);
    assert_eq!(found.per_token, [[-1.5, -1.0, -1.0]]);
}
