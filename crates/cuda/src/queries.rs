//! What each token attends to, and the other way round: which tokens may attend to a key.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{CudaError, Result, size};
use crate::indices::Indices;

/// What a token attends to: a run of rows that others may read too, then a run that ends with the token itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// The first row of the prefix.
    pub prefix_start: usize,
    /// Rows of the prefix; may be 0.
    pub prefix_len: usize,
    /// The first row of its own run.
    pub own_start: usize,
    /// Rows of its own run, itself included.
    pub own_len: usize,
    /// The oldest keys that it does not attend to (sliding windows).
    pub skip: usize,
}

impl Query {
    /// Keys of both runs.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.prefix_len + self.own_len
    }

    /// The rows that it attends to, as two ranges.
    fn ranges(&self) -> [(usize, usize); 2] {
        let skipped = self.skip.min(self.prefix_len);
        let own = (self.skip - skipped).min(self.own_len);
        [
            (
                self.prefix_start + skipped,
                self.prefix_start + self.prefix_len,
            ),
            (self.own_start + own, self.own_start + self.own_len),
        ]
    }
}

/// Numbers of a query on the device.
const NUMBERS: usize = 5;

/// Queries of a batch on the device, one for each token.
#[derive(Debug)]
pub struct Queries {
    values: Buffer<u32>,
    tokens: usize,
    bound: usize,
}

impl Queries {
    /// Uploads the queries of a batch.
    ///
    /// # Errors
    /// A token attends to nothing.
    pub fn new(device: &Device, queries: &[Query]) -> Result<Self> {
        let mut values = Vec::with_capacity(queries.len() * NUMBERS);
        let mut bound = 0;
        for query in queries {
            if query.skip >= query.keys() {
                return Err(CudaError::Limit {
                    operation: "attention",
                    what: "the number of keys that a token skips",
                    found: query.skip,
                    wanted: "less than the keys of both runs",
                });
            }
            for value in [
                query.prefix_start,
                query.prefix_len,
                query.own_start,
                query.own_len,
                query.skip,
            ] {
                values.push(size("attention", "a row", value)?);
            }
            for (start, end) in query.ranges() {
                bound = bound.max(if start < end { end } else { 0 });
            }
        }
        Ok(Self {
            values: Buffer::from_slice(device, &values)?,
            tokens: queries.len(),
            bound,
        })
    }

    /// Those of some adjacent tokens, in the same memory; the bound stays that of all.
    ///
    /// # Errors
    /// They go beyond the end.
    pub fn part(&self, at: usize, tokens: usize) -> Result<Self> {
        Ok(Self {
            values: self.values.part(at * NUMBERS, tokens * NUMBERS)?,
            tokens,
            bound: self.bound,
        })
    }

    /// Tokens.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tokens
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tokens == 0
    }

    /// One more than the last row that is attended to.
    pub(crate) const fn bound(&self) -> usize {
        self.bound
    }

    pub(crate) const fn buffer(&self) -> &Buffer<u32> {
        &self.values
    }
}

/// Where the keys of a batch stand, and for each the tokens from the first to the last that attend to it.
#[derive(Debug)]
pub struct KeyRanges {
    pub(crate) rows: Indices,
    pub(crate) firsts: Buffer<u32>,
    pub(crate) ends: Buffer<u32>,
}

impl KeyRanges {
    /// The ranges of the tokens whose rows of the cache are `rows`, in the batch with these queries.
    ///
    /// # Errors
    /// The device has no memory left.
    pub fn new(device: &Device, queries: &[Query], rows: &[u32]) -> Result<Self> {
        let count = queries.iter().flat_map(Query::ranges).map(|(_, end)| end);
        let count = count
            .chain(rows.iter().map(|&row| row as usize + 1))
            .max()
            .unwrap_or(0);
        size("attention_backward", "tokens", queries.len())?;
        let firsts = nearest(queries, count, (0..).zip(queries), u32::MAX);
        let last_first = (0..).zip(queries).collect::<Vec<_>>().into_iter().rev();
        let lasts = nearest(queries, count, last_first, u32::MAX);
        let of = |all: &[u32], beyond: u32| -> Vec<u32> {
            rows.iter()
                .map(|&row| all[row as usize].wrapping_add(beyond))
                .collect()
        };
        Ok(Self {
            rows: Indices::new(device, rows)?,
            firsts: Buffer::from_slice(device, &of(&firsts, 0))?,
            // No token: the end is 0, before the first.
            ends: Buffer::from_slice(device, &of(&lasts, 1))?,
        })
    }
}

/// For each row the first token, in the order given, that attends to it. Rows that have theirs are skipped over, so that each
/// is looked at once or so.
fn nearest<'q>(
    queries: &[Query],
    count: usize,
    tokens: impl Iterator<Item = (u32, &'q Query)>,
    none: u32,
) -> Vec<u32> {
    let mut found = vec![none; count];
    if queries.is_empty() {
        return found;
    }
    // The next row without a token, from each row on; paths are halved as they are walked.
    let mut next: Vec<usize> = (0..=count).collect();
    for (token, query) in tokens {
        for (start, end) in query.ranges() {
            let mut row = free(&mut next, start.min(count));
            while row < end {
                found[row] = token;
                next[row] = row + 1;
                row = free(&mut next, row);
            }
        }
    }
    found
}

fn free(next: &mut [usize], mut row: usize) -> usize {
    while next[row] != row {
        next[row] = next[next[row]];
        row = next[row];
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shared prefixes, own runs and windows, against looking at every token for every row.
    #[test]
    fn rows_know_their_first_and_last_token() {
        let mut queries = Vec::new();
        for own_len in 1..=9 {
            queries.push(Query {
                own_start: 0,
                own_len,
                ..Query::default()
            });
        }
        for own_start in [16, 32] {
            for own_len in 1..=5_usize {
                let skip = (9 + own_len).saturating_sub(7);
                queries.push(Query {
                    prefix_start: 0,
                    prefix_len: 9,
                    own_start,
                    own_len,
                    skip,
                });
            }
        }
        let count = 40;
        let forward = nearest(&queries, count, (0..).zip(&queries), u32::MAX);
        let backward = nearest(
            &queries,
            count,
            (0..).zip(&queries).collect::<Vec<_>>().into_iter().rev(),
            u32::MAX,
        );
        for row in 0..count {
            let attends = |query: &&Query| {
                query
                    .ranges()
                    .iter()
                    .any(|&(start, end)| (start..end).contains(&row))
            };
            let tokens = || (0..).zip(&queries).filter(|(_, query)| attends(query));
            assert_eq!(
                forward[row],
                tokens().next().map_or(u32::MAX, |(t, _)| t),
                "{row}"
            );
            assert_eq!(
                backward[row],
                tokens().last().map_or(u32::MAX, |(t, _)| t),
                "{row}"
            );
        }
    }
}
