//! Rebuilt factors beside the stored ones: the signs that an SVD leaves open, and how far apart the two are.

use tlora_basis::Factors;

use crate::residual::{Product, dot, frobenius, relative};

/// Above this two columns are not the same singular vector: another base, or another way to make a basis.
pub(crate) const OTHER: f64 = 0.05;
/// Columns shorter than this share of the longest are compared with that: where W has no such rank, a column is noise.
const NEGLIGIBLE: f64 = 0.01;

/// What a comparison of two pairs of factors shows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Match {
    /// Whether the stored column of B and row of A are the rebuilt ones negated.
    pub(crate) negated: Vec<bool>,
    /// The largest relative difference of a column of B or a row of A, after that.
    pub(crate) difference: f64,
    /// Its column.
    pub(crate) column: usize,
}

impl Match {
    /// Compares factors of the same shape, column by column.
    pub(crate) fn new(stored: &Factors, rebuilt: &Factors) -> Self {
        let (b, other_b) = (columns(stored), columns(rebuilt));
        let (a, other_a) = (rows(stored), rows(rebuilt));
        let longest = |vectors: &[Vec<f64>]| {
            vectors
                .iter()
                .map(|vector| frobenius(vector))
                .fold(0.0, f64::max)
        };
        let (least_b, least_a) = (NEGLIGIBLE * longest(&b), NEGLIGIBLE * longest(&a));
        let mut matched = Self {
            negated: Vec::new(),
            difference: 0.0,
            column: 0,
        };
        for column in 0..stored.rank {
            let ends = (&b[column], &other_b[column], &a[column], &other_a[column]);
            let negated = cosine(ends.0, ends.1) + cosine(ends.2, ends.3) < 0.0;
            matched.negated.push(negated);
            let difference = distance(ends.0, ends.1, negated, least_b)
                .max(distance(ends.2, ends.3, negated, least_a));
            if difference > matched.difference {
                (matched.difference, matched.column) = (difference, column);
            }
        }
        matched
    }

    /// R between the rebuilt factors: D·R·D with D the signs.
    pub(crate) fn turned(&self, r: &[f64]) -> Vec<f64> {
        let rank = self.negated.len();
        let turn = |(i, &entry): (usize, &f64)| {
            if self.negated[i / rank] == self.negated[i % rank] {
                entry
            } else {
                -entry
            }
        };
        r.iter().enumerate().map(turn).collect()
    }

    /// The signs relative to the first column, which is all that ΔW shows: those of the columns 1 … rank − 1.
    pub(crate) fn relative_signs(&self) -> impl Iterator<Item = bool> + '_ {
        let first = self.negated.first().copied().unwrap_or(false);
        self.negated
            .iter()
            .skip(1)
            .map(move |&negated| negated != first)
    }
}

/// ‖B·R·A − B'·D·R·D·A'‖ / ‖B·R·A‖ of the stored and the rebuilt factors.
pub(crate) fn residual(stored: &Factors, rebuilt: &Factors, matched: &Match, r: &[f64]) -> f64 {
    let wanted = Product {
        b: &stored.b,
        middle: r,
        a: &stored.a,
        rank: stored.rank,
    };
    let found = Product {
        b: &rebuilt.b,
        middle: &matched.turned(r),
        a: &rebuilt.a,
        rank: rebuilt.rank,
    };
    relative(&wanted, &found)
}

fn columns(factors: &Factors) -> Vec<Vec<f64>> {
    let column = |c| {
        factors
            .b
            .iter()
            .skip(c)
            .step_by(factors.rank)
            .copied()
            .collect()
    };
    (0..factors.rank).map(column).collect()
}

fn rows(factors: &Factors) -> Vec<Vec<f64>> {
    factors
        .a
        .chunks_exact(factors.columns)
        .map(<[f64]>::to_vec)
        .collect()
}

/// 0 where one of the two vanishes.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let norms = frobenius(a) * frobenius(b);
    if norms == 0.0 { 0.0 } else { dot(a, b) / norms }
}

fn distance(wanted: &[f64], found: &[f64], negated: bool, least: f64) -> f64 {
    let sign = if negated { -1.0 } else { 1.0 };
    let difference: Vec<f64> = wanted
        .iter()
        .zip(found)
        .map(|(wanted, found)| wanted - sign * found)
        .collect();
    let norm = frobenius(&difference);
    if norm == 0.0 {
        0.0
    } else {
        norm / frobenius(wanted).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(b: [f64; 6], a: [f64; 4]) -> Factors {
        Factors::new(3, 2, 2, b.to_vec(), a.to_vec()).unwrap()
    }

    #[test]
    fn finds_which_columns_are_negated_and_what_that_makes_of_r() {
        let stored = factors([1.0, 4.0, 2.0, 5.0, 3.0, -6.0], [1.0, 2.0, 3.0, -4.0]);
        let rebuilt = factors([1.0, -4.0, 2.0, -5.0, 3.0, 6.0], [1.0, 2.0, -3.0, 4.0]);
        let matched = Match::new(&stored, &rebuilt);
        assert_eq!(
            (matched.negated.as_slice(), matched.difference),
            ([false, true].as_slice(), 0.0)
        );
        assert_eq!(
            matched.turned(&[1.0, 2.0, 3.0, 4.0]),
            [1.0, -2.0, -3.0, 4.0]
        );
        assert!(residual(&stored, &rebuilt, &matched, &[1.0, 2.0, 3.0, 4.0]) < 1e-15);
    }

    #[test]
    fn a_sign_that_all_columns_share_cancels() {
        let matched = |negated: [bool; 3]| Match {
            negated: negated.to_vec(),
            difference: 0.0,
            column: 0,
        };
        let relative = |negated| matched(negated).relative_signs().collect::<Vec<_>>();
        assert_eq!(relative([true, true, false]), [false, true]);
        assert_eq!(relative([false, false, true]), [false, true]);
    }

    #[test]
    fn names_the_column_that_differs() {
        let stored = factors([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]);
        let rebuilt = factors([1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.5, 1.0]);
        let matched = Match::new(&stored, &rebuilt);
        assert_eq!((matched.column, matched.difference), (1, 0.5));
    }
}
