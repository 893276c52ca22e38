//! From pieces to what they are as a whole: separators first, brackets next, then single values.

use super::form::{Form, Link, Relation, Value};
use super::literal::Literal;
use super::names::{based, is_name, matrix_kind, named};
use super::parse;
use super::token::{Lexeme, Token, has_words, is_enclosed, key, split};
use super::tree::Tree;
use super::units::{self, Measured};
use super::words;

/// Longer lists are words.
const MAX_ITEMS: usize = 32;
/// Lists, sets and tuples inside one another.
const MAX_DEPTH: usize = 8;

/// What the pieces are. With `letters` single letters after a space are units where they can be.
pub(crate) fn form(lexemes: &[Lexeme], letters: bool) -> Form {
    Reader { letters }.form(lexemes, 0)
}

struct Reader {
    letters: bool,
}

impl Reader {
    fn form(&self, lexemes: &[Lexeme], depth: usize) -> Form {
        let lexemes = unbraced(lexemes);
        let found = if depth > MAX_DEPTH {
            None
        } else {
            self.separated(lexemes, depth)
        };
        found
            .or_else(|| self.enclosed(lexemes, depth))
            .or_else(|| self.single(lexemes))
            .unwrap_or_else(|| words(lexemes))
    }

    fn forms(&self, parts: &[&[Lexeme]], depth: usize) -> Option<Vec<Form>> {
        (parts.len() <= MAX_ITEMS).then(|| {
            parts
                .iter()
                .map(|part| self.form(part, depth + 1))
                .collect()
        })
    }

    /// By the loosest separator that occurs outside of brackets.
    fn separated(&self, lexemes: &[Lexeme], depth: usize) -> Option<Form> {
        let is_or = |lexeme: &Lexeme| lexeme.is_command("or");
        let unordered = split(lexemes, is_or).len() > 1;
        let mut parts = split(lexemes, |lexeme| {
            is_or(lexeme) || lexeme.is(',') || lexeme.is(';')
        });
        if unordered {
            parts.retain(|part| !part.is_empty());
        }
        if parts.len() > 1 {
            return self
                .forms(&parts, depth)
                .map(|items| flat(items, unordered));
        }
        if let Some(both) = signs(lexemes) {
            let items = both
                .iter()
                .map(|lexemes| self.form(lexemes, depth + 1))
                .collect();
            return Some(Form::List {
                items,
                unordered: true,
            });
        }
        self.coloned(lexemes, depth)
    }

    /// Without commas: unions, labels, ratios, membership, equations.
    fn coloned(&self, lexemes: &[Lexeme], depth: usize) -> Option<Form> {
        let parts = split(lexemes, |lexeme| lexeme.is_command("cup"));
        if parts.len() > 1 {
            return self.forms(&parts, depth).map(Form::Union);
        }
        let parts = split(lexemes, |lexeme| lexeme.is(':'));
        if let [label, answer] = parts.as_slice()
            && units::is_label(label)
        {
            return Some(self.form(answer, depth + 1));
        }
        if parts.len() > 1 {
            return self.forms(&parts, depth).map(Form::Ratio);
        }
        if let [_, set] = split(lexemes, |lexeme| lexeme.is_command("in")).as_slice() {
            return Some(self.form(set, depth + 1));
        }
        self.chain(lexemes, depth)
    }

    fn chain(&self, lexemes: &[Lexeme], depth: usize) -> Option<Form> {
        let parts = split(lexemes, |lexeme| Relation::of(lexeme).is_some());
        if parts.len() < 2 || parts.len() > MAX_ITEMS || parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let mut end = 0;
        let links = parts.iter().map(|part| {
            end += part.len() + 1;
            Link {
                form: self.form(part, depth + 1),
                name: is_name(part).then(|| key(part)),
                relation: lexemes.get(end - 1).and_then(Relation::of),
            }
        });
        Some(Form::Chain(links.collect()))
    }

    /// In brackets that make it a tuple, an interval, a set or a matrix.
    fn enclosed(&self, lexemes: &[Lexeme], depth: usize) -> Option<Form> {
        if depth > MAX_DEPTH || !is_enclosed(lexemes) {
            return None;
        }
        let (first, rest) = lexemes.split_first()?;
        let (last, inside) = rest.split_last()?;
        match (&first.token, &last.token) {
            (Token::Command(open), Token::Command(close)) if open == "{" && close == "}" => {
                self.set(inside, depth)
            }
            (Token::Command(begin), Token::Command(_)) => {
                self.matrix(matrix_kind(begin)?, inside, depth)
            }
            (Token::Symbol(open @ ('(' | '[')), Token::Symbol(close @ (')' | ']'))) => {
                let parts = split(inside, |lexeme| lexeme.is(','));
                let items = self.forms(&parts, depth).filter(|items| items.len() > 1)?;
                Some(Form::Bracketed {
                    open: *open,
                    close: *close,
                    items,
                })
            }
            _ => None,
        }
    }

    fn set(&self, inside: &[Lexeme], depth: usize) -> Option<Form> {
        if inside.is_empty() {
            return Some(Form::Set(Vec::new()));
        }
        match self.form(inside, depth + 1) {
            Form::List { items, .. } => Some(Form::Set(items)),
            Form::Chain(_) | Form::Words { .. } | Form::Ratio(_) => None,
            item => Some(Form::Set(vec![item])),
        }
    }

    fn matrix(&self, kind: &'static str, inside: &[Lexeme], depth: usize) -> Option<Form> {
        let mut rows = split(inside, |lexeme| lexeme.is_command("\\"));
        rows.retain(|row| !row.is_empty());
        let cells = |row: &&[Lexeme]| self.forms(&split(row, |lexeme| lexeme.is('&')), depth);
        (rows.len() <= MAX_ITEMS)
            .then(|| rows.iter().map(cells).collect::<Option<_>>())?
            .map(|rows| Form::Matrix { kind, rows })
    }

    /// One value.
    fn single(&self, lexemes: &[Lexeme]) -> Option<Form> {
        based(lexemes)
            .or_else(|| named(lexemes))
            .or_else(|| self.value(lexemes))
    }

    fn value(&self, lexemes: &[Lexeme]) -> Option<Form> {
        if let [
            Lexeme {
                token: Token::Text(word),
                ..
            },
        ] = lexemes
        {
            let literal = Literal::integer(&words::number(word)?.to_string())?;
            return Some(Form::Value(Value::plain(Tree::Number(literal))));
        }
        // ABC is a triangle or an order, not a product that could be written as BCA.
        let capital = |lexeme: &Lexeme| matches!(lexeme.token, Token::Letter(letter) if letter.is_uppercase());
        if lexemes.len() > 1 && lexemes.iter().all(capital) {
            return None;
        }
        let Measured {
            value,
            unit,
            percent,
            scale,
        } = units::measured(lexemes, self.letters);
        let mut tree = parse::expression(value)?;
        if let Some(scale) = scale {
            tree = Tree::Product(vec![
                (false, tree),
                (false, Tree::Number(Literal::integer(scale)?)),
            ]);
        }
        Some(Form::Value(Value {
            tree,
            unit,
            percent,
        }))
    }
}

/// Without the grouping braces around everything.
fn unbraced(mut lexemes: &[Lexeme]) -> &[Lexeme] {
    while let [first, inside @ .., last] = lexemes
        && first.is('{')
        && last.is('}')
        && is_enclosed(lexemes)
    {
        lexemes = inside;
    }
    lexemes
}

fn words(lexemes: &[Lexeme]) -> Form {
    Form::Words {
        key: key(lexemes),
        prose: has_words(lexemes),
    }
}

/// A list, in which ± counts as two items.
fn flat(items: Vec<Form>, mut unordered: bool) -> Form {
    let mut all = Vec::new();
    for item in items {
        match item {
            Form::List {
                items,
                unordered: true,
            } => {
                unordered = true;
                all.extend(items);
            }
            item => all.push(item),
        }
    }
    Form::List {
        items: all,
        unordered,
    }
}

/// With + for every ± and with - for every ±, if there is one; ∓ is the other way round.
fn signs(lexemes: &[Lexeme]) -> Option<[Vec<Lexeme>; 2]> {
    let is_sign = |lexeme: &Lexeme| lexeme.is_command("pm") || lexeme.is_command("mp");
    if !lexemes.iter().any(is_sign) {
        return None;
    }
    let with = |upper: char, lower: char| {
        let replace = |lexeme: &Lexeme| {
            let symbol = if lexeme.is_command("pm") {
                upper
            } else {
                lower
            };
            let token = if is_sign(lexeme) {
                Token::Symbol(symbol)
            } else {
                lexeme.token.clone()
            };
            Lexeme {
                token,
                spaced: lexeme.spaced,
            }
        };
        lexemes.iter().map(replace).collect()
    };
    Some([with('+', '-'), with('-', '+')])
}
