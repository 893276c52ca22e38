//! Where a parser stands in its pieces, and how deep.

use super::token::{Lexeme, Token, key};

/// Brackets, arguments and exponents inside one another.
const MAX_DEPTH: usize = 40;

/// Reads pieces from the first to the last.
pub(super) struct Parser {
    pub(super) lexemes: Vec<Lexeme>,
    pub(super) at: usize,
    depth: usize,
    /// How many |…| are open.
    pub(super) bars: usize,
}

impl Parser {
    /// Before the first piece.
    pub(super) fn new(lexemes: &[Lexeme]) -> Self {
        Self {
            lexemes: lexemes.to_vec(),
            at: 0,
            depth: 0,
            bars: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.lexemes.get(self.at).map(|lexeme| &lexeme.token)
    }

    pub(super) fn ahead(&self, steps: usize) -> Option<&Token> {
        self.lexemes
            .get(self.at + steps)
            .map(|lexeme| &lexeme.token)
    }

    pub(super) fn is(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    pub(super) fn take(&mut self, symbol: char) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_command(&mut self, name: &str) -> bool {
        let found = self
            .lexemes
            .get(self.at)
            .is_some_and(|lexeme| lexeme.is_command(name));
        self.at += usize::from(found);
        found
    }

    /// One level deeper; nothing if that is too deep. |…| outside of the level do not close in it.
    pub(super) fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Passes over one piece; nothing at the end.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.peek()?;
        self.at += 1;
        Some(())
    }

    /// The pieces since `start`, as text.
    pub(super) fn written_since(&self, start: usize) -> String {
        key(self.lexemes.get(start..self.at).unwrap_or_default())
    }

    /// The name with what is written below it and its primes.
    pub(super) fn named(&mut self, mut name: String) -> Option<String> {
        if self.take('_') {
            let rest = self.lexemes.get(self.at..)?;
            let length = match rest.first()?.token {
                Token::Symbol('{') => rest.iter().position(|lexeme| lexeme.is('}'))? + 1,
                _ => 1,
            };
            let below = key(rest.get(..length)?);
            name = format!("{name}_{}", below.trim_matches(['{', '}']));
            self.at += length;
        }
        while self.take('\'') || self.take('′') {
            name.push('\'');
        }
        Some(name)
    }

    /// The degree in square brackets of a root.
    pub(super) fn degree(&mut self) -> Option<u32> {
        if !self.take('[') {
            return Some(2);
        }
        let Some(Token::Number(literal)) = self.peek() else {
            return None;
        };
        let degree = literal.digits()?.parse().ok()?;
        self.at += 1;
        self.take(']')
            .then_some(degree)
            .filter(|degree| (2..=64).contains(degree))
    }
}
