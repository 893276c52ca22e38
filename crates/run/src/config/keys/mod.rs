//! Every key once: what it means and what it may be. Checks, the comments of the resolved copy and docs/train-config.md come from
//! here.

mod table;

use std::fmt;

pub use table::{KEYS, SECTIONS};
use toml::{Table, Value};

/// A key of a configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Its name, with the section before it.
    pub path: &'static str,
    /// What it may be.
    pub wanted: Wanted,
    /// What it means.
    pub meaning: &'static str,
}

/// What a key may be; as text, what to write in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// A whole number from the first to the second.
    Count(i64, i64),
    /// A number within limits.
    Number(Limits),
    /// One of these.
    Choice(&'static [&'static str]),
    /// true or false.
    Flag,
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// Something else, in words.
    Other(&'static str),
}

/// Between which numbers; never an infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    least: f64,
    most: f64,
    /// Whether `least` itself is out.
    above: bool,
    /// Whether `most` itself is out.
    below: bool,
}

impl Wanted {
    /// Whether a value is one. Types that serde has checked are not checked again.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Count(least, most), Value::Integer(count)) => (least..=most).contains(&count),
            (Self::Number(limits), Value::Float(number)) => limits.hold(*number),
            (Self::Count(..) | Self::Number(_), _) => false,
            _ => is_finite(value),
        }
    }
}

impl Limits {
    fn hold(&self, number: f64) -> bool {
        let low = number > self.least || (number == self.least && !self.above);
        let high = number < self.most || (number == self.most && !self.below);
        number.is_finite() && low && high
    }
}

/// Whether there are no infinities and NaNs in a value: a statement of provenance is JSON, which has none.
fn is_finite(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::Array(values) => values.iter().all(is_finite),
        Value::Table(table) => table.values().all(is_finite),
        _ => true,
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(least, MOST) => write!(f, "a whole number, {least} or more"),
            Self::Count(least, most) => write!(f, "a whole number, {least} to {most}"),
            Self::Number(limits) => write!(f, "a number, {limits}"),
            Self::Choice(choices) => {
                let quoted: Vec<String> = choices.iter().map(|name| format!("{name:?}")).collect();
                f.write_str(&quoted.join(", "))
            }
            Self::Flag => f.write_str("true or false"),
            Self::Text => f.write_str("a text"),
            Self::Texts => f.write_str("a list of texts"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.least, self.most);
        match (self.above, self.below, most.is_finite()) {
            (false, false, true) => write!(f, "{least} to {most}"),
            (true, _, true) => write!(f, "more than {least}, at most {most}"),
            (false, true, _) => write!(f, "{least} or more, below {most}"),
            (false, _, false) => write!(f, "{least} or more"),
            (true, _, false) => write!(f, "more than {least}"),
        }
    }
}

/// The limit of what TOML can write.
const MOST: i64 = i64::MAX;

/// The key of this name.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The value of a key in a table of sections.
pub(crate) fn value<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((section, name)) => table.get(section)?.as_table()?.get(name),
    }
}

/// The key or section that a name was most likely meant to be: one of the same name elsewhere, or one that is spelt alike.
#[must_use]
pub fn nearest(path: &str) -> Option<&'static str> {
    let name = last(path);
    let elsewhere = KEYS
        .iter()
        .map(|key| key.path)
        .filter(|key| last(key) == name);
    let alike = KEYS
        .iter()
        .map(|key| key.path)
        .chain(SECTIONS.iter().skip(1).map(|(name, _)| *name));
    elsewhere.min_by_key(|key| distance(key, path)).or_else(|| {
        let near = alike.map(|key| (distance(key, path), key));
        let (edits, key) = near.min()?;
        (edits <= 1 + path.chars().count() / 4).then_some(key)
    })
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// How many characters have to be changed, put in or left out (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, pair), left) in b.iter().zip(row.windows(2)).zip(0..) {
            let [diagonal, above]: [usize; 2] = pair.try_into().unwrap_or_default();
            let left = next.get(left).copied().unwrap_or_default();
            next.push(
                (diagonal + usize::from(a != *b))
                    .min(above + 1)
                    .min(left + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
