//! English numbers in digits, as the Python package `word2number` reads them: it takes the words that it knows, wherever
//! they stand, and leaves out the others.

/// Longer numerals are not read, as in Python.
const MAX_DIGITS: usize = 4_300;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const POWERS: [(&str, i64); 3] = [
    ("billion", 1_000_000_000),
    ("million", 1_000_000),
    ("thousand", 1_000),
];

/// The number that the text is or has words for.
pub(super) fn in_digits(text: &str) -> Option<String> {
    let text = text.replace('-', " ").to_lowercase();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        let number = if digits.is_empty() { "0" } else { digits };
        return (text.len() <= MAX_DIGITS).then(|| number.to_owned());
    }
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word == "point" || value(word).is_some())
        .collect();
    if words.is_empty() {
        return None;
    }
    let mut parts = words.split(|word| *word == "point");
    let (whole, decimals) = (parts.next()?, parts.next().unwrap_or_default());
    if parts.next().is_some() {
        return None;
    }
    let whole = whole_number(whole)?;
    let Some(fraction) = fraction(decimals) else {
        return Some(whole.to_string());
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "Python adds an int and a float as well"
    )]
    let sum = whole as f64 + fraction;
    Some(format!("{sum:?}"))
}

fn value(word: &str) -> Option<i64> {
    let place = |list: &[&str]| list.iter().position(|known| *known == word);
    if let Some(small) = place(&SMALL) {
        return i64::try_from(small).ok();
    }
    if let Some(tens) = place(&TENS) {
        return i64::try_from(tens * 10 + 20).ok();
    }
    let power = POWERS.iter().find(|(known, _)| *known == word);
    power
        .map(|(_, value)| *value)
        .or_else(|| (word == "hundred").then_some(100))
}

/// Billions, millions and thousands once each and in this order, each with what stands before it.
fn whole_number(words: &[&str]) -> Option<i64> {
    if let [only] = words {
        return value(only);
    }
    let (mut rest, mut sum) = (words, 0_i64);
    let mut after_power = false;
    for (power, value) in POWERS {
        let mut at = rest.iter().enumerate().filter(|(_, word)| **word == power);
        let Some((place, _)) = at.next() else {
            continue;
        };
        if at.next().is_some() {
            return None;
        }
        let (before, after) = rest.split_at(place);
        sum = sum.checked_add(group(before)?.checked_mul(value)?)?;
        rest = after.get(1..)?;
        after_power = true;
    }
    match rest.is_empty() && (after_power || words.is_empty()) {
        true => Some(sum),
        false => sum.checked_add(group(rest)?),
    }
}

/// A number below a thousand of up to four words; of more words the first one. Powers that are left over are out of
/// order.
fn group(words: &[&str]) -> Option<i64> {
    if words
        .iter()
        .any(|word| POWERS.iter().any(|(power, _)| power == word))
    {
        return None;
    }
    let values: Vec<i64> = words.iter().filter_map(|word| value(word)).collect();
    match values.as_slice() {
        [a, b] if values.contains(&100) => Some(a * b),
        [a, b] => Some(a + b),
        [a, b, c] => Some(a * b + c),
        [a, b, c, d] => Some(a * b + c + d),
        [first, ..] => Some(*first),
        [] => None,
    }
}

/// Digits after `point`; nothing if one of the words is no digit.
fn fraction(words: &[&str]) -> Option<f64> {
    let mut digits = String::from("0.");
    for word in words {
        let digit = value(word).filter(|digit| *digit < 10)?;
        digits.push_str(&digit.to_string());
    }
    if words.is_empty() {
        return None;
    }
    digits.parse().ok()
}
