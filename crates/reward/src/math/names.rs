//! Answers that have a name or a notation of their own, and the names that stand before an equals sign.

use super::form::Form;
use super::token::{Lexeme, Token, is_enclosed, key};

/// Matrices are the same in round and in square brackets, but determinants are none.
pub(super) fn matrix_kind(begin: &str) -> Option<&'static str> {
    match begin.strip_prefix("begin:")? {
        "pmatrix" | "bmatrix" | "matrix" | "array" | "smallmatrix" => Some("matrix"),
        "vmatrix" => Some("determinant"),
        _ => None,
    }
}

/// `2516_8` and `2516_{8}`.
pub(super) fn based(lexemes: &[Lexeme]) -> Option<Form> {
    let (Token::Number(number), below) = lexemes
        .split_first()
        .map(|(first, rest)| (&first.token, rest))?
    else {
        return None;
    };
    let base = match below {
        [line, base] if line.is('_') => base,
        [line, open, base, close] if line.is('_') && open.is('{') && close.is('}') => base,
        _ => return None,
    };
    let Token::Number(base) = &base.token else {
        return None;
    };
    Some(Form::Based {
        digits: number.digits()?.to_owned(),
        base: base.digits()?.to_owned(),
    })
}

/// Infinity, the empty set, the real numbers.
pub(super) fn named(lexemes: &[Lexeme]) -> Option<Form> {
    match key(lexemes).as_str() {
        "\\infty" | "+\\infty" => Some(Form::Infinity { negative: false }),
        "-\\infty" => Some(Form::Infinity { negative: true }),
        "\\emptyset" => Some(Form::Set(Vec::new())),
        "\\mathbb:R" | "\\Re" | "allrealnumbers" | "realnumbers" | "allreals" => Some(Form::Reals),
        _ => None,
    }
}

/// Whether the side of an equation only says what the other one is: letters and words, indices, primes, and at the end
/// arguments in brackets.
pub(super) fn is_name(lexemes: &[Lexeme]) -> bool {
    let arguments = lexemes
        .iter()
        .position(|lexeme| lexeme.is('('))
        .unwrap_or(lexemes.len());
    let Some((name, call)) = lexemes.split_at_checked(arguments) else {
        return false;
    };
    let plain = |lexeme: &Lexeme| match &lexeme.token {
        Token::Letter(_) | Token::Text(_) => true,
        Token::Symbol(symbol) => matches!(symbol, '\'' | '′' | '_' | '{' | '}'),
        Token::Command(name) => {
            !matches!(name.as_str(), "frac" | "sqrt" | "pi" | "infty" | "binom")
        }
        Token::Number(_) => false,
    };
    let mut at = 0;
    while let Some(lexeme) = name.get(at) {
        // The index, and -1 for the inverse function, may be numbers.
        let index = lexeme.is('_')
            || lexeme.is('^') && at > 0 && is_minus_one(name.get(at + 1..).unwrap_or_default());
        if !index && !plain(lexeme) {
            return false;
        }
        at += 1;
        if index {
            let braced = name.get(at).is_some_and(|next| next.is('{'));
            let group = name.get(at..).unwrap_or_default();
            at += if braced {
                group
                    .iter()
                    .position(|next| next.is('}'))
                    .map_or(1, |end| end + 1)
            } else {
                1
            };
        }
    }
    !name.is_empty() && (call.is_empty() || is_enclosed(call))
}

fn is_minus_one(lexemes: &[Lexeme]) -> bool {
    key(lexemes.get(..4).unwrap_or_default()) == "{-1}"
}
