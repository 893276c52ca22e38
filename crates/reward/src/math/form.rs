//! What an answer is as a whole: a value, a tuple, a set, an equation, words. Separators first, brackets next, then values.

use super::literal::Literal;
use super::parse;
use super::token::{Lexeme, Token, has_words, is_enclosed, key, split};
use super::tree::Tree;
use super::units::{self, Measured};
use super::words;

/// Longer lists are words.
const MAX_ITEMS: usize = 32;
/// Lists, sets and tuples inside one another.
const MAX_DEPTH: usize = 8;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// Nothing that can be calculated with; `prose` if there are words in it, whose case does not matter.
    Words {
        key: String,
        prose: bool,
    },
    /// A number in another base than ten.
    Based {
        digits: String,
        base: String,
    },
    Value(Value),
    Infinity {
        negative: bool,
    },
    Reals,
    /// Equations and inequalities.
    Chain(Vec<Link>),
    /// A tuple or an interval; its brackets matter.
    Bracketed {
        open: char,
        close: char,
        items: Vec<Form>,
    },
    /// Without brackets; in any order if `or`, `and` or ± is between them.
    List {
        items: Vec<Form>,
        unordered: bool,
    },
    Set(Vec<Form>),
    Union(Vec<Form>),
    Ratio(Vec<Form>),
    Matrix {
        kind: &'static str,
        rows: Vec<Vec<Form>>,
    },
}

/// An expression with its unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) tree: Tree,
    pub(crate) unit: Option<String>,
    pub(crate) percent: bool,
}

impl Value {
    fn plain(tree: Tree) -> Self {
        Self { tree, unit: None, percent: false }
    }
}

/// One side of an equation or inequality.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub(crate) form: Form,
    /// Its spelling if it only names something: `x`, `f(x)`, `\angle ABC`.
    pub(crate) name: Option<String>,
    /// What stands between it and the next side.
    pub(crate) relation: Option<Relation>,
}

/// What stands between two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Relation {
    fn of(lexeme: &Lexeme) -> Option<Self> {
        match &lexeme.token {
            Token::Symbol('=') => Some(Self::Equal),
            Token::Symbol('<') => Some(Self::Less),
            Token::Symbol('>') => Some(Self::Greater),
            Token::Command(name) => match name.as_str() {
                "approx" => Some(Self::Equal),
                "ne" => Some(Self::Unequal),
                "le" => Some(Self::AtMost),
                "ge" => Some(Self::AtLeast),
                _ => None,
            },
            _ => None,
        }
    }
}

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
        let found = if depth > MAX_DEPTH { None } else { self.separated(lexemes, depth) };
        found.or_else(|| self.enclosed(lexemes, depth)).or_else(|| self.single(lexemes)).unwrap_or_else(|| words(lexemes))
    }

    fn forms(&self, parts: &[&[Lexeme]], depth: usize) -> Option<Vec<Form>> {
        (parts.len() <= MAX_ITEMS).then(|| parts.iter().map(|part| self.form(part, depth + 1)).collect())
    }

    /// By the loosest separator that occurs outside of brackets.
    fn separated(&self, lexemes: &[Lexeme], depth: usize) -> Option<Form> {
        let is_or = |lexeme: &Lexeme| lexeme.is_command("or");
        let unordered = split(lexemes, is_or).len() > 1;
        let mut parts = split(lexemes, |lexeme| is_or(lexeme) || lexeme.is(',') || lexeme.is(';'));
        if unordered {
            parts.retain(|part| !part.is_empty());
        }
        if parts.len() > 1 {
            return self.forms(&parts, depth).map(|items| flat(items, unordered));
        }
        if let Some(both) = signs(lexemes) {
            let items = both.iter().map(|lexemes| self.form(lexemes, depth + 1)).collect();
            return Some(Form::List { items, unordered: true });
        }
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
            (Token::Command(open), Token::Command(close)) if open == "{" && close == "}" => self.set(inside, depth),
            (Token::Command(begin), Token::Command(_)) => self.matrix(matrix_kind(begin)?, inside, depth),
            (Token::Symbol(open @ ('(' | '[')), Token::Symbol(close @ (')' | ']'))) => {
                let parts = split(inside, |lexeme| lexeme.is(','));
                let items = self.forms(&parts, depth).filter(|items| items.len() > 1)?;
                Some(Form::Bracketed { open: *open, close: *close, items })
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
        (rows.len() <= MAX_ITEMS).then(|| rows.iter().map(cells).collect::<Option<_>>())?.map(|rows| Form::Matrix { kind, rows })
    }

    /// One value.
    fn single(&self, lexemes: &[Lexeme]) -> Option<Form> {
        based(lexemes).or_else(|| named(lexemes)).or_else(|| self.value(lexemes))
    }

    fn value(&self, lexemes: &[Lexeme]) -> Option<Form> {
        if let [Lexeme { token: Token::Text(word), .. }] = lexemes {
            let literal = Literal::integer(&words::number(word)?.to_string())?;
            return Some(Form::Value(Value::plain(Tree::Number(literal))));
        }
        let Measured { value, unit, percent } = units::measured(lexemes, self.letters);
        let tree = parse::expression(value)?;
        Some(Form::Value(Value { tree, unit, percent }))
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
    Form::Words { key: key(lexemes), prose: has_words(lexemes) }
}

/// A list, in which ± counts as two items.
fn flat(items: Vec<Form>, mut unordered: bool) -> Form {
    let mut all = Vec::new();
    for item in items {
        match item {
            Form::List { items, unordered: true } => {
                unordered = true;
                all.extend(items);
            }
            item => all.push(item),
        }
    }
    Form::List { items: all, unordered }
}

/// With + for every ± and with - for every ±, if there is one; ∓ is the other way round.
fn signs(lexemes: &[Lexeme]) -> Option<[Vec<Lexeme>; 2]> {
    let is_sign = |lexeme: &Lexeme| lexeme.is_command("pm") || lexeme.is_command("mp");
    if !lexemes.iter().any(is_sign) {
        return None;
    }
    let with = |upper: char, lower: char| {
        let replace = |lexeme: &Lexeme| {
            let symbol = if lexeme.is_command("pm") { upper } else { lower };
            let token = if is_sign(lexeme) { Token::Symbol(symbol) } else { lexeme.token.clone() };
            Lexeme { token, spaced: lexeme.spaced }
        };
        lexemes.iter().map(replace).collect()
    };
    Some([with('+', '-'), with('-', '+')])
}

/// Matrices are the same in round and in square brackets, but determinants are none.
fn matrix_kind(begin: &str) -> Option<&'static str> {
    match begin.strip_prefix("begin:")? {
        "pmatrix" | "bmatrix" | "matrix" | "array" | "smallmatrix" => Some("matrix"),
        "vmatrix" => Some("determinant"),
        _ => None,
    }
}

/// `2516_8` and `2516_{8}`.
fn based(lexemes: &[Lexeme]) -> Option<Form> {
    let (Token::Number(number), below) = lexemes.split_first().map(|(first, rest)| (&first.token, rest))? else {
        return None;
    };
    let base = match below {
        [line, base] if line.is('_') => base,
        [line, open, base, close] if line.is('_') && open.is('{') && close.is('}') => base,
        _ => return None,
    };
    let Token::Number(base) = &base.token else { return None };
    Some(Form::Based { digits: number.digits()?.to_owned(), base: base.digits()?.to_owned() })
}

/// Infinity, the empty set, the real numbers.
fn named(lexemes: &[Lexeme]) -> Option<Form> {
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
fn is_name(lexemes: &[Lexeme]) -> bool {
    let arguments = lexemes.iter().position(|lexeme| lexeme.is('(')).unwrap_or(lexemes.len());
    let Some((name, call)) = lexemes.split_at_checked(arguments) else { return false };
    let plain = |lexeme: &Lexeme| match &lexeme.token {
        Token::Letter(_) | Token::Text(_) => true,
        Token::Symbol(symbol) => matches!(symbol, '\'' | '′' | '_' | '{' | '}'),
        Token::Command(name) => !matches!(name.as_str(), "frac" | "sqrt" | "pi" | "infty" | "binom"),
        Token::Number(_) => false,
    };
    let mut at = 0;
    while let Some(lexeme) = name.get(at) {
        // The index, and -1 for the inverse function, may be numbers.
        let index = lexeme.is('_') || lexeme.is('^') && at > 0 && is_minus_one(name.get(at + 1..).unwrap_or_default());
        if !index && !plain(lexeme) {
            return false;
        }
        at += 1;
        if index {
            let braced = name.get(at).is_some_and(|next| next.is('{'));
            let group = name.get(at..).unwrap_or_default();
            at += if braced { group.iter().position(|next| next.is('}')).map_or(1, |end| end + 1) } else { 1 };
        }
    }
    !name.is_empty() && (call.is_empty() || is_enclosed(call))
}

fn is_minus_one(lexemes: &[Lexeme]) -> bool {
    key(lexemes.get(..4).unwrap_or_default()) == "{-1}"
}
