//! The order in which a run takes its problems: a permutation of its own for each epoch, from the seed alone. A run that is
//! resumed needs no more than the epoch and the position in it.

use serde::{Deserialize, Serialize};

/// Where a run is in its problems.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Times that all problems were taken.
    pub epoch: u64,
    /// Problems taken of this one.
    pub position: usize,
}

impl Cursor {
    /// The numbers of the next `count` problems of `total`, and moves on.
    ///
    /// The last problems of an epoch are left out where they are fewer than `count`, so that no step sees a problem twice. Of
    /// fewer than `count` problems all are taken.
    pub fn take(&mut self, seed: u64, total: usize, count: usize) -> Vec<usize> {
        let count = count.min(total);
        if self.position > total - count {
            *self = Self {
                epoch: self.epoch + 1,
                position: 0,
            };
        }
        let order = permutation(seed, self.epoch, total);
        let taken = order.into_iter().skip(self.position).take(count).collect();
        self.position += count;
        taken
    }
}

/// An order of `total` things: Fisher-Yates on the stream of the seed and the epoch.
#[must_use]
pub fn permutation(seed: u64, epoch: u64, total: usize) -> Vec<usize> {
    let mut stream = Stream::new("tlora 2026-11 order v1", &[seed, epoch]);
    let mut order: Vec<usize> = (0..total).collect();
    for i in (1..total).rev() {
        order.swap(i, stream.below(i + 1));
    }
    order
}

/// Random numbers that follow from a purpose and some numbers: BLAKE3 of the numbers, keyed by the purpose, extended.
#[derive(Debug, Clone)]
pub struct Stream(blake3::OutputReader);

impl Stream {
    /// The stream of a purpose and numbers. Different purposes have nothing in common.
    #[must_use]
    pub fn new(purpose: &str, numbers: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        Self(hasher.finalize_xof())
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, each equally likely but for one part in 2⁶⁴ / `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.bits()) * bound as u128;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the upper half of a product is below `bound`, which is a usize"
        )]
        let below = (product >> 64) as usize;
        below
    }

    /// A number from −1 to 1, 1 not included.
    pub fn symmetric(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are left")]
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        2.0 * unit - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut taken: Vec<usize>) -> Vec<usize> {
        taken.sort_unstable();
        taken
    }

    #[test]
    fn each_epoch_takes_every_problem_once_in_an_order_of_its_own() {
        let mut cursor = Cursor::default();
        let first: Vec<usize> = (0..4).flat_map(|_| cursor.take(7, 8, 2)).collect();
        let second: Vec<usize> = (0..4).flat_map(|_| cursor.take(7, 8, 2)).collect();
        assert_eq!(sorted(first.clone()), (0..8).collect::<Vec<_>>());
        assert_eq!(sorted(second.clone()), (0..8).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_eq!(cursor.epoch, 1);
    }

    #[test]
    fn the_rest_of_an_epoch_is_left_out() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.take(7, 5, 3).len(), 3);
        let epoch = permutation(7, 1, 5);
        assert_eq!(cursor.take(7, 5, 3), epoch[..3]);
        assert_eq!((cursor.epoch, cursor.position), (1, 3));
    }

    #[test]
    fn a_cursor_that_was_written_and_read_goes_on_where_it_was() {
        let mut cursor = Cursor::default();
        cursor.take(3, 100, 30);
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(text, r#"{"epoch":0,"position":30}"#);
        let mut read: Cursor = serde_json::from_str(&text).unwrap();
        for _ in 0..9 {
            assert_eq!(cursor.take(3, 100, 30), read.take(3, 100, 30));
        }
    }

    #[test]
    fn fewer_problems_than_wanted_are_all_taken_and_none_gives_none() {
        let mut cursor = Cursor::default();
        assert_eq!(sorted(cursor.take(1, 3, 8)), [0, 1, 2]);
        assert_eq!(sorted(cursor.take(1, 3, 8)), [0, 1, 2]);
        assert_eq!(cursor.epoch, 1);
        assert!(cursor.take(1, 0, 8).is_empty());
    }

    #[test]
    fn a_position_beyond_the_end_begins_the_next_epoch() {
        let mut cursor = Cursor {
            epoch: 4,
            position: usize::MAX,
        };
        assert_eq!(cursor.take(1, 3, 2), permutation(1, 5, 3)[..2]);
    }

    // From crates/run/tests/golden.py, with the Python package blake3.
    #[test]
    fn the_order_is_the_one_that_python_finds() {
        assert_eq!(permutation(42, 0, 10), ORDER_42_0);
        assert_eq!(permutation(42, 1, 10), ORDER_42_1);
    }

    const ORDER_42_0: [usize; 10] = [0, 8, 3, 9, 5, 6, 4, 7, 2, 1];
    const ORDER_42_1: [usize; 10] = [8, 4, 9, 7, 2, 3, 6, 0, 5, 1];

    #[test]
    fn orders_are_equally_likely() {
        // 6,000 orders of three: chi-squared with 5 degrees of freedom is below 20.5 in 999 of 1,000 cases.
        let mut counts = [0_f64; 6];
        for seed in 0..6_000 {
            let order = permutation(seed, 0, 3);
            counts[order[0] * 2 + usize::from(order[1] > order[2])] += 1.0;
        }
        let squared: f64 = counts.iter().map(|n| (n - 1e3) * (n - 1e3) / 1e3).sum();
        assert!(squared < 20.5, "{counts:?}");
    }
}
