//! Every gradient against differences in f64: central, with one step of Richardson, so that the error is of the fourth order.

use crate::support::{Case, Numbers, off};
use tlora_kernels::*;

/// The derivatives of a sum by each element of x.
fn differences(x: &[f64], mut sum: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    let mut slopes = Vec::new();
    for i in 0..x.len() {
        let middle = x[i];
        let mut slope = |step: f64| {
            x[i] = middle + step;
            let above = sum(&x);
            x[i] = middle - step;
            let below = sum(&x);
            x[i] = middle;
            (above - below) / (2.0 * step)
        };
        slopes.push((4.0 * slope(5e-4) - slope(1e-3)) / 3.0);
    }
    slopes
}

fn weighted(y: &[f64], weights: &[f64]) -> f64 {
    y.iter().zip(weights).map(|(a, b)| a * b).sum()
}

fn agrees(found: &[f64], expected: &[f64]) {
    let error = off(found, expected);
    assert!(error <= 1e-8, "{error}");
}

#[test]
fn of_a_linear_layer() {
    let (rows, columns, outputs) = (3, 20, 45);
    let mut numbers = Numbers(1);
    let (w, x) = (
        numbers.f64s(columns * outputs),
        numbers.f64s(rows * columns),
    );
    let grad = numbers.f64s(rows * outputs);
    let w = PackedMatrix::pack(
        &[Block {
            rows: outputs,
            data: RowData::Full(&w),
        }],
        columns,
    );
    let mut found = vec![0.0; x.len()];
    linear_backward(&grad, &w, &mut found);
    let mut y = vec![0.0; grad.len()];
    let expected = differences(&x, |x| {
        linear(x, &w, &mut y);
        weighted(&y, &grad)
    });
    agrees(&found, &expected);
}

#[test]
fn of_a_norm() {
    let width = 37;
    let mut numbers = Numbers(2);
    let (x, weight, grad) = (
        numbers.f64s(3 * width),
        numbers.f64s(width),
        numbers.f64s(3 * width),
    );
    let mut found = vec![0.0; x.len()];
    rms_norm_backward(&x, &weight, 1e-5, &grad, &mut found);
    let mut y = vec![0.0; x.len()];
    let expected = differences(&x, |x| {
        rms_norm(x, &weight, 1e-5, &mut y);
        weighted(&y, &grad)
    });
    agrees(&found, &expected);
}

#[test]
fn of_the_gated_activation() {
    let (rows, n, stride) = (2, 21, 45);
    let mut numbers = Numbers(3);
    let x: Vec<f64> = numbers
        .f64s(rows * stride)
        .iter()
        .map(|x| x * 3.0)
        .collect();
    let grad = numbers.f64s(rows * n);
    let mut found = vec![0.0; x.len()];
    swiglu_backward(&x, stride, n, &grad, &mut found);
    let mut y = vec![0.0; rows * n];
    let expected = differences(&x, |x| {
        swiglu(x, stride, n, &mut y);
        weighted(&y, &grad)
    });
    agrees(&found, &expected);
}

#[test]
fn of_a_rotation() {
    let (heads, width, stride, offset) = (2, 8, 20, 1);
    let mut numbers = Numbers(4);
    let (x, grad, angles) = (
        numbers.f64s(3 * stride),
        numbers.f64s(3 * stride),
        numbers.f64s(12),
    );
    let (cos, sin): (Vec<f64>, Vec<f64>) = angles.iter().map(|a| (a.cos(), a.sin())).unzip();
    let mut found = grad.clone();
    rope(&mut found, heads, width, stride, offset, &cos, &sin, true);
    let expected = differences(&x, |x| {
        let mut y = x.to_vec();
        rope(&mut y, heads, width, stride, offset, &cos, &sin, false);
        weighted(&y, &grad)
    });
    agrees(&found, &expected);
}

#[test]
fn of_attention_over_shared_prefixes_and_windows() {
    for (heads, kv, width, prefix, own, window) in [
        (2, 1, 6, 3, vec![2, 1], 99),
        (6, 2, 5, 18, vec![3], 12),
        (3, 3, 20, 0, vec![5, 4], 99),
    ] {
        let case = Case::new(heads, kv, width, prefix, &own, window);
        let (stride, (q0, k0, v0)) = (case.stride(), case.offsets());
        let mut numbers = Numbers(5);
        let qkv = numbers.f64s(case.tokens() * stride);
        let grad = numbers.f64s(case.tokens() * heads * width);
        let mut found = vec![0.0; qkv.len()];
        let columns = kv * width;
        let mut grad_k = vec![0.0; case.cache_rows * columns];
        let mut grad_v = grad_k.clone();
        attention_backward(
            &qkv,
            stride,
            q0,
            heads,
            &case.cache(&qkv),
            &case.queries,
            0.7,
            &grad,
            &mut found,
            &mut grad_k,
            &mut grad_v,
        );
        for (token, &row) in case.rows.iter().enumerate() {
            let from = row * columns..(row + 1) * columns;
            found[token * stride + k0..][..columns].copy_from_slice(&grad_k[from.clone()]);
            found[token * stride + v0..][..columns].copy_from_slice(&grad_v[from]);
        }
        let mut out = vec![0.0; grad.len()];
        let expected = differences(&qkv, |qkv| {
            attention(
                qkv,
                stride,
                q0,
                heads,
                &case.cache(qkv),
                &case.queries,
                0.7,
                &mut out,
            );
            weighted(&out, &grad)
        });
        agrees(&found, &expected);
    }
}

#[test]
fn of_a_log_probability() {
    let logits: Vec<f64> = Numbers(6).f64s(35).iter().map(|x| x * 4.0).collect();
    let mut found = logits.clone();
    log_prob_gradient(&mut found, log_sum_exp(&logits, 0.8), 0.8, 11, 2.5);
    let expected = differences(&logits, |row| 2.5 * (row[11] * 0.8 - log_sum_exp(row, 0.8)));
    agrees(&found, &expected);
}

#[test]
fn of_a_low_rank_update() {
    let (rows, stride, offset, outputs, rank) = (2, 20, 3, 17, 2);
    let mut numbers = Numbers(7);
    let (b, c) = (numbers.f64s(outputs * rank), numbers.f64s(rows * rank));
    let grad = numbers.f64s(rows * stride);
    let mut found = vec![0.0; c.len()];
    rank_gradient(&grad, stride, offset, &b, outputs, &mut found);
    let expected = differences(&c, |c| {
        let mut y = vec![0.0; rows * stride];
        rank_update(&mut y, stride, offset, &b, c);
        weighted(&y, &grad)
    });
    agrees(&found, &expected);
}
