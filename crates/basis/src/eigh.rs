//! The small symmetric eigenproblem (spec §6.6, `eigh`): Householder tridiagonalisation, then implicit QL.
//! Jacobi is simpler but took two thirds of the time at rank 64.
//!
//! All inner loops are elementwise over rows, so vectorising them changes no bit. The functions are inlined into one
//! per instruction set (`crate::kernels`).

/// Repetitions of the QL step for one eigenvalue, after which there is no result.
const MAX_REPETITIONS: u32 = 60;
/// 2⁻⁵³.
const RELATIVE: f64 = 1.110_223_024_625_156_5e-16;
/// 2⁻⁸⁰.
const ABSOLUTE: f64 = 8.271_806_125_530_277e-25;

/// Eigenvalues in descending order, and their eigenvectors one after the other.
#[derive(Debug)]
pub(crate) struct Eigen {
    pub(crate) values: Vec<f64>,
    pub(crate) vectors: Vec<f64>,
}

/// Solves the symmetric problem of size `p`; `matrix` is row-major. `None` if QL does not converge.
#[inline(always)]
pub(crate) fn eigh(mut matrix: Vec<f64>, p: usize) -> Option<Eigen> {
    let mut vectors = vec![0.0; p * p];
    (0..p).for_each(|i| vectors[i * p + i] = 1.0);
    let mut off = vec![0.0; p];
    for (c, off) in off.iter_mut().enumerate().take(p.saturating_sub(2)) {
        *off = reflect(&mut matrix, &mut vectors, p, c);
    }
    if p >= 2 {
        off[p - 2] = matrix[(p - 1) * p + p - 2];
    }
    let mut diagonal: Vec<f64> = (0..p).map(|i| matrix[i * p + i]).collect();
    implicit_ql(&mut diagonal, &mut off, &mut vectors)?;
    Some(descending(&diagonal, &vectors))
}

/// One Householder step: makes column `c` tridiagonal, applies the reflection to both, returns e_c.
#[inline(always)]
fn reflect(matrix: &mut [f64], vectors: &mut [f64], p: usize, c: usize) -> f64 {
    let first = c + 1;
    let mut x: Vec<f64> = (first..p).map(|i| matrix[i * p + c]).collect();
    let tail = x[1..].iter().fold(0.0, |sum, x| sum + x * x);
    if tail == 0.0 {
        return x[0];
    }
    let squared = x[0] * x[0] + tail;
    let g = if x[0] > 0.0 {
        -squared.sqrt()
    } else {
        squared.sqrt()
    };
    let h = squared - x[0] * g;
    x[0] -= g;

    let mut y = weighted_rows(matrix, p, first, &x, first);
    y.iter_mut().for_each(|y| *y /= h);
    let k = x.iter().zip(&y).fold(0.0, |sum, (x, y)| sum + x * y) / (h + h);
    y.iter_mut().zip(&x).for_each(|(y, x)| *y -= k * x);
    for (i, (&xi, &yi)) in x.iter().zip(&y).enumerate() {
        let row = &mut matrix[(first + i) * p + first..][..p - first];
        for ((a, x), y) in row.iter_mut().zip(&x).zip(&y) {
            *a -= xi * y + yi * x;
        }
    }

    let mut f = weighted_rows(vectors, p, first, &x, 0);
    f.iter_mut().for_each(|f| *f /= h);
    for (i, &xi) in x.iter().enumerate() {
        let row = &mut vectors[(first + i) * p..][..p];
        row.iter_mut().zip(&f).for_each(|(b, f)| *b -= xi * f);
    }
    g
}

/// Σ_i x_i · row i, over the rows from `first` and the columns from `column`.
#[inline(always)]
fn weighted_rows(matrix: &[f64], p: usize, first: usize, x: &[f64], column: usize) -> Vec<f64> {
    let mut sum = vec![0.0; p - column];
    for (i, &x) in x.iter().enumerate() {
        let row = &matrix[(first + i) * p + column..][..p - column];
        sum.iter_mut().zip(row).for_each(|(sum, a)| *sum += a * x);
    }
    sum
}

/// Implicit QL on diagonal `d` and subdiagonal `e`; rotates the rows of `b` along.
#[inline(always)]
fn implicit_ql(d: &mut [f64], e: &mut [f64], b: &mut [f64]) -> Option<()> {
    let p = d.len();
    let floor = d
        .iter()
        .zip(e.iter())
        .fold(0.0_f64, |m, (d, e)| m.max(d.abs() + e.abs()))
        * ABSOLUTE;
    for l in 0..p {
        for repetition in 0.. {
            let negligible = |&m: &usize| {
                m == p - 1
                    || e[m].abs() <= RELATIVE * (d[m].abs() + d[m + 1].abs())
                    || e[m].abs() <= floor
            };
            let m = (l..p).find(negligible)?;
            if m == l {
                break;
            }
            if repetition == MAX_REPETITIONS {
                return None;
            }
            ql_step(d, e, b, l, m);
        }
    }
    Some(())
}

/// One implicit QL step on the unreduced block l … m.
#[inline(always)]
fn ql_step(d: &mut [f64], e: &mut [f64], b: &mut [f64], l: usize, m: usize) {
    let p = d.len();
    let mut g = (d[l + 1] - d[l]) / (e[l] + e[l]);
    let w = (g * g + 1.0).sqrt();
    g = (d[m] - d[l]) + e[l] / if g < 0.0 { g - w } else { g + w };
    let (mut s, mut c, mut q) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let f = s * e[i];
        let t = c * e[i];
        let w = (f * f + g * g).sqrt();
        e[i + 1] = w;
        if w == 0.0 {
            d[i + 1] -= q;
            e[m] = 0.0;
            return;
        }
        s = f / w;
        c = g / w;
        g = d[i + 1] - q;
        let w = (d[i] - g) * s + (c + c) * t;
        q = s * w;
        d[i + 1] = g + q;
        g = c * w - t;
        let (upper, lower) = b[i * p..(i + 2) * p].split_at_mut(p);
        for (low, high) in upper.iter_mut().zip(lower) {
            (*high, *low) = (s * *low + c * *high, c * *low - s * *high);
        }
    }
    d[l] -= q;
    e[l] = g;
    e[m] = 0.0;
}

/// Sorts by descending eigenvalue; equal ones keep their order.
#[inline(always)]
fn descending(values: &[f64], vectors: &[f64]) -> Eigen {
    let p = values.len();
    let mut order: Vec<usize> = (0..p).collect();
    order.sort_by(|&a, &b| {
        values[b]
            .partial_cmp(&values[a])
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    Eigen {
        values: order.iter().map(|&i| values[i]).collect(),
        vectors: order
            .iter()
            .flat_map(|&i| &vectors[i * p..][..p])
            .copied()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symmetric(p: usize) -> Vec<f64> {
        let mut a = vec![0.0; p * p];
        for (i, column) in (0..p).zip(0..) {
            for j in 0..=i {
                let x = crate::arithmetic::start_entry(column, j) / 8_388_608.0;
                (a[i * p + j], a[j * p + i]) = (x, x);
            }
        }
        a
    }

    #[test]
    fn eigenpairs_satisfy_their_equation() {
        for p in [1, 2, 3, 7, 32, 96] {
            let a = symmetric(p);
            let eigen = eigh(a.clone(), p).unwrap();
            for (c, theta) in eigen.values.iter().enumerate() {
                let s = &eigen.vectors[c * p..][..p];
                let norm: f64 = s.iter().map(|x| x * x).sum();
                assert!((norm - 1.0).abs() < 1e-13, "p {p}, vector {c}");
                for i in 0..p {
                    let product: f64 = (0..p).map(|j| a[i * p + j] * s[j]).sum();
                    // ‖A‖ ≤ p and the method is backward stable: a few p²·2⁻⁵³.
                    assert!(
                        (product - theta * s[i]).abs() < 1e-15 * (p * p + 20) as f64,
                        "p {p}, vector {c}"
                    );
                }
            }
            assert!(eigen.values.is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn a_diagonal_matrix_is_sorted_exactly() {
        let mut a = vec![0.0; 25];
        for (i, x) in [1.0, 4.0, 0.0, 4.0, 2.0].into_iter().enumerate() {
            a[i * 6] = x;
        }
        let eigen = eigh(a, 5).unwrap();
        assert_eq!(eigen.values, [4.0, 4.0, 2.0, 1.0, 0.0]);
        assert_eq!(
            eigen.vectors[..10],
            [0., 1., 0., 0., 0., 0., 0., 0., 1., 0.]
        );
    }

    #[test]
    fn tiny_and_huge_scales_converge() {
        for scale in [1e-90, 1e80] {
            let a: Vec<f64> = symmetric(24).iter().map(|x| x * scale).collect();
            assert!(eigh(a, 24).is_some());
        }
    }
}
