//! A few tall columns of binary64 in paired order, one after the other.

/// Columns of equal, padded length.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    length: usize,
    data: Vec<f64>,
}

impl Columns {
    /// No columns yet; `length` is the padded length of each.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            length,
            data: Vec::new(),
        }
    }

    /// `count` columns of zeros.
    pub(crate) fn zeros(length: usize, count: usize) -> Self {
        Self {
            length,
            data: vec![0.0; length * count],
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.data.len() / self.length
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn all(&self) -> &[f64] {
        &self.data
    }

    pub(crate) fn all_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    pub(crate) fn column(&self, c: usize) -> &[f64] {
        &self.data[c * self.length..][..self.length]
    }

    /// The columns before `c`, and column `c`.
    pub(crate) fn split_at(&mut self, c: usize) -> (&[f64], &mut [f64]) {
        let (before, rest) = self.data.split_at_mut(c * self.length);
        (before, &mut rest[..self.length])
    }

    /// Appends the first `elements` of another: whole columns.
    pub(crate) fn append_part(&mut self, other: &Self, elements: usize) {
        self.data.extend_from_slice(&other.data[..elements]);
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.data.extend_from_slice(&other.data);
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.data.iter().all(|&x| x == 0.0)
    }
}
