//! Mismatch metrics: expected values from NumPy.

use tlora_grpo::Mismatch;

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-14, "{a} and {b}");
}

#[test]
fn metrics_are_numpys_and_tokens_without_a_log_probability_are_left_out() {
    let pairs = [
        (-0.5, -0.75),
        (-1.0, f64::NAN),
        (-1.25, -1.0),
        (-2.0, f64::NEG_INFINITY),
        (-3.0, -3.0),
        (-0.125, -0.625),
    ];
    let found = Mismatch::of(pairs);
    assert_eq!(found.tokens, 4);
    close(found.mean, 0.25);
    close(found.max, 0.5);
    close(found.k1, -0.125);
    close(found.k3, 0.052_886_867_614_818_645);
    close(found.effective, 0.929_043_028_066_177_2);
    close(found.ratio_min, 0.778_800_783_071_404_9);
    close(found.ratio_mean, 1.177_886_867_614_818_6);
    close(found.ratio_max, 1.648_721_270_700_128_2);
}

#[test]
fn equal_log_probabilities_have_no_mismatch() {
    let found = Mismatch::of([(-0.3, -0.3), (-7.0, -7.0)]);
    let wanted = Mismatch {
        tokens: 2,
        effective: 1.0,
        ratio_min: 1.0,
        ratio_mean: 1.0,
        ratio_max: 1.0,
        ..Mismatch::default()
    };
    assert_eq!(found, wanted);
}

#[test]
fn no_metric_is_nan_where_ratios_overflow_or_vanish() {
    for pairs in [
        vec![(0.0, -800.0), (0.0, -1.0)],
        vec![(-800.0, 0.0), (-900.0, 0.0)],
        vec![(f64::NAN, -1.0)],
        vec![],
    ] {
        let found = Mismatch::of(pairs.iter().copied());
        let all = [
            found.mean,
            found.max,
            found.k1,
            found.k3,
            found.effective,
            found.ratio_min,
            found.ratio_mean,
            found.ratio_max,
        ];
        assert!(all.iter().all(|x| !x.is_nan()), "{pairs:?}: {found:?}");
    }
    // One token has all the weight.
    assert_eq!(Mismatch::of([(0.0, -800.0), (0.0, -1.0)]).effective, 0.5);
}
