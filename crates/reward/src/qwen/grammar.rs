//! SymPy's `parse_latex` as a recursive descent.
//!
//! As there, every letter and every other command is a symbol, π, e and i among them; a letter before a bracket is a
//! function of what is in it; `1/2x` is 1/(2x); and what cannot go on where an expression could end is left out, so that
//! `2,3` is 2. Integrals, sums, limits and derivatives are not read.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::tokens::{Token, tokens};
use crate::math::tree::Tree;

mod atoms;

/// Groups and functions inside one another.
const MAX_DEPTH: usize = 32;

/// What a text is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parsed {
    Expression(Tree),
    /// Two sides of an equation or inequality.
    Relation(Tree, Tree),
}

/// The longest beginning of the text that can be read; nothing if there is none, or if what
/// had to be looked at is no token of the grammar.
pub(super) fn parse(text: &str) -> Option<Parsed> {
    let mut parser = Parser {
        tokens: tokens(text),
        at: 0,
        farthest: Cell::new(0),
        depth: 0,
        bars: 0,
        failed: BTreeSet::new(),
    };
    let left = parser.sum()?;
    let parsed =
        match parser.attempt(|parser| parser.is_relation().then(|| parser.after_relation())?) {
            // A chain of relations is none to SymPy.
            Some(_) if parser.is_relation() => return None,
            Some(right) => Parsed::Relation(left, right),
            None => Parsed::Expression(left),
        };
    let last = parser.tokens.get(parser.farthest.get());
    (last != Some(&Token::Unknown)).then_some(parsed)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// The last token that was looked at.
    farthest: Cell<usize>,
    depth: usize,
    /// Open absolute values: a bar closes one and opens none.
    bars: usize,
    /// Where a group was tried and is none, so that nothing is tried twice.
    failed: BTreeSet<usize>,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.farthest.set(self.farthest.get().max(self.at));
        self.tokens.get(self.at)
    }

    fn is(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    fn take(&mut self, symbol: char) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn is_command(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Command(command)) if command == name)
    }

    fn take_command(&mut self, name: &str) -> bool {
        let found = self.is_command(name);
        self.at += usize::from(found);
        found
    }

    /// Goes back if nothing comes of it.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = read(self);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let found = read(self);
        self.depth -= 1;
        found
    }

    fn is_relation(&self) -> bool {
        ['=', '<', '>'].iter().any(|sign| self.is(*sign))
            || ["le", "ge", "neq"].iter().any(|name| self.is_command(name))
    }

    fn after_relation(&mut self) -> Option<Tree> {
        self.at += 1;
        self.sum()
    }

    fn sum(&mut self) -> Option<Tree> {
        let mut terms = vec![(false, self.product(true)?)];
        loop {
            let negative = self.is('-');
            let signed = negative || self.is('+');
            let next = self.attempt(|parser| {
                parser.at += 1;
                signed.then(|| parser.product(true))?
            });
            match next {
                Some(term) => terms.push((negative, term)),
                None => return Some(single(terms, Tree::Sum)),
            }
        }
    }

    /// Factors with signs of multiplication or division between them. `functions` is whether functions may stand behind
    /// the first factor of each.
    fn product(&mut self, functions: bool) -> Option<Tree> {
        let mut factors = vec![(false, self.unary(functions)?)];
        loop {
            let divides = self.is('/') || self.is(':') || self.is_command("div");
            let explicit =
                divides || self.is('*') || self.is_command("times") || self.is_command("cdot");
            let next = self.attempt(|parser| {
                parser.at += 1;
                explicit.then(|| parser.unary(functions))?
            });
            match next {
                Some(factor) => factors.push((divides, factor)),
                None => return Some(single(factors, Tree::Product)),
            }
        }
    }

    /// Signs, or factors without anything between them.
    fn unary(&mut self, functions: bool) -> Option<Tree> {
        if self.is('-') || self.is('+') {
            let negative = self.take('-') || !self.take('+');
            let inside = self.deeper(|parser| parser.unary(functions))?;
            return Some(if negative { inside.negated() } else { inside });
        }
        self.deeper(|parser| {
            let mut factors = vec![parser.postfix(true)?];
            while let Some(factor) = parser.attempt(|parser| parser.postfix(functions)) {
                factors.push(factor);
            }
            let factors = without_times(factors);
            Some(single(factors, Tree::Product))
        })
    }

    /// A power with the factorials behind it.
    fn postfix(&mut self, functions: bool) -> Option<Tree> {
        let mut base = self.component(functions)?;
        while let Some(exponent) = self.attempt(Self::raised) {
            base = Tree::Power(Box::new(base), Box::new(exponent));
        }
        while self.take('!') {
            base = Tree::Call(crate::math::tree::Function::Factorial, Box::new(base));
        }
        Some(base)
    }

    /// What stands behind `^`: a group or one atom.
    fn raised(&mut self) -> Option<Tree> {
        if !self.take('^') {
            return None;
        }
        if self.is('{') {
            return self.group('{', '}');
        }
        self.deeper(Self::atom)
    }

    fn component(&mut self, functions: bool) -> Option<Tree> {
        for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
            if self.is(open) {
                return self.group(open, close);
            }
        }
        if self.is('|') && self.bars == 0 {
            return self.absolute();
        }
        if let Some(inside) = self.literal_group() {
            return inside;
        }
        if functions && let Some(function) = self.function() {
            return function;
        }
        self.atom()
    }

    fn group(&mut self, open: char, close: char) -> Option<Tree> {
        let start = self.at;
        if self.failed.contains(&start) || !self.take(open) {
            return None;
        }
        let bars = std::mem::take(&mut self.bars);
        let inside = self.sum();
        self.bars = bars;
        let inside = inside.filter(|_| self.take(close));
        if inside.is_none() {
            self.failed.insert(start);
        }
        inside
    }

    fn absolute(&mut self) -> Option<Tree> {
        let start = self.at;
        if self.failed.contains(&start) || !self.take('|') {
            return None;
        }
        self.bars += 1;
        let inside = self.sum();
        self.bars -= 1;
        let inside = inside.filter(|_| self.take('|'));
        if inside.is_none() {
            self.failed.insert(start);
        }
        inside.map(|inside| Tree::Call(crate::math::tree::Function::Abs, Box::new(inside)))
    }
}

fn single(mut parts: Vec<(bool, Tree)>, whole: fn(Vec<(bool, Tree)>) -> Tree) -> Tree {
    match (parts.len(), parts.pop()) {
        (1, Some((false, only))) => only,
        (_, Some(last)) => {
            parts.push(last);
            whole(parts)
        }
        (_, None) => whole(parts),
    }
}

/// x between two constants is a sign of multiplication.
fn without_times(factors: Vec<Tree>) -> Vec<(bool, Tree)> {
    let constant = |at: Option<usize>| {
        at.and_then(|at| factors.get(at)).is_some_and(|factor| {
            let mut names = BTreeSet::new();
            factor.variables(&mut names);
            names.is_empty()
        })
    };
    let is_x = |factor: &Tree| matches!(factor, Tree::Variable(name) if name == "x");
    factors
        .iter()
        .enumerate()
        .filter(|(at, factor)| {
            !(is_x(factor) && constant(at.checked_sub(1)) && constant(at.checked_add(1)))
        })
        .map(|(_, factor)| (false, factor.clone()))
        .collect()
}
