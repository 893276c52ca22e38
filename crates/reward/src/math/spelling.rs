//! Small spellings that make one piece: command names, digits, periods, powers of ten, braces, degrees.

use super::token::{Lexeme, Token};

/// The piece that a command is, whichever of its names is used.
pub(super) fn usual(name: &str) -> Token {
    let command = match name {
        "dfrac" | "tfrac" | "cfrac" => "frac",
        "dbinom" | "tbinom" => "binom",
        "leq" | "leqslant" => "le",
        "geq" | "geqslant" => "ge",
        "neq" => "ne",
        "varnothing" => "emptyset",
        "lbrace" => "{",
        "rbrace" => "}",
        "wedge" | "land" | "lor" => "or",
        "cdot" | "times" | "ast" => return Token::Symbol('*'),
        "div" => return Token::Symbol('/'),
        "lt" => return Token::Symbol('<'),
        "gt" => return Token::Symbol('>'),
        "vert" | "lvert" | "rvert" | "mid" => return Token::Symbol('|'),
        "colon" => return Token::Symbol(':'),
        "degree" => return Token::Symbol('°'),
        "lbrack" => return Token::Symbol('['),
        "rbrack" => return Token::Symbol(']'),
        "varphi" => "phi",
        "varepsilon" => "epsilon",
        other => other,
    };
    Token::Command(command.to_owned())
}

pub(super) fn digits(text: &str) -> &str {
    let end = text
        .find(|next: char| !next.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The digits of `\overline{3}`, and what comes after it.
pub(super) fn repeating(text: &str) -> Option<(&str, &str)> {
    let inside = text
        .strip_prefix("\\overline{")
        .or_else(|| text.strip_prefix("\\bar{"))?;
    let period = digits(inside);
    let rest = inside.get(period.len()..)?.strip_prefix('}')?;
    (!period.is_empty()).then_some((period, rest))
}

/// The exponent of `e-3`, 0 if there is none, and what comes after it.
pub(super) fn exponent(text: &str) -> (i32, &str) {
    let parse = || {
        let after = text.strip_prefix(['e', 'E'])?;
        let unsigned = after.strip_prefix(['+', '-']).unwrap_or(after);
        let digits = digits(unsigned);
        let rest = unsigned.get(digits.len()..)?;
        if digits.len() > 4 || rest.starts_with(|next: char| next.is_alphabetic()) {
            return None;
        }
        let value: i32 = digits.parse().ok()?;
        Some((
            if after.starts_with('-') {
                -value
            } else {
                value
            },
            rest,
        ))
    };
    parse().unwrap_or((0, text))
}

/// What stands in the braces that `text` begins with, and what comes after them.
pub(super) fn group(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = crate::extract::closing(text).filter(|_| text.starts_with('{'))?;
    Some((text.get(1..end)?, text.get(end + 1..)?))
}

/// `^\circ` and `^{\circ}` as the one piece `°`.
pub(super) fn degrees(lexemes: Vec<Lexeme>) -> Vec<Lexeme> {
    let mut out: Vec<Lexeme> = Vec::with_capacity(lexemes.len());
    let mut rest = lexemes.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let is_circle = |at: usize| after.get(at).is_some_and(|next| next.is_command("circ"));
        let braced = after.first().is_some_and(|next| next.is('{'))
            && after.get(2).is_some_and(|next| next.is('}'));
        let taken = match first.is('^') {
            true if is_circle(0) => 1,
            true if braced && is_circle(1) => 3,
            _ => 0,
        };
        let token = if taken > 0 {
            Token::Symbol('°')
        } else {
            first.token.clone()
        };
        out.push(Lexeme {
            token,
            spaced: first.spaced,
        });
        rest = after.get(taken..).unwrap_or_default();
    }
    out
}
