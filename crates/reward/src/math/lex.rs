//! From a written answer to its pieces: LaTeX and plain spellings of the same thing become the same pieces.

use super::literal::Literal;
use super::spelling::{degrees, digits, exponent, group, repeating, usual};
use super::token::{Lexeme, Token};
use super::words;

/// Longer answers are compared as they are written only.
pub(crate) const MAX_LENGTH: usize = 600;
/// Braces and wrappers inside one another.
const MAX_DEPTH: usize = 24;

/// How the run of letters is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Formula,
    /// Inside `\mathrm{}`: a word, but a single letter is a letter.
    Roman,
    /// Inside `\text{}`: words.
    Prose,
}

/// The pieces of `text`, or nothing if it is too long or too deeply nested. With `thousands`, `1,234` outside of brackets
/// is one number.
pub(crate) fn lex(text: &str, thousands: bool) -> Option<Vec<Lexeme>> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let text = text.trim().trim_end_matches(['.', ',', ';', ' ', '\n']);
    let mut lexer = Lexer {
        out: Vec::new(),
        spaced: false,
        thousands,
        brackets: 0,
    };
    lexer.run(text, Style::Formula, 0)?;
    Some(degrees(lexer.out))
}

struct Lexer {
    out: Vec<Lexeme>,
    spaced: bool,
    thousands: bool,
    brackets: i32,
}

impl Lexer {
    fn push(&mut self, token: Token) {
        let lexeme = Lexeme {
            token,
            spaced: self.spaced,
        };
        if !lexeme.is('{') && !lexeme.is('}') {
            self.brackets += lexeme.nesting();
        }
        self.out.push(lexeme);
        self.spaced = false;
    }

    fn command(&mut self, name: &str) {
        self.push(Token::Command(name.to_owned()));
    }

    fn run(&mut self, text: &str, style: Style, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let next = rest.get(first.len_utf8()..)?;
            rest = match first {
                '\\' => self.backslash(next, style, depth)?,
                '.' if !next.starts_with(|next: char| next.is_ascii_digit()) => {
                    self.push(Token::Symbol('.'));
                    next
                }
                '0'..='9' | '.' => self.number(rest)?,
                _ if first.is_alphabetic() => self.letters(rest, style)?,
                _ => {
                    self.symbol(first);
                    next
                }
            };
        }
        Some(())
    }

    fn symbol(&mut self, symbol: char) {
        match symbol {
            _ if symbol.is_whitespace() || symbol == '~' => self.spaced = true,
            '$' | '£' | '€' => {}
            '−' | '–' => self.push(Token::Symbol('-')),
            '×' | '·' | '⋅' => self.push(Token::Symbol('*')),
            '÷' => self.push(Token::Symbol('/')),
            '*' if self.out.last().is_some_and(|last| last.is('*')) && !self.spaced => {
                self.out.pop();
                self.push(Token::Symbol('^'));
            }
            '∞' => self.command("infty"),
            '√' => self.command("sqrt"),
            '≤' => self.command("le"),
            '≥' => self.command("ge"),
            '≠' => self.command("ne"),
            '∪' => self.command("cup"),
            '∈' => self.command("in"),
            '±' => self.command("pm"),
            '∅' => self.command("emptyset"),
            '，' => self.push(Token::Symbol(',')),
            '²' | '³' => {
                self.push(Token::Symbol('^'));
                if let Some(literal) = Literal::integer(if symbol == '²' { "2" } else { "3" }) {
                    self.push(Token::Number(literal));
                }
            }
            _ => self.push(Token::Symbol(symbol)),
        }
    }

    /// A number with its commas, point, period and power of ten; gives what comes after it.
    fn number<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let mut rest = text;
        let mut whole = digits(rest).to_owned();
        rest = rest.get(whole.len()..)?;
        let mut grouped = (1..=3).contains(&whole.len()) && !whole.starts_with('0');
        while grouped {
            grouped = false;
            let plain = (self.thousands && self.brackets == 0).then_some(",");
            for comma in ["{,}", ",\\!", "\\,", ",\\,", "\\!,"]
                .into_iter()
                .chain(plain)
            {
                let group = rest.strip_prefix(comma).map(digits).unwrap_or_default();
                if group.len() == 3 {
                    whole.push_str(group);
                    rest = rest.get(comma.len() + 3..)?;
                    grouped = true;
                    break;
                }
            }
        }
        let mut fraction = "";
        let mut period = None;
        if let Some(after) = rest.strip_prefix('.') {
            fraction = digits(after);
            let tail = after.get(fraction.len()..)?;
            period = repeating(tail);
            if !fraction.is_empty() || period.is_some() {
                rest = period.map_or(Some(tail), |(_, tail)| Some(tail))?;
            }
        }
        let (exponent, rest) = exponent(rest);
        let literal = Literal::new(&whole, fraction, period.map(|(period, _)| period), exponent)?;
        self.push(Token::Number(literal));
        Some(rest)
    }

    /// A run of letters: a word, a function, a constant, or a product of letters; gives what comes after it.
    fn letters<'a>(&mut self, text: &'a str, style: Style) -> Option<&'a str> {
        let end = text
            .find(|next: char| !next.is_alphabetic())
            .unwrap_or(text.len());
        let (run, rest) = (text.get(..end)?, text.get(end..)?);
        let mut letters = run.chars();
        let (first, more) = (letters.next()?, letters.next().is_some());
        let is_call = rest.trim_start().starts_with(['(', '^', '\\']);
        if matches!(run, "or" | "and" | "OR" | "AND") {
            self.command("or");
        } else if let Some(constant) = words::constant(run).filter(|_| style != Style::Prose) {
            self.command(constant);
        } else if words::is_function(run) && style != Style::Prose && (run != "sec" || is_call) {
            self.command(run);
        } else if !more {
            let is_word = style == Style::Prose && first.is_lowercase()
                || style != Style::Formula && self.spaced;
            match first {
                'π' => self.command("pi"),
                _ if is_word && !self.out.is_empty() => self.push(Token::Text(run.to_owned())),
                _ => self.push(Token::Letter(first)),
            }
        } else if style != Style::Formula || !run.is_ascii() || words::is_word(run) {
            return self.word(text);
        } else {
            run.chars()
                .for_each(|letter| self.push(Token::Letter(letter)));
        }
        Some(rest)
    }

    /// A word; two with a hyphen between them are one.
    fn word<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        let mut end = text
            .find(|next: char| !next.is_alphabetic())
            .unwrap_or(text.len());
        if let Some(second) = text.get(end..).and_then(|rest| rest.strip_prefix('-')) {
            let length = second
                .find(|next: char| !next.is_alphabetic())
                .unwrap_or(second.len());
            if length > 1 {
                end += 1 + length;
            }
        }
        self.push(Token::Text(text.get(..end)?.to_owned()));
        text.get(end..)
    }

    /// What a backslash begins; gives what comes after it.
    fn backslash<'a>(&mut self, text: &'a str, style: Style, depth: usize) -> Option<&'a str> {
        let end = text
            .find(|next: char| !next.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let Some(first) = text.chars().next().filter(|_| end == 0) else {
            let (name, rest) = (text.get(..end)?, text.get(end..)?);
            return self.named(name, rest, depth);
        };
        match first {
            ',' | ';' | ':' | ' ' | '\n' => self.spaced = true,
            '!' | '$' | '(' | ')' | '[' | ']' => {}
            '{' => self.command("{"),
            '}' => self.command("}"),
            '\\' => self.command("\\"),
            '|' => self.push(Token::Symbol('|')),
            _ if style == Style::Prose && first == '&' => self.command("or"),
            other => self.push(Token::Symbol(other)),
        }
        text.get(first.len_utf8()..)
    }

    /// A command with letters; gives what comes after it.
    fn named<'a>(&mut self, name: &str, rest: &'a str, depth: usize) -> Option<&'a str> {
        match name {
            "left" | "right" => return Some(rest.trim_start().strip_prefix('.').unwrap_or(rest)),
            "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "textdollar" | "pounds"
            | "displaystyle" | "textstyle" | "limits" | "rm" | "bf" | "it" => {}
            "quad" | "qquad" | "enspace" | "thinspace" => self.spaced = true,
            "text" | "mbox" | "textrm" | "textnormal" | "hbox" | "textit" | "textbf" | "textsf" => {
                return self.wrapper(rest, Style::Prose, depth);
            }
            "mathrm" | "mathbf" | "mathit" | "mathsf" | "boldsymbol" | "bm" | "operatorname"
            | "boxed" | "fbox" => {
                return self.wrapper(rest, Style::Roman, depth);
            }
            "mathbb" | "begin" | "end" => {
                let (content, rest) = group(rest)?;
                self.command(&format!("{name}:{}", content.trim()));
                let columns = if content == "array" {
                    group(rest).map(|(_, rest)| rest)
                } else {
                    None
                };
                return Some(columns.unwrap_or(rest));
            }
            _ => self.push(usual(name)),
        }
        Some(rest)
    }

    fn wrapper<'a>(&mut self, rest: &'a str, style: Style, depth: usize) -> Option<&'a str> {
        let Some((content, rest)) = group(rest) else {
            return Some(rest);
        };
        self.run(content, style, depth + 1)?;
        Some(rest)
    }
}
