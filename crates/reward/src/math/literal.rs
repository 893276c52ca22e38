//! A number as it is written: its exact value, and how many decimal places were given.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Signed};

use crate::numeral;

/// Larger exponents are no answers, and their powers of ten would be slow.
const MAX_EXPONENT: i32 = 400;

/// A number as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Its digits, without commas.
    pub(crate) raw: String,
    /// Its exact value.
    pub(crate) value: BigRational,
    /// The power of ten of its last digit, if it is written with a point: -2 in 3.14, 33 in 3.83e35.
    pub(crate) last_place: Option<i32>,
}

impl Literal {
    /// `whole.fraction`, then `period` for ever if there is one, times 10^`exponent`.
    pub(crate) fn new(
        whole: &str,
        fraction: &str,
        period: Option<&str>,
        exponent: i32,
    ) -> Option<Self> {
        if exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let mantissa = match period {
            Some(period) => numeral::repeating(whole, fraction, period)?,
            None => numeral::decimal(whole, fraction)?,
        };
        let places = i32::try_from(fraction.len()).ok()?;
        let mut raw = String::from(whole.trim_start_matches('0'));
        if raw.is_empty() {
            raw.push('0');
        }
        if !fraction.is_empty() || period.is_some() {
            raw = format!(
                "{raw}.{fraction}{}",
                period
                    .map(|digits| format!("({digits})"))
                    .unwrap_or_default()
            );
        }
        if exponent != 0 {
            raw = format!("{raw}e{exponent}");
        }
        Some(Self {
            raw,
            value: mantissa * ten_to(exponent),
            last_place: (period.is_none() && places > 0).then_some(exponent - places),
        })
    }

    /// A whole number.
    pub(crate) fn integer(digits: &str) -> Option<Self> {
        Self::new(digits, "", None, 0)
    }

    /// The digits of a whole number that is written plainly, for `\frac12`.
    pub(crate) fn digits(&self) -> Option<&str> {
        self.raw
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(self.raw.as_str())
    }
}

/// 10^`exponent`, also of a negative exponent.
pub(crate) fn ten_to(exponent: i32) -> BigRational {
    Pow::pow(BigRational::from(BigInt::from(10)), exponent)
}

/// `value` rounded to the place 10^`place`, halves away from zero.
pub(crate) fn rounded(value: &BigRational, place: i32) -> BigRational {
    let unit = ten_to(place);
    let half = BigRational::new(1.into(), 2.into());
    let steps = (value.abs() / &unit + half).floor() * unit;
    if value.is_negative() { -steps } else { steps }
}
