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
    (1..lexemes.len())
        .filter_map(|start| lexemes.split_at_checked(start))
        .filter(|(value, _)| !value.last().is_some_and(is_operator))
        .find_map(|(value, after)| {
            let scale = after.first().and_then(scale);
            let unit = after.get(usize::from(scale.is_some())..)?;
            let unit = if unit.is_empty() {
                String::new()
            } else {
                Spelling::of(unit, letters)?
            };
            let percent = unit == "%";
            let counts = !percent && !matches!(unit.as_str(), "" | "unit" | "°");
            Some(Measured {
                value,
                unit: counts.then_some(unit),
                percent,
                scale,
            })
        })
        .unwrap_or(Measured {
            value: lexemes,
            unit: None,
            percent: false,
            scale: None,
        })
}

/// Whether something has to follow.
fn is_operator(lexeme: &Lexeme) -> bool {
    matches!(
        lexeme.token,
        Token::Symbol('+' | '-' | '*' | '/' | '^' | '_' | '=' | '<' | '>')
    )
}

fn scale(lexeme: &Lexeme) -> Option<&'static str> {
    if let Token::Text(word) = &lexeme.token {
        words::scale(word)
    } else {
        None
    }
}

/// The unit so far, and the pieces that are left.
struct Spelling<'a> {
    unit: String,
    rest: &'a [Lexeme],
    /// The power of the word that follows `square` or `cubic`.
    power: &'static str,
    letters: bool,
}

impl Spelling<'_> {
    /// The usual spelling if all of the pieces are a unit.
    fn of(lexemes: &[Lexeme], letters: bool) -> Option<String> {
        let words = lexemes
            .iter()
            .filter(|lexeme| matches!(lexeme.token, Token::Text(_)))
            .count();
        if words > MAX_WORDS {
            return None;
        }
        let mut spelling = Spelling {
            unit: String::new(),
            rest: lexemes,
            power: "",
            letters,
        };
        while let Some((first, rest)) = spelling.rest.split_first() {
            spelling.rest = rest;
            spelling.push(first)?;
        }
        (!spelling.unit.is_empty()).then_some(spelling.unit)
    }

    fn push(&mut self, lexeme: &Lexeme) -> Option<()> {
        let begun = !self.unit.is_empty();
        match &lexeme.token {
            Token::Text(word) => self.word(word)?,
            Token::Symbol('°') => {
                self.unit.push('°');
                if let Some((
                    Lexeme {
                        token: Token::Letter(scale @ ('C' | 'F')),
                        ..
                    },
                    rest,
                )) = self.rest.split_first()
                {
                    self.unit.push(*scale);
                    self.rest = rest;
                }
            }
            Token::Symbol('%') if !begun && self.rest.is_empty() => self.unit.push('%'),
            Token::Letter(letter)
                if words::is_unit_letter(*letter) && (begun || self.letters && lexeme.spaced) =>
            {
                self.unit.push(*letter);
            }
            Token::Symbol('/' | '*') if begun => self.unit.push('/'),
            Token::Symbol('^') if begun => self.exponent()?,
            _ => return None,
        }
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let begun = !self.unit.is_empty();
        match words::unit(word).as_str() {
            "squared" if begun => self.unit.push_str("^2"),
            "cubed" if begun => self.unit.push_str("^3"),
            "square" => self.power = "^2",
            "cubic" => self.power = "^3",
            _ if words::is_no_unit(word) => return None,
            unit => self.unit.extend([unit, std::mem::take(&mut self.power)]),
        }
        Some(())
    }

    /// `2` or `{2}`.
    fn exponent(&mut self) -> Option<()> {
        let (number, rest) = match self.rest {
            [open, number, close, rest @ ..] if open.is('{') && close.is('}') => (number, rest),
            [number, rest @ ..] => (number, rest),
            [] => return None,
        };
        let Token::Number(power) = &number.token else {
            return None;
        };
        self.unit.extend(["^", &power.raw]);
        self.rest = rest;
        Some(())
    }
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
