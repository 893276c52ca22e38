//! What an answer can be as a whole: a value, a tuple, a set, an equation, words.

use super::token::{Lexeme, Token};
use super::tree::Tree;

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
        items: Vec<Self>,
    },
    /// Without brackets; in any order if `or`, `and` or ± is between them.
    List {
        items: Vec<Self>,
        unordered: bool,
    },
    Set(Vec<Self>),
    Union(Vec<Self>),
    Ratio(Vec<Self>),
    Matrix {
        kind: &'static str,
        rows: Vec<Vec<Self>>,
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
    /// Without a unit.
    pub(super) fn plain(tree: Tree) -> Self {
        Self {
            tree,
            unit: None,
            percent: false,
        }
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
    /// If the piece is one.
    pub(super) fn of(lexeme: &Lexeme) -> Option<Self> {
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
