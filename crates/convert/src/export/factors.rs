//! Small matrices, row-major, on their way into tensors.

/// Values of a tensor, row by row.
pub(super) type Values<'a> = Box<dyn Iterator<Item = f64> + 'a>;

/// B·M, with M square.
pub(super) fn times(b: &[f64], core: &[f64], rank: usize) -> Vec<f64> {
    let entry = |row: &[f64], k: usize| {
        let column = core.iter().skip(k).step_by(rank);
        row.iter().zip(column).fold(0.0, |sum, (b, m)| sum + b * m)
    };
    b.chunks_exact(rank.max(1))
        .flat_map(|row| (0..rank).map(move |k| entry(row, k)))
        .collect()
}

/// The transposed of a matrix with so many columns.
pub(super) fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    let columns = columns.max(1);
    (0..columns)
        .flat_map(|column| matrix.iter().skip(column).step_by(columns).copied())
        .collect()
}

/// Rows of `own` values, each with zeros up to `width`.
pub(super) fn widened(matrix: Vec<f64>, own: usize, width: usize) -> Values<'static> {
    let mut values = matrix.into_iter();
    let mut column = 0;
    Box::new(std::iter::from_fn(move || {
        let value = if column < own { values.next()? } else { 0.0 };
        column = if column + 1 < width { column + 1 } else { 0 };
        Some(value)
    }))
}

/// Rows of `length` values, with rows of zeros up to `height`.
pub(super) fn heightened(mut matrix: Vec<f64>, length: usize, height: usize) -> Values<'static> {
    matrix.resize(height * length, 0.0);
    Box::new(matrix.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_turns_and_pads() {
        // [[1, 2], [3, 4], [5, 6]] · [[1, 10], [100, 0]].
        let b = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let product = times(&b, &[1.0, 10.0, 100.0, 0.0], 2);
        assert_eq!(product, [201.0, 10.0, 403.0, 30.0, 605.0, 50.0]);
        assert_eq!(transposed(&b, 2), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        let wide: Vec<f64> = widened(b[..4].to_vec(), 2, 3).collect();
        assert_eq!(wide, [1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
        let high: Vec<f64> = heightened(b[..3].to_vec(), 3, 2).collect();
        assert_eq!(high, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
    }
}
