//! ‖X − Y‖ / ‖X‖ for two products of tall, thin factors, without forming X or Y.
//!
//! X − Y is \[B B'\] · diag(M, −M') · \[A; A'\]. With \[B B'\] = Q₁T₁ and \[A; A'\]ᵀ = Q₂T₂ its norm is that of
//! T₁ · diag(M, −M') · T₂ᵀ, a matrix of 2r × 2r. Products such as BᵀB would lose half of the digits: two factors that
//! agree to 10⁻⁸ would look equal.

/// B · M · A: `b` is out × r, `middle` r × r, `a` r × in, all row-major.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) b: &'a [f64],
    pub(crate) middle: &'a [f64],
    pub(crate) a: &'a [f64],
    pub(crate) rank: usize,
}

/// ‖wanted − found‖_F / ‖wanted‖_F; 0 if both vanish. The two have the same shape, not necessarily the same rank.
pub(crate) fn relative(wanted: &Product<'_>, found: &Product<'_>) -> f64 {
    let (left, right) = (
        triangles(wanted, found, Side::Left),
        triangles(wanted, found, Side::Right),
    );
    let size = wanted.rank + found.rank;
    let norm = |products: &[(&Product<'_>, f64)]| {
        let mut middle = vec![0.0; size * size];
        for &(product, sign) in products {
            let start = if sign > 0.0 { 0 } else { wanted.rank };
            for (j, row) in product.middle.chunks_exact(product.rank).enumerate() {
                for (k, &entry) in row.iter().enumerate() {
                    middle[(start + j) * size + start + k] = sign * entry;
                }
            }
        }
        frobenius(&multiply(
            &multiply(&left, &middle, size),
            &transposed(&right, size),
            size,
        ))
    };
    let difference = norm(&[(wanted, 1.0), (found, -1.0)]);
    let whole = norm(&[(wanted, 1.0)]);
    if difference == 0.0 {
        0.0
    } else {
        difference / whole
    }
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// The triangular factor of the QR decomposition of the two left (or the two right) factors side by side.
fn triangles(wanted: &Product<'_>, found: &Product<'_>, side: Side) -> Vec<f64> {
    let columns = |product: &Product<'_>| -> Vec<Vec<f64>> {
        (0..product.rank)
            .map(|c| match side {
                Side::Left => product
                    .b
                    .iter()
                    .skip(c)
                    .step_by(product.rank)
                    .copied()
                    .collect(),
                Side::Right => {
                    let length = product.a.len() / product.rank;
                    product.a[c * length..][..length].to_vec()
                }
            })
            .collect()
    };
    let both = columns(wanted).into_iter().chain(columns(found)).collect();
    householder(both)
}

/// R of the QR decomposition of columns of equal length, row-major and square; rows beyond the length are 0.
fn householder(mut columns: Vec<Vec<f64>>) -> Vec<f64> {
    let size = columns.len();
    let mut triangle = vec![0.0; size * size];
    for c in 0..size {
        let (done, rest) = columns.split_at_mut(c);
        debug_assert_eq!(done.len(), c, "split_at_mut(c) leaves c columns before");
        let Some((pivot, rest)) = rest.split_first_mut() else {
            break;
        };
        for (row, entry) in pivot.iter().take(c).enumerate() {
            triangle[row * size + c] = *entry;
        }
        let Some(tail) = pivot.get_mut(c..).filter(|tail| !tail.is_empty()) else {
            continue;
        };
        let norm = frobenius(tail);
        let alpha = if tail[0] > 0.0 { -norm } else { norm };
        triangle[c * size + c] = alpha;
        tail[0] -= alpha;
        let squared = dot(tail, tail);
        if squared == 0.0 {
            continue;
        }
        for column in rest {
            let column = &mut column[c..];
            let factor = 2.0 * dot(tail, column) / squared;
            column
                .iter_mut()
                .zip(&*tail)
                .for_each(|(x, v)| *x -= factor * v);
        }
    }
    triangle
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The square root of the sum of squares, scaled so that tiny matrices do not vanish.
pub(crate) fn frobenius(entries: &[f64]) -> f64 {
    let largest = entries
        .iter()
        .fold(0.0, |largest: f64, entry| largest.max(entry.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest
        * entries
            .iter()
            .map(|entry| (entry / largest) * (entry / largest))
            .sum::<f64>()
            .sqrt()
}

/// The product of two square matrices.
pub(crate) fn multiply(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (row, out) in a.chunks_exact(size).zip(product.chunks_exact_mut(size)) {
        for (entry, other) in row.iter().zip(b.chunks_exact(size)) {
            out.iter_mut()
                .zip(other)
                .for_each(|(out, other)| *out += entry * other);
        }
    }
    product
}

fn transposed(a: &[f64], size: usize) -> Vec<f64> {
    (0..size * size)
        .map(|i| a[(i % size) * size + i / size])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, from a linear congruential generator.
    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1_u32 << 30) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// B · M · A, entry by entry.
    fn whole(product: &Product<'_>) -> Vec<f64> {
        let columns = product.a.len() / product.rank;
        let rows = product.b.chunks_exact(product.rank);
        rows.flat_map(|row| {
            (0..columns).map(move |j| {
                let term = |(c, k): (usize, usize)| {
                    row[c] * product.middle[c * product.rank + k] * product.a[k * columns + j]
                };
                (0..product.rank)
                    .flat_map(|c| (0..product.rank).map(move |k| (c, k)))
                    .map(term)
                    .sum::<f64>()
            })
        })
        .collect()
    }

    fn directly(wanted: &Product<'_>, found: &Product<'_>) -> f64 {
        let (wanted, found) = (whole(wanted), whole(found));
        let difference: Vec<f64> = wanted.iter().zip(&found).map(|(a, b)| a - b).collect();
        frobenius(&difference) / frobenius(&wanted)
    }

    #[test]
    fn agrees_with_the_whole_matrices() {
        for (rows, columns, rank) in [(40, 30, 3), (30, 40, 1), (5, 7, 4), (2, 3, 2)] {
            let (b, m, a) = (
                numbers(rows * rank, 1),
                numbers(rank * rank, 2),
                numbers(rank * columns, 3),
            );
            let wanted = Product {
                b: &b,
                middle: &m,
                a: &a,
                rank,
            };
            let (other_b, other_m) = (numbers(rows * rank, 4), numbers(rank * rank, 5));
            let found = Product {
                b: &other_b,
                middle: &other_m,
                a: &a,
                rank,
            };
            let (fast, slow) = (relative(&wanted, &found), directly(&wanted, &found));
            assert!(
                (fast - slow).abs() < 1e-12 * slow,
                "{rows} × {columns}, {rank}: {fast} {slow}"
            );
        }
    }

    #[test]
    fn sees_a_difference_of_the_thirteenth_digit() {
        let (b, a) = (numbers(100 * 2, 1), numbers(2 * 80, 3));
        let m = [1.0, 0.5, -0.25, 2.0];
        let moved = m.map(|entry| entry * (1.0 + 1e-13));
        let of = |middle| Product {
            b: &b,
            middle,
            a: &a,
            rank: 2,
        };
        let residual = relative(&of(&m), &of(&moved));
        assert!((residual - 1e-13).abs() < 2e-14, "{residual}");
        assert!(relative(&of(&m), &of(&m)) < 1e-15);
    }

    #[test]
    fn nothing_differs_from_nothing_by_nothing() {
        let (b, a) = (numbers(8, 1), numbers(6, 2));
        let zero = Product {
            b: &b,
            middle: &[0.0; 4],
            a: &a,
            rank: 2,
        };
        assert_eq!(relative(&zero, &zero), 0.0);
        let other = Product {
            b: &b,
            middle: &[1.0, 0.0, 0.0, 1.0],
            a: &a,
            rank: 2,
        };
        assert!(relative(&zero, &other).is_infinite());
    }
}
