//! Units after a value, and labels before it.

use super::token::{Lexeme, Token};
use super::words;

/// Longer runs of words are sentences.
const MAX_WORDS: usize = 4;

/// A value's pieces, its unit in the usual spelling, and whether it is in percent.
pub(crate) struct Measured<'a> {
    pub(crate) value: &'a [Lexeme],
    pub(crate) unit: Option<String>,
    pub(crate) percent: bool,
    /// What a word after the value multiplies it by: `million`.
    pub(crate) scale: Option<&'static str>,
}

/// Takes the unit off: words, `°`, `%`, `m/s` and the like at the end, after something else.
///
/// With `letters` also a single letter such as m, if white space stands before it; otherwise that is a variable.
pub(crate) fn measured(lexemes: &[Lexeme], letters: bool) -> Measured<'_> {
    let none = Measured {
        value: lexemes,
        unit: None,
        percent: false,
        scale: None,
    };
    for start in 1..lexemes.len() {
        let Some((value, unit)) = lexemes.split_at_checked(start) else {
            continue;
        };
        let hanging = value.last().is_some_and(|last| {
            matches!(
                last.token,
                Token::Symbol('+' | '-' | '*' | '/' | '^' | '_' | '=' | '<' | '>')
            )
        });
        if hanging {
            continue;
        }
        let scale = unit.first().and_then(scale);
        let unit = if scale.is_some() {
            unit.get(1..).unwrap_or_default()
        } else {
            unit
        };
        let unit = if scale.is_some() && unit.is_empty() {
            Some(String::new())
        } else {
            spelled(unit, letters)
        };
        if let Some(unit) = unit {
            let percent = unit == "%";
            let unit =
                Some(unit).filter(|unit| !percent && !matches!(unit.as_str(), "" | "unit" | "°"));
            return Measured {
                value,
                unit,
                percent,
                scale,
            };
        }
    }
    none
}

fn scale(lexeme: &Lexeme) -> Option<&'static str> {
    if let Token::Text(word) = &lexeme.token {
        words::scale(word)
    } else {
        None
    }
}

/// The usual spelling if all of the pieces are a unit.
fn spelled(lexemes: &[Lexeme], letters: bool) -> Option<String> {
    if lexemes
        .iter()
        .filter(|lexeme| matches!(lexeme.token, Token::Text(_)))
        .count()
        > MAX_WORDS
    {
        return None;
    }
    let mut unit = String::new();
    let mut rest = lexemes;
    let mut powered = None;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match &first.token {
            Token::Text(word) if words::is_no_unit(word) => return None,
            Token::Text(word) => match words::unit(word).as_str() {
                "square" => powered = Some("^2"),
                "cubic" => powered = Some("^3"),
                word => {
                    unit.push_str(word);
                    unit.push_str(powered.take().unwrap_or_default());
                }
            },
            Token::Symbol('°') => {
                unit.push('°');
                if let Some((Token::Letter(letter @ ('C' | 'F')), after)) =
                    after.split_first().map(|(next, rest)| (&next.token, rest))
                {
                    unit.push(*letter);
                    rest = after;
                }
            }
            Token::Symbol('%') if unit.is_empty() && after.is_empty() => unit.push('%'),
            Token::Letter(letter)
                if words::is_unit_letter(*letter)
                    && (letters && first.spaced || !unit.is_empty()) =>
            {
                unit.push(*letter);
            }
            Token::Symbol('/' | '*') if !unit.is_empty() => unit.push('/'),
            Token::Symbol('^') if !unit.is_empty() => {
                let braced: Vec<&Lexeme> = after
                    .iter()
                    .take(3)
                    .filter(|next| !next.is('{') && !next.is('}'))
                    .collect();
                let Token::Number(power) = &braced.first()?.token else {
                    return None;
                };
                unit.push('^');
                unit.push_str(&power.raw);
                let taken = if after.first().is_some_and(|next| next.is('{')) {
                    3
                } else {
                    1
                };
                rest = after.get(taken..)?;
            }
            _ => return None,
        }
    }
    (!unit.is_empty()).then_some(unit)
}

/// Whether the pieces are what stands before a colon and an answer: `Answer:`.
pub(crate) fn is_label(lexemes: &[Lexeme]) -> bool {
    let words: Vec<String> = lexemes
        .iter()
        .map(|lexeme| {
            if let Token::Text(word) = &lexeme.token {
                word.to_ascii_lowercase()
            } else {
                "?".to_owned()
            }
        })
        .collect();
    matches!(
        words.join(" ").as_str(),
        "answer" | "the answer" | "the answer is" | "final answer" | "result"
    )
}
