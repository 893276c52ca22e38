//! Numbers, symbols, fractions, functions.

use super::super::tokens::Token;
use super::Parser;
use crate::math::literal::Literal;
use crate::math::tree::{Function, Tree};

/// Functions that are known, by their commands.
fn known(name: &str) -> Option<Function> {
    Some(match name {
        "exp" => Function::Exp,
        "ln" | "log" => Function::Ln,
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" => Function::Tan,
        "csc" => Function::Csc,
        "sec" => Function::Sec,
        "cot" => Function::Cot,
        "arcsin" => Function::Asin,
        "arccos" => Function::Acos,
        "arctan" => Function::Atan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        _ => return None,
    })
}

/// Functions that are read like those, but not calculated.
const OTHERS: [&str; 7] = [
    "lg", "arccsc", "arcsec", "arccot", "arsinh", "arcosh", "artanh",
];

/// Commands with a grammar of their own: no symbols. Those that are not read here end the expression.
const RESERVED: [&str; 28] = [
    "}",
    "langle",
    "rangle",
    "lim",
    "to",
    "rightarrow",
    "Rightarrow",
    "longrightarrow",
    "Longrightarrow",
    "int",
    "sum",
    "prod",
    "rfloor",
    "rceil",
    "times",
    "cdot",
    "div",
    "le",
    "ge",
    "neq",
    "{",
    "lfloor",
    "lceil",
    "sqrt",
    "overline",
    "frac",
    "binom",
    "mathit",
];

fn is_symbol(name: &str) -> bool {
    known(name).is_none() && !OTHERS.contains(&name) && !RESERVED.contains(&name)
}

impl Parser {
    fn command(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Command(name)) => Some(name.clone()),
            _ => None,
        }
    }

    /// `\{ \}`, floors and ceilings.
    pub(super) fn literal_group(&mut self) -> Option<Option<Tree>> {
        let (close, function) = match self.command()?.as_str() {
            "{" => ("}", None),
            "lfloor" => ("rfloor", Some(Function::Floor)),
            "lceil" => ("rceil", Some(Function::Ceil)),
            _ => return None,
        };
        self.at += 1;
        let inside = self.deeper(Self::sum).filter(|_| self.take_command(close));
        Some(inside.map(|inside| match function {
            Some(function) => Tree::Call(function, Box::new(inside)),
            None => inside,
        }))
    }

    /// A function with its argument; nothing if there is none here, and nothing in it if its argument cannot be read.
    pub(super) fn function(&mut self) -> Option<Option<Tree>> {
        if let Some(name) = self.command() {
            match name.as_str() {
                "sqrt" => {
                    self.at += 1;
                    return Some(self.root());
                }
                "overline" => {
                    self.at += 1;
                    let inside = self.group('{', '}');
                    return Some(inside.map(|inside| unknown("overline", inside)));
                }
                _ if known(&name).is_some() || OTHERS.contains(&name.as_str()) => {
                    self.at += 1;
                    return Some(self.named(&name));
                }
                _ => {}
            }
        }
        self.attempt(Self::applied).map(Some)
    }

    /// A letter or symbol with its arguments in round brackets.
    fn applied(&mut self) -> Option<Tree> {
        let name = self.symbol()?;
        let start = self.at;
        if self.failed.contains(&start) || !self.take('(') {
            return None;
        }
        let arguments = self.arguments();
        if arguments.is_none() {
            self.failed.insert(start);
        }
        arguments.map(|arguments| unknown(&name, arguments))
    }

    /// Up to the closing bracket; several become one that is different for different ones.
    fn arguments(&mut self) -> Option<Tree> {
        let bars = std::mem::take(&mut self.bars);
        let mut all = self.sum();
        while all.is_some() && self.take(',') {
            let next = self.sum();
            all = all.zip(next).map(|(before, next)| {
                Tree::Sum(vec![(false, unknown(",", before)), (false, next)])
            });
        }
        self.bars = bars;
        all.filter(|_| self.take(')'))
    }

    /// What follows the name of a function: a base or an exponent, and its argument.
    fn named(&mut self, name: &str) -> Option<Tree> {
        let mut base = self.attempt(Self::lowered);
        let exponent = self.attempt(Self::raised);
        if base.is_none() {
            base = self.attempt(Self::lowered);
        }
        let in_brackets = self.attempt(|parser| {
            parser.is('(').then_some(())?;
            parser.at += 1;
            parser.arguments()
        });
        let argument = match in_brackets {
            Some(argument) => argument,
            None => self.deeper(|parser| parser.product(false))?,
        };
        Some(called(name, base, exponent, argument))
    }

    fn root(&mut self) -> Option<Tree> {
        let degree = match self.is('[') {
            true => Some(self.group('[', ']')?),
            false => None,
        };
        let inside = Box::new(self.group('{', '}')?);
        Some(match degree {
            None => Tree::Root(2, inside),
            Some(degree) => Tree::Power(inside, Box::new(Tree::Product(vec![(true, degree)]))),
        })
    }

    /// What stands behind `_`.
    fn lowered(&mut self) -> Option<Tree> {
        if !self.take('_') {
            return None;
        }
        if self.is('{') {
            return self.group('{', '}');
        }
        self.deeper(Self::atom)
    }

    pub(super) fn atom(&mut self) -> Option<Tree> {
        match self.peek()?.clone() {
            Token::Digit(_) => self.number(),
            Token::Differential(name) => {
                self.at += 1;
                Some(Tree::Variable(name))
            }
            Token::Command(name) if name == "frac" => {
                self.at += 1;
                let (over, under) = (self.part()?, self.part()?);
                Some(Tree::Product(vec![(false, over), (true, under)]))
            }
            Token::Command(name) if name == "binom" => {
                self.at += 1;
                let (all, some) = (self.group('{', '}')?, self.group('{', '}')?);
                Some(Tree::Binomial(Box::new(all), Box::new(some)))
            }
            _ => self.symbol().map(Tree::Variable),
        }
    }

    /// A letter or another command, with its subscript and primes.
    fn symbol(&mut self) -> Option<String> {
        let mut name = match self.peek()? {
            // Names that are special elsewhere are not special here.
            Token::Letter(letter @ ('i' | 'j')) => format!("letter {letter}"),
            Token::Letter(letter) => letter.to_string(),
            Token::Command(name) if is_symbol(name) => format!("\\{name}"),
            _ => return None,
        };
        self.at += 1;
        let primes = self.primes();
        let start = self.at;
        if self.attempt(Self::lowered).is_some() {
            let subscript = self.tokens.get(start..self.at).unwrap_or_default();
            name.push_str(&format!("{subscript:?}"));
        }
        let primes = primes + self.primes();
        name.push_str(&"'".repeat(primes));
        Some(name)
    }

    fn primes(&mut self) -> usize {
        let start = self.at;
        while self.take('\'') {}
        self.at - start
    }

    /// A part of a fraction: a group or one digit.
    fn part(&mut self) -> Option<Tree> {
        if let Some(Token::Digit(digit)) = self.peek() {
            let literal = Literal::integer(&digit.to_string());
            self.at += 1;
            return literal.map(Tree::Number);
        }
        self.group('{', '}')
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while let Some(Token::Digit(digit)) = self.peek() {
            digits.push(*digit);
            self.at += 1;
        }
        digits
    }

    /// Digits, with commas before three of them, and a point before more. White space does not matter.
    fn number(&mut self) -> Option<Tree> {
        let mut whole = self.digits();
        while let Some(group) = self.attempt(Self::thousand) {
            whole.push_str(&group);
        }
        let fraction = self.attempt(|parser| {
            parser.take('.').then_some(())?;
            Some(parser.digits()).filter(|digits| !digits.is_empty())
        });
        Literal::new(&whole, &fraction.unwrap_or_default(), None, 0).map(Tree::Number)
    }

    fn thousand(&mut self) -> Option<String> {
        self.take(',').then_some(())?;
        let group = self.tokens.get(self.at..self.at.checked_add(3)?)?;
        let digits: Option<String> = group
            .iter()
            .map(|token| match token {
                Token::Digit(digit) => Some(*digit),
                _ => None,
            })
            .collect();
        self.at += 3;
        digits
    }
}

fn unknown(name: &str, argument: Tree) -> Tree {
    Tree::Unknown(name.to_owned(), Box::new(argument))
}

/// A function of its argument. Raised to -1 it is the inverse function.
fn called(name: &str, base: Option<Tree>, exponent: Option<Tree>, argument: Tree) -> Tree {
    let minus_one = Literal::integer("1").map(|one| Tree::Number(one).negated());
    let inverse = match (name, exponent == minus_one) {
        ("sin", true) => Some(Function::Asin),
        ("cos", true) => Some(Function::Acos),
        ("tan", true) => Some(Function::Atan),
        _ => None,
    };
    let call = |function| Tree::Call(function, Box::new(argument.clone()));
    if let Some(function) = inverse {
        return call(function);
    }
    let value = match (name, known(name), base) {
        ("ln" | "log" | "lg", _, Some(base)) => {
            Tree::Log(Box::new(base), Box::new(argument.clone()))
        }
        ("lg", ..) => match Literal::integer("10") {
            Some(ten) => Tree::Log(Box::new(Tree::Number(ten)), Box::new(argument.clone())),
            None => call(Function::Ln),
        },
        (_, Some(function), _) => call(function),
        (name, None, _) => unknown(name, argument.clone()),
    };
    match exponent {
        Some(exponent) => Tree::Power(Box::new(value), Box::new(exponent)),
        None => value,
    }
}
