//! Expressions as trees. Sums and products are flat, so that a tree is no deeper than its brackets.

use std::collections::BTreeSet;

use super::literal::Literal;

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Sin,
    Cos,
    Tan,
    Sec,
    Csc,
    Cot,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Exp,
    Abs,
    Floor,
    Ceil,
    Factorial,
    /// π / 180 times.
    Degrees,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Number(Literal),
    Pi,
    Euler,
    /// By its name with subscript. `i` and `j` too: what they are depends on both sides.
    Variable(String),
    /// Terms, each with whether it is subtracted.
    Sum(Vec<(bool, Self)>),
    /// Factors, each with whether it divides.
    Product(Vec<(bool, Self)>),
    Power(Box<Self>, Box<Self>),
    /// The root of a degree, real where there is a real one.
    Root(u32, Box<Self>),
    Call(Function, Box<Self>),
    /// The logarithm to a base.
    Log(Box<Self>, Box<Self>),
    Binomial(Box<Self>, Box<Self>),
    /// An unknown function by its name.
    Unknown(String, Box<Self>),
}

impl Tree {
    /// -`self`.
    pub(crate) fn negated(self) -> Self {
        Self::Sum(vec![(true, self)])
    }

    /// `self` - `other`.
    pub(crate) fn minus(self, other: Self) -> Self {
        Self::Sum(vec![(false, self), (true, other)])
    }

    /// `self` / 100.
    pub(crate) fn hundredth(self) -> Self {
        match Literal::integer("100") {
            Some(hundred) => Self::Product(vec![(false, self), (true, Self::Number(hundred))]),
            None => self,
        }
    }

    /// Adds the names of all variables, of unknown functions not.
    pub(crate) fn variables(&self, names: &mut BTreeSet<String>) {
        match self {
            Self::Number(_) | Self::Pi | Self::Euler => {}
            Self::Variable(name) => {
                names.insert(name.clone());
            }
            Self::Sum(parts) | Self::Product(parts) => {
                parts.iter().for_each(|(_, part)| part.variables(names));
            }
            Self::Power(one, two) | Self::Log(one, two) | Self::Binomial(one, two) => {
                one.variables(names);
                two.variables(names);
            }
            Self::Root(_, part) | Self::Call(_, part) | Self::Unknown(_, part) => {
                part.variables(names);
            }
        }
    }
}
