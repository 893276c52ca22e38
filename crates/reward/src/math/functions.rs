//! What LaTeX commands mean inside an expression.

use super::cursor::Parser;
use super::literal::Literal;
use super::token::Token;
use super::tree::{Function, Tree};

/// Commands that give a letter another look, and so another name.
const ACCENTS: [&str; 8] = [
    "vec",
    "hat",
    "bar",
    "overline",
    "tilde",
    "dot",
    "mathcal",
    "overrightarrow",
];

/// Greek letters that are variables.
const GREEK: [&str; 30] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
    "Gamma", "Delta", "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega",
];

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" => Function::Tan,
        "sec" => Function::Sec,
        "csc" => Function::Csc,
        "cot" => Function::Cot,
        "arcsin" | "asin" => Function::Asin,
        "arccos" | "acos" => Function::Acos,
        "arctan" | "atan" => Function::Atan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "exp" => Function::Exp,
        _ => return None,
    })
}

fn inverse(function: Function) -> Option<Function> {
    Some(match function {
        Function::Sin => Function::Asin,
        Function::Cos => Function::Acos,
        Function::Tan => Function::Atan,
        _ => return None,
    })
}

/// Whether the command is a function that may stand before its argument without brackets.
pub(super) fn is_function(name: &str) -> bool {
    function(name).is_some() || matches!(name, "log" | "lg")
}

/// Whether the command can begin a factor.
pub(super) fn begins_factor(name: &str) -> bool {
    is_function(name)
        || GREEK.contains(&name)
        || ACCENTS.contains(&name)
        || matches!(name, "frac" | "sqrt" | "binom" | "pi" | "lfloor" | "lceil")
}

/// The factor that the command begins; the parser stands after the command.
pub(super) fn command(parser: &mut Parser, name: &str) -> Option<Tree> {
    match name {
        "pi" => Some(Tree::Pi),
        "frac" => fraction(parser),
        "binom" => Some(Tree::Binomial(
            Box::new(parser.argument()?),
            Box::new(parser.argument()?),
        )),
        "sqrt" => {
            let degree = parser.degree()?;
            let inside = if parser.is('(') {
                parser.bracketed('(', ')')
            } else {
                parser.argument()
            };
            Some(Tree::Root(degree, Box::new(inside?)))
        }
        "lfloor" => Some(Tree::Call(
            Function::Floor,
            Box::new(parser.until("rfloor")?),
        )),
        "lceil" => Some(Tree::Call(Function::Ceil, Box::new(parser.until("rceil")?))),
        "log" | "lg" => logarithm(parser),
        _ if GREEK.contains(&name) => parser.named(format!("\\{name}")).map(Tree::Variable),
        _ if ACCENTS.contains(&name) => accented(parser, name),
        _ => applied(parser, function(name)?),
    }
}

/// The two arguments of `\frac`.
pub(super) fn fraction(parser: &mut Parser) -> Option<Tree> {
    Some(Tree::Product(vec![
        (false, parser.argument()?),
        (true, parser.argument()?),
    ]))
}

/// `\sin x`, `\sin^2 x`, `\sin^{-1} x`, `\sin(x)`, `\sin{x}`.
fn applied(parser: &mut Parser, function: Function) -> Option<Tree> {
    let power = if parser.take('^') {
        Some(parser.argument_signed()?)
    } else {
        None
    };
    let minus_one = power.as_ref().is_some_and(is_minus_one);
    let inverse = inverse(function).filter(|_| minus_one);
    let call = Tree::Call(inverse.unwrap_or(function), Box::new(operand(parser)?));
    Some(match power {
        Some(power) if inverse.is_none() => Tree::Power(Box::new(call), Box::new(power)),
        _ => call,
    })
}

fn is_minus_one(tree: &Tree) -> bool {
    matches!(tree, Tree::Sum(terms) if matches!(terms.as_slice(), [(true, Tree::Number(one))] if one.raw == "1"))
}

fn operand(parser: &mut Parser) -> Option<Tree> {
    match parser.peek()? {
        Token::Symbol('(') => parser.bracketed('(', ')'),
        Token::Symbol('{') => parser.bracketed('{', '}'),
        _ => parser.open_argument(),
    }
}

/// To base 10 unless another is written.
fn logarithm(parser: &mut Parser) -> Option<Tree> {
    let base = if parser.take('_') {
        parser.subscript()?
    } else {
        Tree::Number(Literal::integer("10")?)
    };
    let power = if parser.take('^') {
        Some(parser.argument()?)
    } else {
        None
    };
    let log = Tree::Log(Box::new(base), Box::new(operand(parser)?));
    Some(match power {
        Some(power) => Tree::Power(Box::new(log), Box::new(power)),
        None => log,
    })
}

/// A vector, a mean, a segment: a variable by the whole of its name.
fn accented(parser: &mut Parser, accent: &str) -> Option<Tree> {
    let start = parser.position();
    if parser.is('{') {
        while !parser.take('}') {
            parser.skip()?;
        }
    } else {
        parser.skip()?;
    }
    parser
        .named(format!("\\{accent}{}", parser.written_since(start)))
        .map(Tree::Variable)
}
