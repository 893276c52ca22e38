//! Corrections of a rounded basis: spec §4.6, R35.

use std::ops::Range;

use crate::cursor::Cursor;
use crate::{InvalidAdapter, ParseError};

/// Steps of one entry of the rounded factors to the next larger numbers (or, if negative, smaller ones), by magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// The entry's number: those of B, then of A, row-major, of the modules in module order.
    pub entry: u64,
    /// How many steps; not 0.
    pub steps: i64,
}

/// Corrections in the order of their entries. They are kept as the file has them, which takes about two bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Corrections {
    bytes: Vec<u8>,
}

/// Tokens move forward by less than 2⁶³ in all.
const MOST_MOVES: u64 = (1 << 63) - 1;

impl Corrections {
    /// From corrections in ascending order of their entries.
    ///
    /// # Errors
    /// If their entries do not ascend, or reach 2⁶³ − 1, if one has no steps, or if they take more than 2³² − 1 bytes.
    pub fn new(corrections: impl IntoIterator<Item = Correction>) -> Result<Self, InvalidAdapter> {
        let mut bytes = Vec::new();
        let mut position = 0;
        for Correction { entry, steps } in corrections {
            let target = entry.saturating_add(1);
            if target <= position || target > MOST_MOVES || steps == 0 {
                return Err(InvalidAdapter::Correction {
                    entry,
                    steps,
                    least: position,
                });
            }
            let (down, more) = (u8::from(steps < 0), steps.unsigned_abs().saturating_sub(1));
            let moves = target.saturating_sub(position);
            push_number(&mut bytes, moves.saturating_mul(2) | u64::from(down));
            ensure_countable(&bytes, more)?;
            bytes.resize(
                bytes
                    .len()
                    .saturating_add(usize::try_from(more).unwrap_or(usize::MAX)),
                down,
            );
            position = target;
        }
        Ok(Self { bytes })
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Correction> + '_ {
        let mut content = Cursor::new(&self.bytes, 0);
        let mut position = 0_u64;
        let mut next = number(&mut content);
        std::iter::from_fn(move || {
            let token = next?;
            position = position.saturating_add(moves(token));
            let step = step(token);
            let mut steps = step;
            next = number(&mut content);
            while next.is_some_and(|token| moves(token) == 0) {
                steps = steps.saturating_add(step);
                next = number(&mut content);
            }
            Some(Correction {
                entry: position.saturating_sub(1),
                steps,
            })
        })
    }

    /// Those of the entries in `range`, numbered from its start: the part that belongs to one module.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Correction> + '_ {
        let Range { start, end } = range;
        self.iter()
            .skip_while(move |correction| correction.entry < start)
            .take_while(move |correction| correction.entry < end)
            .map(move |Correction { entry, steps }| Correction {
                entry: entry.saturating_sub(start),
                steps,
            })
    }

    /// One more than the last entry that is corrected; 0 if none is.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.iter()
            .last()
            .map_or(0, |correction| correction.entry.saturating_add(1))
    }

    /// Whether there are none, and so no section.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The content of the section.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the corrections section, R35.
pub(crate) fn parse(mut content: Cursor<'_>) -> Result<Corrections, ParseError> {
    let whole = content;
    let offset = content.offset();
    if content.left() == 0 {
        return Err(ParseError::NoCorrections { offset });
    }
    let mut position = 0_u64;
    let mut previous = None;
    while content.left() > 0 {
        let offset = content.offset();
        let token = number(&mut content).ok_or(ParseError::CorrectionNumber { offset })?;
        match (moves(token), previous) {
            (0, None) => return Err(ParseError::CorrectionStart { offset }),
            (0, Some(previous)) if previous != step(token) => {
                return Err(ParseError::CorrectionDirection { offset });
            }
            (moves, _) => position = position.saturating_add(moves),
        }
        if position > MOST_MOVES {
            return Err(ParseError::CorrectionTooFar { offset });
        }
        previous = Some(step(token));
    }
    let bytes = { whole }.take(whole.left()).unwrap_or_default().to_vec();
    Ok(Corrections { bytes })
}

/// How many entries a token moves forward.
const fn moves(token: u64) -> u64 {
    token >> 1
}

/// The step that a token makes.
const fn step(token: u64) -> i64 {
    if token & 1 == 0 { 1 } else { -1 }
}

/// The next number in LEB128; none if it is cut off, takes more than 64 bits, or could be shorter.
fn number(content: &mut Cursor<'_>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = content.u8()?;
        let bits = u64::from(byte & 0x7F);
        value |= bits.checked_shl(shift)?;
        if value >> shift != bits {
            return None;
        }
        if byte < 0x80 {
            return (byte > 0 || shift == 0).then_some(value);
        }
    }
    None
}

fn push_number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Whether a section can have these bytes and `more`.
fn ensure_countable(bytes: &[u8], more: u64) -> Result<(), InvalidAdapter> {
    let largest = u64::from(u32::MAX);
    let found = u64::try_from(bytes.len())
        .unwrap_or(u64::MAX)
        .saturating_add(more);
    if found <= largest {
        Ok(())
    } else {
        Err(InvalidAdapter::TooLong {
            list: "the corrections",
            found,
            largest,
        })
    }
}
