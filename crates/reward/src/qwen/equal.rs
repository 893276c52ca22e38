//! The original's `math_equal`: numbers within a relative 1e-4, also of a hundredth and of a hundred times the gold
//! answer; brackets of any kind; tuples and matrices by their parts; equations; expressions.

use super::fractions::is_word;
use super::symbolic;

/// Tuples inside one another; deeper ones are compared as they are written.
const MAX_DEPTH: usize = 16;
/// Longer answers are not taken apart.
const MAX_LENGTH: usize = 2_000;
const BEGIN: &str = "\\begin{pmatrix}";
const END: &str = "\\end{pmatrix}";

/// Whether the prediction is the gold answer, both normalised.
pub(super) fn equal(prediction: &str, gold: &str) -> bool {
    within(prediction, gold, 0)
}

fn within(prediction: &str, gold: &str, depth: usize) -> bool {
    if prediction.trim().to_lowercase() == gold.trim().to_lowercase() {
        return true;
    }
    if matches!(gold, "A" | "B" | "C" | "D" | "E") && last_choice(prediction) == gold.chars().next()
    {
        return true;
    }
    if let (Some(found), Some(wanted)) = (number(prediction), number(gold)) {
        return [wanted / 100.0, wanted, wanted * 100.0]
            .into_iter()
            .any(|wanted| close(wanted, found));
    }
    let long = prediction.len() > MAX_LENGTH || gold.len() > MAX_LENGTH;
    if prediction.is_empty() || long || depth > MAX_DEPTH {
        return false;
    }
    by_parts(prediction.trim(), gold.trim(), depth)
}

fn by_parts(prediction: &str, gold: &str, depth: usize) -> bool {
    let gold = match prediction.contains("pmatrix") && !gold.contains("pmatrix") {
        true => as_matrices(gold),
        false => gold.to_owned(),
    };
    let gold = gold.as_str();
    same_without_brackets(prediction, gold)
        || same_tuples(prediction, gold, depth)
        || same_matrices(prediction, gold, depth)
        || same_equations(prediction, gold, depth)
        || symbolic::equal(prediction, gold)
}

/// Python's `isclose` with `rel_tol=1e-4`.
#[expect(
    clippy::float_cmp,
    reason = "infinities are close to themselves only, and zero to zero"
)]
pub(super) fn close(one: f64, other: f64) -> bool {
    if one == other {
        return true;
    }
    let finite = one.is_finite() && other.is_finite();
    finite && (one - other).abs() <= 1e-4 * one.abs().max(other.abs())
}

/// What Python's `float` reads, without commas; a percentage as the number that it is.
fn number(text: &str) -> Option<f64> {
    let text = text.replace(',', "");
    float(&text).or_else(|| {
        let percentage = text.strip_suffix('%')?;
        let percentage = percentage.strip_suffix('\\').unwrap_or(percentage);
        Some(float(percentage)? / 100.0)
    })
}

/// Underscores may stand between digits.
fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    let between = |at: usize| digit(at.checked_sub(1)) && digit(at.checked_add(1));
    if !text.match_indices('_').all(|(at, _)| between(at)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// The last letter of A to E that stands alone.
fn last_choice(text: &str) -> Option<char> {
    let upper: Vec<char> = text.to_uppercase().chars().collect();
    let word = |at: Option<usize>| {
        at.and_then(|at| upper.get(at))
            .copied()
            .is_some_and(is_word)
    };
    let alone = |at: usize| !word(at.checked_sub(1)) && !word(at.checked_add(1));
    let choices = upper.iter().enumerate();
    choices
        .filter(|(at, letter)| matches!(letter, 'A'..='E') && alone(*at))
        .map(|(_, letter)| *letter)
        .next_back()
}

/// Each `{a,b}` as a matrix.
fn as_matrices(text: &str) -> String {
    // The pattern is greedy: from the first brace to the last one, if a comma is between them.
    let inside = || {
        let (start, end) = (text.find('{')?, text.rfind('}')?);
        text.get(start..=end).filter(|inside| inside.contains(','))
    };
    inside().map_or_else(String::new, |inside| {
        let cells = inside.trim_matches(['{', '}']).replace(',', "\\");
        format!("{BEGIN}{cells}{END}")
    })
}

fn same_without_brackets(prediction: &str, gold: &str) -> bool {
    let (mut found, mut wanted) = (prediction, gold);
    let square = prediction.starts_with('[') && prediction.ends_with(']') && !gold.starts_with('(');
    let round = prediction.starts_with('(') && prediction.ends_with(')') && !gold.starts_with('[');
    if square || round {
        const BRACKETS: [char; 4] = ['[', ']', '(', ')'];
        (found, wanted) = (found.trim_matches(BRACKETS), wanted.trim_matches(BRACKETS));
    }
    let bare = |text: &str| text.replace(['{', '}', '(', ')'], "").to_lowercase();
    bare(found) == bare(wanted)
}

/// The text without its first and last character, if it begins with a bracket and one closes after something.
fn inside(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['(', '['])?;
    rest.char_indices()
        .any(|(at, closes)| at > 0 && matches!(closes, ')' | ']'))
        .then_some(())?;
    let mut characters = rest.chars();
    characters.next_back();
    Some(characters.as_str())
}

fn same_tuples(prediction: &str, gold: &str, depth: usize) -> bool {
    let (Some(found), Some(wanted)) = (inside(prediction), inside(gold)) else {
        return false;
    };
    same_parts(found, wanted, ',', depth)
}

fn same_parts(found: &str, wanted: &str, between: char, depth: usize) -> bool {
    let found: Vec<&str> = found.split(between).collect();
    let wanted: Vec<&str> = wanted.split(between).collect();
    let parts = || found.iter().zip(&wanted);
    found.len() == wanted.len() && parts().all(|(one, other)| within(one, other, depth + 1))
}

fn same_matrices(prediction: &str, gold: &str, depth: usize) -> bool {
    let (Some(found), Some(wanted)) = (rows(prediction), rows(gold)) else {
        return false;
    };
    let pairs = || found.iter().zip(&wanted);
    found.len() == wanted.len() && pairs().all(|(one, other)| same_parts(one, other, '&', depth))
}

fn rows(text: &str) -> Option<Vec<&str>> {
    let inside = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let rows = inside.split("\\\\").map(str::trim);
    Some(rows.filter(|row| !row.is_empty()).collect())
}

/// The two sides, if there is one equals sign.
fn sides(text: &str) -> Option<(&str, &str)> {
    text.split_once('=')
        .filter(|(_, right)| !right.contains('='))
}

/// Two equations up to their sign; or a name of one or two characters, and its value on the other side.
fn same_equations(prediction: &str, gold: &str, depth: usize) -> bool {
    let named =
        |(name, value): (&'_ str, &'_ str)| (name.trim().chars().count() <= 2, value.to_owned());
    match (sides(prediction), sides(gold)) {
        (Some((left, right)), Some((gold_left, gold_right))) => {
            let found = format!("{} - ({})", left.trim(), right.trim());
            let wanted = format!("{} - ({})", gold_left.trim(), gold_right.trim());
            symbolic::equal(&found, &wanted) || symbolic::equal(&format!("-({found})"), &wanted)
        }
        (Some(equation), None) if !gold.contains('=') => {
            let (short, value) = named(equation);
            short && within(&value, gold, depth + 1)
        }
        (None, Some(equation)) if !prediction.contains('=') => {
            let (short, value) = named(equation);
            short && within(prediction, &value, depth + 1)
        }
        _ => false,
    }
}
