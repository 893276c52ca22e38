//! From R to ΔW: the core matrix M, and norms (spec §8).

use tlora_format::SigmaSide;

/// M = scale · Σ^(a−1) · R · Σ^b with the signs applied, row-major r × r, so that ΔW = (W·V)·M·Vᵀ (spec §8).
///
/// `r` is R, `sigma` the r singular values, `negated` one flag per column of V (or empty if none is negated).
#[must_use]
pub fn core_matrix(
    side: SigmaSide,
    scale: f32,
    r: &[f64],
    sigma: &[f64],
    negated: &[bool],
) -> Vec<f64> {
    let rank = sigma.len();
    let sign = |c: usize| negated.get(c).copied().unwrap_or(false);
    let mut core = vec![0.0; rank * rank];
    for (j, row) in core.chunks_exact_mut(rank).enumerate() {
        for (k, entry) in row.iter_mut().enumerate() {
            let (r, left, right) = (r[j * rank + k], sigma[j], sigma[k]);
            if left == 0.0 || right == 0.0 {
                continue;
            }
            let scaled = match side {
                SigmaSide::Left => r,
                SigmaSide::Split => (r / left.sqrt()) * right.sqrt(),
                SigmaSide::Right => (r / left) * right,
            };
            let m = f64::from(scale) * scaled;
            *entry = if sign(j) == sign(k) { m } else { -m };
        }
    }
    core
}

/// M = scale · R with the signs applied, row-major r × r, so that ΔW = B·M·A with a basis of factors (spec §8).
///
/// `r` is R, `negated` one flag per column of B (or empty if none is negated).
#[must_use]
pub fn factored_core(scale: f32, r: &[f64], negated: &[bool]) -> Vec<f64> {
    let rank = r.len().isqrt();
    let sign = |c: usize| negated.get(c).copied().unwrap_or(false);
    let entry = |(i, r): (usize, &f64)| {
        let m = f64::from(scale) * r;
        if sign(i / rank) == sign(i % rank) {
            m
        } else {
            -m
        }
    };
    r.iter().enumerate().map(entry).collect()
}

/// ‖ΔW‖_F = |scale| · ‖Σ^a · R · Σ^b‖_F, without the weight.
#[must_use]
pub fn delta_norm(side: SigmaSide, scale: f32, r: &[f64], sigma: &[f64]) -> f64 {
    let rank = sigma.len();
    let squares: f64 = (0..rank * rank)
        .map(|i| {
            let (left, right) = (sigma[i / rank], sigma[i % rank]);
            let entry = match side {
                _ if left == 0.0 || right == 0.0 => 0.0,
                SigmaSide::Left => left * r[i],
                SigmaSide::Split => left.sqrt() * r[i] * right.sqrt(),
                SigmaSide::Right => r[i] * right,
            };
            entry * entry
        })
        .sum();
    f64::from(scale).abs() * squares.sqrt()
}

/// ‖R‖_F; |scale| times it bounds ‖ΔW‖_F / ‖W‖_F for every weight.
#[must_use]
pub fn r_norm(r: &[f64]) -> f64 {
    r.iter().map(|x| x * x).sum::<f64>().sqrt()
}
