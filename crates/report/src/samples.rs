//! Some completions of a run: of the first, the last and some steps between, evenly taken within each.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::ReportError;
use crate::lines::{each_line, parse};
use crate::records::SampleRecord;

/// Completions that are kept at most.
const KEPT: usize = 200;
/// Characters of a text that are kept at most.
const COMPLETION: usize = 1500;
const QUESTION: usize = 700;
const ANSWER: usize = 120;

/// What was kept of samples.jsonl.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// Those that were kept, in the order of the file.
    pub kept: Vec<SampleRecord>,
    /// How many there were.
    pub total: usize,
}

#[derive(Deserialize)]
struct OfStep {
    step: u64,
}

impl Samples {
    /// Reads the file twice: once to count, once to keep.
    pub(crate) fn read(path: &Path) -> Result<Self, ReportError> {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        each_line(path, |line, text| {
            let of: OfStep = parse(path, line, text)?;
            *counts.entry(of.step).or_default() += 1;
            Ok(())
        })?;
        let total = counts.values().sum();
        let chosen = choose(&counts);
        let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        each_line(path, |line, text| {
            let of: OfStep = parse(path, line, text)?;
            let Some(&limit) = chosen.get(&of.step) else {
                return Ok(());
            };
            let number = seen.entry(of.step).or_default();
            let count = counts.get(&of.step).copied().unwrap_or(0);
            if spread(*number, count, limit) && kept.len() < KEPT {
                kept.push(cut(parse(path, line, text)?));
            }
            *number += 1;
            Ok(())
        })?;
        Ok(Self { kept, total })
    }
}

/// The steps that are shown, with the number of completions of each.
fn choose(counts: &BTreeMap<u64, usize>) -> BTreeMap<u64, usize> {
    let steps: Vec<u64> = counts.keys().copied().collect();
    let largest = counts.values().copied().max().unwrap_or(1).max(1);
    let wanted = (KEPT / largest).clamp(3, 9).min(steps.len());
    let place = |number: usize| match wanted {
        0 | 1 => 0,
        _ => number * (steps.len() - 1) / (wanted - 1),
    };
    (0..wanted)
        .filter_map(|number| steps.get(place(number)))
        .map(|&step| (step, KEPT / wanted))
        .collect()
}

/// Whether the completion of this number is among `limit` evenly taken ones of `count`.
const fn spread(number: usize, count: usize, limit: usize) -> bool {
    count <= limit || (number * limit) / count != ((number + 1) * limit) / count
}

fn cut(mut sample: SampleRecord) -> SampleRecord {
    shorten(&mut sample.completion, COMPLETION);
    shorten(&mut sample.question, QUESTION);
    shorten(&mut sample.gold, ANSWER);
    shorten(&mut sample.id, ANSWER);
    if let Some(extracted) = &mut sample.extracted {
        shorten(extracted, ANSWER);
    }
    sample
}

fn shorten(text: &mut String, limit: usize) {
    if let Some((end, _)) = text.char_indices().nth(limit) {
        let left = text.get(end..).unwrap_or("").chars().count();
        text.truncate(end);
        text.push_str(&format!("… ({left} more characters)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_step_are_among_the_chosen() {
        let counts: BTreeMap<u64, usize> = (1..=100).map(|step| (step, 64)).collect();
        let chosen = choose(&counts);
        assert_eq!(chosen.keys().copied().collect::<Vec<_>>(), [1, 50, 100]);
        assert!(chosen.values().sum::<usize>() <= KEPT);
        assert!(choose(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn as_many_are_taken_as_were_asked_for() {
        for (count, limit) in [(64, 66), (1000, 66), (67, 66), (3, 1)] {
            let taken = (0..count).filter(|&n| spread(n, count, limit)).count();
            assert_eq!(taken, count.min(limit));
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = "é".repeat(20);
        shorten(&mut text, 5);
        assert_eq!(text, "ééééé… (15 more characters)");
    }
}
