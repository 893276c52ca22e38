//! The pieces of a written answer, LaTeX or plain.

use super::literal::Literal;

/// One piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A number without its sign.
    Number(Literal),
    /// A letter that stands for something.
    Letter(char),
    /// A LaTeX command by its usual name (`frac` for `dfrac`), or a word that means the same (`pi`).
    Command(String),
    /// A word.
    Text(String),
    /// Everything else, of one character.
    Symbol(char),
}

/// A piece, and whether white space stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) spaced: bool,
}

impl Lexeme {
    pub(crate) fn is(&self, symbol: char) -> bool {
        self.token == Token::Symbol(symbol)
    }

    pub(crate) fn is_command(&self, name: &str) -> bool {
        matches!(&self.token, Token::Command(command) if command == name)
    }

    /// Whether brackets that separators do not reach into open here, 1, or close, -1.
    pub(crate) fn nesting(&self) -> i32 {
        match &self.token {
            Token::Symbol('(' | '[' | '{') => 1,
            Token::Symbol(')' | ']' | '}') => -1,
            Token::Command(name)
                if name == "{" || name.starts_with("begin:") || name == "langle" =>
            {
                1
            }
            Token::Command(name) if name == "}" || name.starts_with("end:") || name == "rangle" => {
                -1
            }
            _ => 0,
        }
    }
}

/// The pieces again as text, without white space but between numbers: what two equal spellings have in common.
pub(crate) fn key(lexemes: &[Lexeme]) -> String {
    let mut text = String::new();
    let mut after_number = false;
    for lexeme in lexemes {
        let is_number = matches!(lexeme.token, Token::Number(_));
        if is_number && after_number {
            text.push(' ');
        }
        after_number = is_number;
        match &lexeme.token {
            Token::Number(literal) => text.push_str(&literal.raw),
            Token::Letter(letter) | Token::Symbol(letter) => text.push(*letter),
            Token::Command(name) => text.extend(["\\", name]),
            Token::Text(word) => text.push_str(word),
        }
    }
    text
}

/// Whether a word of two letters or more is among the pieces.
pub(crate) fn has_words(lexemes: &[Lexeme]) -> bool {
    lexemes
        .iter()
        .any(|lexeme| matches!(&lexeme.token, Token::Text(word) if word.chars().count() > 1))
}

/// The parts between separators that stand outside of all brackets; one part if there is none.
pub(crate) fn split(lexemes: &[Lexeme], separates: impl Fn(&Lexeme) -> bool) -> Vec<&[Lexeme]> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0_usize);
    for (at, lexeme) in lexemes.iter().enumerate() {
        depth += lexeme.nesting();
        if depth == 0 && separates(lexeme) {
            parts.push(lexemes.get(start..at).unwrap_or_default());
            start = at + 1;
        }
    }
    parts.push(lexemes.get(start..).unwrap_or_default());
    parts
}

/// Whether the bracket that opens first closes last, so that it holds everything.
pub(crate) fn is_enclosed(lexemes: &[Lexeme]) -> bool {
    let mut depth = 0_i32;
    for (at, lexeme) in lexemes.iter().enumerate() {
        depth += lexeme.nesting();
        if depth <= 0 {
            return at > 0 && at + 1 == lexemes.len() && depth == 0;
        }
    }
    false
}
