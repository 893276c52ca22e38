//! Problems: a question and its answer, read strictly, and the order that a run takes them in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tlora_reward::Verifier;

use crate::TrainError;

mod jsonl;
mod parquet;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name in the file, or the number of its line.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// The gold answer.
    pub answer: String,
    /// The answer as it stands in the file, with the working if there is one.
    pub solution: String,
}

/// The problems of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// In the order of the file.
    pub problems: Vec<Problem>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Keys that are not used, with how many lines have them.
    pub ignored: BTreeMap<String, usize>,
}

/// A problem as a file has it.
struct Line {
    id: Option<String>,
    question: String,
    answer: String,
    /// Names of what is not used.
    other: Vec<String>,
}

/// The lines of a file, and its SHA-256.
struct Lines {
    /// With their numbers, from 1.
    lines: Vec<(usize, Line)>,
    sha256: String,
}

/// Reads a file and asks the verifiers whether they can use each gold answer. `limit` 0 is all. A name that ends in `.parquet` is
/// read as Parquet, with the feature `parquet`; all others as JSONL.
///
/// # Errors
/// A line is not a problem, an id occurs twice, a gold answer is empty or unusable, or the file cannot be read.
pub fn read(
    path: &Path,
    limit: usize,
    verifiers: &[&dyn Verifier],
) -> Result<Problems, TrainError> {
    let found = match path.extension().is_some_and(|end| end == "parquet") {
        true => parquet::read(path, limit)?,
        false => jsonl::read(path, limit)?,
    };
    let (mut problems, mut ids, mut ignored) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for (number, line) in found.lines {
        for key in line.other {
            *ignored.entry(key).or_insert(0) += 1;
        }
        let problem = Problem {
            id: line.id.unwrap_or_else(|| format!("line-{number}")),
            question: line.question,
            answer: gold(&line.answer),
            solution: line.answer.trim().to_owned(),
        };
        if !ids.insert(problem.id.clone()) {
            return Err(TrainError::Data {
                file: path.to_owned(),
                line: number,
                reason: format!("the id {:?} occurs twice", problem.id),
            });
        }
        for verifier in verifiers {
            verifier
                .check_gold(&problem.answer)
                .map_err(|source| TrainError::Gold {
                    file: path.to_owned(),
                    id: problem.id.clone(),
                    source,
                })?;
        }
        problems.push(problem);
    }
    if problems.is_empty() {
        return Err(TrainError::Data {
            file: path.to_owned(),
            line: 0,
            reason: "no problems".to_owned(),
        });
    }
    Ok(Problems {
        problems,
        sha256: found.sha256,
        ignored,
    })
}

/// GSM8K's answers are solutions that end with `#### 42`; others are the answer itself.
fn gold(answer: &str) -> String {
    match answer.rsplit_once("####") {
        Some((_, gold)) => gold.trim().replace(',', ""),
        None => answer.trim().to_owned(),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Where a run is in its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Times that all problems were taken.
    pub epoch: u64,
    /// Problems taken of this one.
    pub position: usize,
}

impl Cursor {
    /// The numbers of the next problems, and moves on. An epoch's last problems that are fewer than `count` are left out, so
    /// that no step sees a problem twice.
    ///
    /// There are `total` problems; each epoch has an order of its own, which follows from the seed.
    pub fn take(&mut self, seed: u64, total: usize, count: usize) -> Vec<usize> {
        let count = count.min(total);
        if self.position + count > total {
            *self = Self {
                epoch: self.epoch + 1,
                position: 0,
            };
        }
        let order = permutation(seed, self.epoch, total);
        let taken = order[self.position..self.position + count].to_vec();
        self.position += count;
        taken
    }
}

/// An order of `total` things (Fisher-Yates, on the stream of the seed and the epoch).
fn permutation(seed: u64, epoch: u64, total: usize) -> Vec<usize> {
    let mut stream = Stream::new("tlora 2026-11 order v1", &[seed, epoch]);
    let mut order: Vec<usize> = (0..total).collect();
    for i in (1..total).rev() {
        order.swap(i, stream.below(i + 1));
    }
    order
}

/// Random numbers from a purpose and some numbers.
pub(crate) struct Stream(blake3::OutputReader);

impl Stream {
    pub(crate) fn new(purpose: &str, numbers: &[u64]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        Self(hasher.finalize_xof())
    }

    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number below `bound`, each equally likely but for one part in 2^40.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.next()) * bound as u128;
        #[expect(clippy::cast_possible_truncation, reason = "below `bound`")]
        let below = (product >> 64) as usize;
        below
    }

    /// A number from −1 to 1.
    pub(crate) fn symmetric(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are left")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        2.0 * unit - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_every_problem_once_and_the_next_in_another_order() {
        let mut cursor = Cursor::default();
        let first: Vec<usize> = (0..4).flat_map(|_| cursor.take(7, 8, 2)).collect();
        let second: Vec<usize> = (0..4).flat_map(|_| cursor.take(7, 8, 2)).collect();
        let all = |mut taken: Vec<usize>| {
            taken.sort_unstable();
            taken
        };
        assert_eq!(all(first.clone()), (0..8).collect::<Vec<_>>());
        assert_eq!(all(second.clone()), (0..8).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_eq!(cursor.epoch, 1);
    }

    #[test]
    fn the_rest_of_an_epoch_is_left_out() {
        let mut cursor = Cursor::default();
        cursor.take(7, 5, 3);
        assert_eq!(cursor.take(7, 5, 3).len(), 3);
        assert_eq!(
            cursor,
            Cursor {
                epoch: 1,
                position: 3
            }
        );
    }

    #[test]
    fn gold_is_what_follows_the_last_hashes() {
        assert_eq!(gold("6 * 200 = <<6*200=1200>>1200\n#### 1,200"), "1200");
        assert_eq!(gold(" 1,200 "), "1,200");
    }
}
