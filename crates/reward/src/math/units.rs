//! Units after a value, and labels before it.

use super::token::{Lexeme, Token};
use super::words;

/// A value's pieces, its unit in the usual spelling, and whether it is in percent.
pub(crate) struct Measured<'a> {
    pub(crate) value: &'a [Lexeme],
    pub(crate) unit: Option<String>,
    pub(crate) percent: bool,
}

/// Takes the unit off: words, `°`, `%`, `m/s` and the like at the end, after something else.
///
/// With `letters` also a single letter such as m, if white space stands before it; otherwise that is a variable.
pub(crate) fn measured(lexemes: &[Lexeme], letters: bool) -> Measured<'_> {
    let none = Measured { value: lexemes, unit: None, percent: false };
    for start in 1..lexemes.len() {
        let Some((value, unit)) = lexemes.split_at_checked(start) else { continue };
        let hanging = value.last().is_some_and(|last| {
            matches!(last.token, Token::Symbol('+' | '-' | '*' | '/' | '^' | '_' | '=' | '<' | '>'))
        });
        if hanging {
            continue;
        }
        if let Some(unit) = spelled(unit, letters) {
            let percent = unit == "%";
            let unit = Some(unit).filter(|unit| !percent && unit != "unit" && unit != "°");
            return Measured { value, unit, percent };
        }
    }
    none
}

/// The usual spelling if all of the pieces are a unit.
fn spelled(lexemes: &[Lexeme], letters: bool) -> Option<String> {
    let mut unit = String::new();
    let mut rest = lexemes;
    let mut powered = None;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match &first.token {
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
                if let Some((Token::Letter('C' | 'F'), after)) = after.split_first().map(|(next, rest)| (&next.token, rest)) {
                    rest = after;
                }
            }
            Token::Symbol('%') if unit.is_empty() && after.is_empty() => unit.push('%'),
            Token::Letter(letter) if words::is_unit_letter(*letter) && (letters && first.spaced || !unit.is_empty()) => {
                unit.push(*letter);
            }
            Token::Symbol('/' | '*') if !unit.is_empty() => unit.push('/'),
            Token::Symbol('^') if !unit.is_empty() => {
                let braced: Vec<&Lexeme> = after.iter().take(3).filter(|next| !next.is('{') && !next.is('}')).collect();
                let Token::Number(power) = &braced.first()?.token else { return None };
                unit.push('^');
                unit.push_str(&power.raw);
                let taken = if after.first().is_some_and(|next| next.is('{')) { 3 } else { 1 };
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
        .map(|lexeme| if let Token::Text(word) = &lexeme.token { word.to_ascii_lowercase() } else { "?".to_owned() })
        .collect();
    matches!(words.join(" ").as_str(), "answer" | "the answer" | "the answer is" | "final answer" | "result")
}
