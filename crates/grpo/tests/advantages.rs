//! Advantages of small groups: expected values from NumPy, `(r - r.mean()) / (r.std(ddof=1) + 1e-4)`.

use tlora_grpo::{AdvantageScale, Spread, advantages, overlong_penalty};

const EPSILON: f64 = 1e-4;

fn of_group(rewards: &[Option<f64>]) -> (Vec<f64>, Spread) {
    let found = advantages(&[rewards.to_vec()], AdvantageScale::Group, EPSILON);
    (found.values, found.spreads[0])
}

fn assert_close(found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len());
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() < 1e-15, "{found:?} and {wanted:?}");
    }
}

#[test]
fn an_unscorable_completion_is_left_out_of_mean_and_deviation() {
    let wanted = [0.999_800_039_992_001_6, -0.999_800_039_992_001_6, 0.0];
    let (found, spread) = of_group(&[Some(1.0), Some(0.0), Some(0.5)]);
    assert_close(&found, &wanted);
    assert_eq!(spread, Spread::Mixed);
    for unscorable in [
        None,
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
    ] {
        let (found, spread) = of_group(&[Some(1.0), unscorable, Some(0.0), Some(0.5)]);
        assert_close(&found, &[wanted[0], 0.0, wanted[1], wanted[2]]);
        assert_eq!(spread, Spread::Mixed);
    }
}

#[test]
fn the_deviation_of_the_batch_is_that_of_all_scorable_completions() {
    let groups = [
        vec![Some(1.0), Some(0.0), Some(0.5)],
        vec![Some(1.0), None, Some(1.0), Some(0.25)],
    ];
    let found = advantages(&groups, AdvantageScale::Batch, EPSILON);
    // Deviation of all six 0.44017042154147523; means 0.5 and 0.75.
    let (one, half) = (1.135_665_662_593_002_6, 0.567_832_831_296_501_3);
    assert_close(
        &found.values,
        &[one, -one, 0.0, half, 0.0, half, -1.135_665_662_593_002_6],
    );
}

#[test]
fn without_a_scale_the_advantage_is_the_distance_to_the_mean() {
    let groups = [vec![Some(1.0), Some(0.0), Some(0.5), None]];
    let found = advantages(&groups, AdvantageScale::None, EPSILON);
    assert_eq!(found.values, [0.5, -0.5, 0.0, 0.0]);
}

#[test]
fn a_group_without_a_difference_says_why_and_has_no_advantage() {
    let cases: [(&[Option<f64>], Spread); 6] = [
        (&[Some(1.0), Some(1.0)], Spread::AllRight),
        (&[Some(0.0), Some(0.0), None], Spread::AllWrong),
        (&[Some(-0.5), Some(-0.5)], Spread::AllWrong),
        (&[None, Some(f64::NAN)], Spread::Unscorable),
        (&[], Spread::Unscorable),
        // As TRL: a group of one has nothing to be compared with.
        (&[Some(1.0)], Spread::AllRight),
    ];
    for (rewards, wanted) in cases {
        let (values, spread) = of_group(rewards);
        assert_eq!(spread, wanted, "{rewards:?}");
        assert_eq!(values, vec![0.0; rewards.len()], "{rewards:?}");
    }
}

#[test]
fn equal_rewards_whose_mean_is_rounded_have_no_advantage() {
    // 0.1 + 0.1 + 0.1 is not 3 · 0.1 in binary64.
    let (values, spread) = of_group(&[Some(0.1); 3]);
    assert_eq!((values, spread), (vec![0.0; 3], Spread::AllRight));
}

#[test]
fn the_overlong_penalty_falls_in_a_line_over_the_buffer() {
    let penalties = [75, 80, 85, 100, 120].map(|tokens| overlong_penalty(tokens, 100, 20));
    assert_eq!(penalties, [0.0, 0.0, -0.25, -1.0, -1.0]);
    assert_eq!(overlong_penalty(100, 100, 0), 0.0);
    assert_eq!(overlong_penalty(5, 10, 20), -0.25);
}
