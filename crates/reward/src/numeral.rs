//! Numerals in running text, as exact rationals of any size.
//!
//! Exact, because 100001 is not 100000 and 0.1 + 0.2 is 0.3.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Zero};

/// Longer numerals are no answers, and their arithmetic would be slow.
const MAX_DIGITS: usize = 1_000;

/// The value of `text` if all of it is one numeral: a sign, digits with or without commas between groups of three,
/// and a fraction after a point.
pub(crate) fn parse(text: &str) -> Option<BigRational> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let whole = ungrouped(whole)?;
    let value = decimal(&whole, fraction)?;
    Some(if negative { -value } else { value })
}

/// `whole.fraction` of ASCII digits; one of the two may be empty.
pub(crate) fn decimal(whole: &str, fraction: &str) -> Option<BigRational> {
    let digits = format!("{whole}{fraction}");
    if digits.is_empty()
        || digits.len() > MAX_DIGITS
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let numerator: BigInt = digits.parse().ok()?;
    Some(BigRational::new(numerator, ten_to(fraction.len())))
}

/// 10^`exponent`.
pub(crate) fn ten_to(exponent: usize) -> BigInt {
    Pow::pow(BigInt::from(10), exponent)
}

/// `whole.fraction` and then `repeating` for ever.
pub(crate) fn repeating(whole: &str, fraction: &str, repeating: &str) -> Option<BigRational> {
    let start = decimal(whole, fraction)?;
    let period = decimal(repeating, "")?;
    let nines = ten_to(repeating.len()) - BigInt::one();
    if nines.is_zero() {
        return None;
    }
    Some(start + period / BigRational::from(nines * ten_to(fraction.len())))
}

/// Without commas, if there are none or every one stands before three digits; nothing for `12,34`.
fn ungrouped(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let grouped = !rest.is_empty();
    if grouped && (!(1..=3).contains(&first.len()) || rest.iter().any(|group| group.len() != 3)) {
        return None;
    }
    Some(whole.replace(',', ""))
}

/// The last numeral in `text`, without what surrounds it: `1,234.5` in `it is $1,234.50.`.
///
/// A minus counts as a sign unless it stands directly after a letter, a digit or a closing bracket.
pub(crate) fn last(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let mut start = end;
    while start > 0 {
        let Some(&byte) = bytes.get(start - 1) else {
            break;
        };
        let after_digit = bytes.get(start).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_digit() || (matches!(byte, b',' | b'.') && after_digit)) {
            break;
        }
        start -= 1;
    }
    let candidate = trimmed(text, start, end);
    Some(candidate)
}

/// The longest end of `text[start..end]` that is a numeral, with its sign.
fn trimmed(text: &str, start: usize, end: usize) -> &str {
    let whole = text.get(start..end).unwrap_or_default();
    let numeral = whole
        .char_indices()
        .filter(|&(at, _)| at == 0 || matches!(whole.as_bytes().get(at - 1), Some(b',' | b'.')))
        .filter_map(|(at, _)| whole.get(at..))
        .find(|end| parse(end).is_some())
        .unwrap_or(whole);
    let start = end - numeral.len();
    let before = text.get(..start).unwrap_or_default();
    for sign in ['-', '−'] {
        let Some(earlier) = before
            .strip_suffix(sign)
            .or_else(|| before.strip_suffix('$')?.strip_suffix(sign))
        else {
            continue;
        };
        let bound = earlier
            .ends_with(|last: char| last.is_alphanumeric() || matches!(last, ')' | ']' | '}'));
        if !bound && before.ends_with(sign) {
            return text.get(start - sign.len_utf8()..end).unwrap_or(numeral);
        }
    }
    numeral
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> BigRational {
        BigRational::new(numerator.into(), denominator.into())
    }

    #[test]
    fn numerals_are_exact() {
        assert_eq!(parse("1,234.50"), Some(ratio(2469, 2)));
        assert_eq!(parse(" -.5"), Some(ratio(-1, 2)));
        assert_eq!(parse("+007"), Some(ratio(7, 1)));
        assert_eq!(
            parse("0.1").zip(parse("0.2")).map(|(a, b)| a + b),
            parse("0.3")
        );
        assert_eq!(repeating("0", "1", "6"), Some(ratio(1, 6)));
    }

    #[test]
    fn what_is_no_numeral_has_no_value() {
        for text in [
            "", "-", ".", "12,34", "1,2345", ",123", "1.2.3", "1e5", "١٢", "--1", "72 clips",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse(&"9".repeat(MAX_DIGITS + 1)), None);
    }

    #[test]
    fn the_last_numeral_is_found_without_its_surroundings() {
        for (text, numeral) in [
            ("it is $1,234.50.", "1,234.50"),
            ("x = -3", "-3"),
            ("10-3", "3"),
            ("(7)-2", "2"),
            ("a total of 45,000", "45,000"),
            ("1, 2,3 and 4.", "4"),
            ("pages 12,34", "34"),
            ("v1.2.3", "2.3"),
            ("−5 °C", "−5"),
        ] {
            assert_eq!(last(text), Some(numeral), "{text:?}");
        }
        assert_eq!(last("no number"), None);
    }
}
