//! What the kernels compute, against plain loops in f64 or, where the order is the claim, against the same chain.

use crate::support::{Case, Numbers, off, wide};
use tlora_kernels::*;

/// exp(x) is what `probabilities` gives for a log-sum of 0.
#[test]
fn the_exponential_is_within_two_units_of_the_last_place() {
    let mut row: Vec<f32> = (-872_900..=880_000).map(|i| i as f32 * 1e-4).collect();
    let x = row.clone();
    probabilities(&mut row, 0.0, 1.0);
    for (&x, &y) in x.iter().zip(&row) {
        let exact = f64::from(x).exp();
        let unit = f64::from((exact as f32).next_up()) - f64::from(exact as f32);
        let units = (f64::from(y) - exact).abs() / unit;
        assert!(units <= 2.0, "exp({x}) = {y} is {units} units off");
    }
}

#[test]
fn the_exponential_keeps_its_limits() {
    let mut row = [0.0, f32::NEG_INFINITY, -1e30, -88.0, f32::NAN];
    probabilities(&mut row, 0.0, 1.0);
    assert_eq!(row[..4], [1.0, 0.0, 0.0, 0.0]);
    assert!(row[4].is_nan(), "a NaN is not hidden");
}

#[test]
fn attention_is_the_softmax_of_the_scores_times_the_values() {
    for (heads, kv, width, prefix, own, window) in [
        (1, 1, 8, 0, vec![1], 99),
        (9, 3, 64, 20, vec![5, 33], 999),
        (14, 2, 64, 37, vec![40, 1], 999),
        (4, 4, 80, 0, vec![17, 50], 999),
        (4, 2, 20, 35, vec![30, 2], 24),
        (16, 2, 128, 10, vec![70], 999),
    ] {
        let case = Case::new(heads, kv, width, prefix, &own, window);
        let qkv: Vec<f32> = Numbers(6).f32s(case.tokens() * case.stride());
        let mut out = vec![f32::NAN; case.tokens() * heads * width];
        let (cache, scale) = (case.cache(&qkv), 0.3_f32);
        attention(
            &qkv,
            case.stride(),
            0,
            heads,
            &cache,
            &case.queries,
            scale,
            &mut out,
        );
        let error = off(&wide(&out), &case.plain(&wide(&qkv), f64::from(scale)));
        assert!(error < 2e-6, "{heads} heads on {kv} of {width}: {error}");
    }
}

#[test]
fn a_norm_divides_by_the_root_of_the_mean_square() {
    for width in [1, 7, 16, 64, 576] {
        let mut numbers = Numbers(7);
        let (x, weight) = (numbers.f32s(5 * width), numbers.f32s(width));
        let mut y = vec![f32::NAN; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut y);
        let mut expected = Vec::new();
        for row in wide(&x).chunks_exact(width) {
            let mean = row.iter().map(|x| x * x).sum::<f64>() / width as f64;
            let root = (mean + 1e-6).sqrt();
            expected.extend(
                row.iter()
                    .zip(&weight)
                    .map(|(x, &w)| x / root * f64::from(w)),
            );
        }
        assert!(off(&wide(&y), &expected) < 5e-7);
    }
}

#[test]
fn rotation_turns_pairs_and_its_inverse_turns_them_back() {
    let (heads, width, stride, offset, rows) = (3, 10, 37, 2, 4);
    let mut numbers = Numbers(8);
    let x = numbers.f64s(rows * stride);
    let angles = numbers.f64s(rows * width / 2);
    let (cos, sin): (Vec<f64>, Vec<f64>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
    let mut y = x.clone();
    rope(&mut y, heads, width, stride, offset, &cos, &sin, false);
    for (i, (&x0, &y0)) in x.iter().zip(&y).enumerate() {
        let (row, column) = (i / stride, i % stride);
        let Some(d) = column.checked_sub(offset).filter(|&d| d < heads * width) else {
            assert_eq!(x0, y0, "columns beside the heads stay");
            continue;
        };
        let (half, d) = (width / 2, d % width);
        let at = row * half + d % half;
        let other = if d < half { x[i + half] } else { x[i - half] };
        let sign = if d < half { -1.0 } else { 1.0 };
        assert!((y0 - (x0 * cos[at] + sign * other * sin[at])).abs() < 1e-15);
    }
    rope(&mut y, heads, width, stride, offset, &cos, &sin, true);
    assert!(off(&y, &x) < 1e-15);
}

#[test]
fn the_gated_activation_is_silu_times_up() {
    let (n, stride) = (37, 80);
    let mut x = Numbers(9).f32s(6 * stride);
    x.iter_mut().for_each(|x| *x *= 20.0);
    (x[0], x[1]) = (-200.0, 200.0);
    let mut y = vec![f32::NAN; 6 * n];
    swiglu(&x, stride, n, &mut y);
    for (i, &y) in y.iter().enumerate() {
        let at = i / n * stride + i % n;
        let (gate, up) = (f64::from(x[at]), f64::from(x[at + n]));
        let exact = gate / (1.0 + (-gate).exp()) * up;
        assert!((f64::from(y) - exact).abs() <= 1e-6 * exact.abs() + 1e-30);
    }
}

#[test]
fn the_head_says_log_probabilities_probabilities_and_entropy() {
    for len in [1, 15, 16, 1000] {
        let logits: Vec<f32> = Numbers(10).f32s(len).iter().map(|x| x * 30.0).collect();
        let scaled: Vec<f64> = wide(&logits).iter().map(|x| x * 0.75).collect();
        let total: f64 = scaled.iter().map(|x| x.exp()).sum();
        let p: Vec<f64> = scaled.iter().map(|x| x.exp() / total).collect();
        let lse = log_sum_exp(&logits, 0.75);
        assert!((f64::from(lse) - total.ln()).abs() < 4e-6, "{len}");
        let exact = -p.iter().map(|p| p * p.ln()).sum::<f64>();
        assert!(
            (f64::from(entropy(&logits, lse, 0.75)) - exact).abs() < 1e-5,
            "{len}"
        );
        let mut row = logits.clone();
        probabilities(&mut row, lse, 0.75);
        assert!(off(&wide(&row), &p) < 4e-6);
        let mut row = logits.clone();
        log_prob_gradient(&mut row, lse, 0.75, len / 2, -1.5);
        let onehot = |i| f64::from(u8::from(i == len / 2));
        let expected: Vec<f64> = p
            .iter()
            .enumerate()
            .map(|(i, p)| -1.125 * (onehot(i) - p))
            .collect();
        let error = wide(&row)
            .iter()
            .zip(&expected)
            .fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        assert!(error < 4e-6, "{len}: {error}");
    }
}

#[test]
fn impossible_tokens_add_nothing_to_the_entropy() {
    let row = [1.0, f32::NEG_INFINITY, 1.0];
    let lse = log_sum_exp(&row, 1.0);
    assert!((entropy(&row, lse, 1.0) - 2.0_f32.ln()).abs() < 1e-6);
}

#[test]
fn the_low_rank_part_adds_c_times_b_and_its_gradient_is_g_times_b() {
    let (rows, stride, offset, outputs, rank) = (5, 50, 4, 41, 3);
    let mut numbers = Numbers(11);
    let (y, b, c) = (
        numbers.f32s(rows * stride),
        numbers.f32s(outputs * rank),
        numbers.f32s(rows * rank),
    );
    let mut updated = y.clone();
    rank_update(&mut updated, stride, offset, &b, &c);
    for (i, (&before, &after)) in y.iter().zip(&updated).enumerate() {
        let (row, column) = (i / stride, i % stride);
        let mut chain = before;
        if (offset..offset + outputs).contains(&column) {
            for j in 0..rank {
                chain = c[row * rank + j].mul_add(b[(column - offset) * rank + j], chain);
            }
        }
        assert_eq!(after.to_bits(), chain.to_bits());
    }
    let mut s = vec![f32::NAN; rows * rank];
    rank_gradient(&y, stride, offset, &b, outputs, &mut s);
    for (i, &s) in s.iter().enumerate() {
        let (row, j) = (i / rank, i % rank);
        let term = |o: usize| f64::from(y[row * stride + offset + o]) * f64::from(b[o * rank + j]);
        let exact: f64 = (0..outputs).map(term).sum();
        assert!((f64::from(s) - exact).abs() < 2e-6);
    }
}

#[test]
fn additions_add() {
    let mut y = [1.0, 2.0, 3.0, 4.0];
    add(&mut y, &[1.0, 1.0, 1.0, 2.0]);
    add_bias(&mut y, &[10.0, 20.0]);
    assert_eq!(y, [12.0, 23.0, 14.0, 26.0]);
}

#[test]
#[should_panic(expected = "assertion failed")]
fn a_query_beyond_the_cache_is_refused() {
    let mut case = Case::new(2, 1, 8, 0, &[5], 99);
    let qkv = Numbers(12).f32s(case.tokens() * case.stride());
    let cache = case.cache(&qkv);
    case.queries[4].own_len = 17;
    let mut out = vec![0.0; case.tokens() * 16];
    attention(
        &qkv,
        case.stride(),
        0,
        2,
        &cache,
        &case.queries,
        0.2,
        &mut out,
    );
}

#[test]
#[should_panic(expected = "assertion failed")]
fn gradients_with_fewer_rows_than_a_query_reads_are_refused() {
    let case = Case::new(2, 1, 8, 0, &[20], 99);
    let qkv = Numbers(13).f32s(case.tokens() * case.stride());
    let (grad, mut grad_q) = (vec![0.0; 20 * 16], vec![0.0; qkv.len()]);
    let (mut grad_k, mut grad_v) = (vec![0.0; 16 * 8], vec![0.0; 16 * 8]);
    attention_backward(
        &qkv,
        case.stride(),
        0,
        2,
        &case.cache(&qkv),
        &case.queries,
        0.2,
        &grad,
        &mut grad_q,
        &mut grad_k,
        &mut grad_v,
    );
}
