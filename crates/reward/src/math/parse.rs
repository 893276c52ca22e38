//! From pieces to a tree, by descent: sums, products, powers, then what they are made of.

use super::cursor::Parser;
use super::functions;
use super::literal::Literal;
use super::token::{Lexeme, Token};
use super::tree::{Function, Tree};

/// The expression that all the pieces are, or nothing if they are none.
pub(crate) fn expression(lexemes: &[Lexeme]) -> Option<Tree> {
    let mut parser = Parser::new(lexemes);
    let tree = parser.fraction_or_sum()?;
    (parser.at == parser.lexemes.len()).then_some(tree)
}

impl Parser {
    /// A sum, `a \over b` or `a \choose b`.
    fn fraction_or_sum(&mut self) -> Option<Tree> {
        let over = self.sum()?;
        if self.take_command("over") {
            return Some(Tree::Product(vec![(false, over), (true, self.sum()?)]));
        }
        if self.take_command("choose") {
            return Some(Tree::Binomial(Box::new(over), Box::new(self.sum()?)));
        }
        Some(over)
    }

    fn sum(&mut self) -> Option<Tree> {
        let mut terms = Vec::new();
        loop {
            let mut negative = false;
            let mut signed = false;
            while self.is('-') || self.is('+') {
                negative ^= self.is('-');
                signed = true;
                self.at += 1;
            }
            if !signed && !terms.is_empty() {
                break;
            }
            terms.push((negative, self.product()?));
        }
        if let [(false, _)] = terms.as_slice() {
            return terms.pop().map(|(_, term)| term);
        }
        Some(Tree::Sum(terms))
    }

    fn product(&mut self) -> Option<Tree> {
        let mut factors = vec![(false, self.factor()?)];
        loop {
            let divides = self.is('/');
            let explicit = self.take('*') || self.take('/');
            if !explicit && !self.begins_factor() {
                break;
            }
            let negative = explicit && self.is('-');
            self.at += usize::from(negative || explicit && self.is('+'));
            if let Some(mixed) = self.mixed(explicit, &factors)? {
                factors = vec![(false, mixed)];
                continue;
            }
            if !explicit && matches!(self.peek(), Some(Token::Number(_))) && is_number(&factors) {
                return None;
            }
            let factor = self.factor()?;
            factors.push((divides, if negative { factor.negated() } else { factor }));
        }
        if let [(false, _)] = factors.as_slice() {
            return factors.pop().map(|(_, factor)| factor);
        }
        Some(Tree::Product(factors))
    }

    /// 14/3 for the fraction of `4\frac23` or `4 2/3`, if the only factor so far is a whole number.
    fn mixed(&mut self, explicit: bool, factors: &[(bool, Tree)]) -> Option<Option<Tree>> {
        let [(false, Tree::Number(whole))] = factors else {
            return Some(None);
        };
        if explicit || whole.digits().is_none() {
            return Some(None);
        }
        let (start, lexemes) = (self.at, self.lexemes.clone());
        let fraction = if self.take_command("frac") {
            functions::fraction(self)?
        } else if let (
            Some(Token::Number(over)),
            Some(Token::Symbol('/')),
            Some(Token::Number(under)),
        ) = (self.peek(), self.ahead(1), self.ahead(2))
        {
            let parts = vec![
                (false, Tree::Number(over.clone())),
                (true, Tree::Number(under.clone())),
            ];
            self.at += 3;
            Tree::Product(parts)
        } else {
            return Some(None);
        };
        if let Tree::Product(parts) = &fraction
            && let [(false, Tree::Number(over)), (true, Tree::Number(under))] = parts.as_slice()
            && over.digits().is_some()
            && under.digits().is_some()
        {
            return Some(Some(Tree::Sum(vec![
                (false, Tree::Number(whole.clone())),
                (false, fraction),
            ])));
        }
        // Reading `\frac{x}12` has split 12.
        (self.at, self.lexemes) = (start, lexemes);
        Some(None)
    }

    /// Whether the next piece can be a factor without a sign before it.
    pub(super) fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Letter(_) | Token::Symbol('(' | '[' | '{')) => true,
            Some(Token::Symbol('|')) => self.bars == 0,
            Some(Token::Command(name)) => functions::begins_factor(name),
            _ => false,
        }
    }

    pub(super) fn factor(&mut self) -> Option<Tree> {
        let mut base = self.base()?;
        loop {
            if self.take('^') {
                let exponent = self.deeper(Self::exponent)?;
                base = Tree::Power(Box::new(base), Box::new(exponent));
                if self.is('^') {
                    return None;
                }
            } else if self.take('!') {
                if self.is('!') {
                    return None;
                }
                base = Tree::Call(Function::Factorial, Box::new(base));
            } else if self.take('°') {
                base = Tree::Call(Function::Degrees, Box::new(base));
            } else {
                return Some(base);
            }
        }
    }

    /// What stands raised: a group, or a number, letter or command with a sign.
    fn exponent(&mut self) -> Option<Tree> {
        if self.take('-') {
            return Some(self.base()?.negated());
        }
        self.base()
    }

    fn base(&mut self) -> Option<Tree> {
        let token = self.peek()?.clone();
        match token {
            Token::Number(literal) => {
                self.at += 1;
                Some(Tree::Number(literal))
            }
            Token::Letter(letter) => {
                self.at += 1;
                self.letter(letter)
            }
            Token::Symbol('(') => self.bracketed('(', ')'),
            Token::Symbol('[') => self.bracketed('[', ']'),
            Token::Symbol('{') => self.bracketed('{', '}'),
            Token::Symbol('|') => {
                self.at += 1;
                self.bars += 1;
                let inside = self.deeper(Self::sum);
                self.bars -= 1;
                let inside = inside?;
                self.take('|')
                    .then(|| Tree::Call(Function::Abs, Box::new(inside)))
            }
            Token::Command(name) => {
                self.at += 1;
                self.deeper(|parser| functions::command(parser, &name))
            }
            Token::Symbol(_) | Token::Text(_) => None,
        }
    }

    /// A sum in brackets; in braces also `a \over b` and `a \choose b`.
    pub(super) fn bracketed(&mut self, open: char, close: char) -> Option<Tree> {
        if !self.take(open) {
            return None;
        }
        let bars = std::mem::take(&mut self.bars);
        let inside = self.deeper(|parser| {
            if open == '{' {
                parser.fraction_or_sum()
            } else {
                parser.sum()
            }
        });
        self.bars = bars;
        let inside = inside?;
        self.take(close).then_some(inside)
    }

    /// A sum up to a command that closes it.
    pub(super) fn until(&mut self, close: &str) -> Option<Tree> {
        let bars = std::mem::take(&mut self.bars);
        let inside = self.deeper(Self::sum);
        self.bars = bars;
        let inside = inside?;
        self.take_command(close).then_some(inside)
    }

    /// The argument of a command: a group, one digit, or one other base.
    pub(super) fn argument(&mut self) -> Option<Tree> {
        if self.is('{') {
            return self.bracketed('{', '}');
        }
        let at = self.at;
        if let Some(Lexeme {
            token: Token::Number(literal),
            ..
        }) = self.lexemes.get_mut(at)
            && let Some((first, rest)) = literal
                .digits()
                .and_then(|digits| digits.split_at_checked(1))
            && !rest.is_empty()
        {
            let (first, rest) = (Literal::integer(first)?, Literal::integer(rest)?);
            *literal = rest;
            return Some(Tree::Number(first));
        }
        self.deeper(Self::base)
    }

    /// The argument of a command, with a sign before it or in its group.
    pub(super) fn argument_signed(&mut self) -> Option<Tree> {
        if self.take('-') {
            return Some(self.argument()?.negated());
        }
        self.argument()
    }

    /// What is written below a logarithm: a group, or one whole number, letter or command.
    pub(super) fn subscript(&mut self) -> Option<Tree> {
        self.deeper(Self::base)
    }

    /// A letter: Euler's number, a variable with subscript and primes, or a function that nothing is known about.
    fn letter(&mut self, letter: char) -> Option<Tree> {
        let name = self.named(letter.to_string())?;
        if name == "e" {
            return Some(Tree::Euler);
        }
        if !self.is('(') {
            return Some(Tree::Variable(name));
        }
        // I(0) is a value of I, not I times 0; f(x) is no product either.
        if let (Some(Token::Number(at)), Some(Token::Symbol(')'))) = (self.ahead(1), self.ahead(2))
        {
            let name = format!("{name}({})", at.raw);
            self.at += 3;
            return Some(Tree::Variable(name));
        }
        if matches!(letter, 'f' | 'g' | 'h' | 'F' | 'G' | 'H' | 'P') {
            return Some(Tree::Unknown(name, Box::new(self.bracketed('(', ')')?)));
        }
        Some(Tree::Variable(name))
    }

    /// The factors that a function without brackets applies to: all of `2x` in `\sin 2x`.
    pub(super) fn open_argument(&mut self) -> Option<Tree> {
        let mut factors = vec![(false, self.factor()?)];
        while self.begins_factor()
            && !matches!(self.peek(), Some(Token::Command(name)) if functions::is_function(name))
        {
            factors.push((false, self.factor()?));
        }
        if factors.len() == 1 {
            factors.pop().map(|(_, factor)| factor)
        } else {
            Some(Tree::Product(factors))
        }
    }
}

/// Whether the last factor is a plain number: another one after it would be neither a product nor one number.
fn is_number(factors: &[(bool, Tree)]) -> bool {
    matches!(factors.last(), Some((_, Tree::Number(_))))
}
