//! Words that the original takes for units and deletes: mostly from MathQA's answers, single letters among them.
//!
//! The original builds a pattern of each word, so that a point in it is any character. The words are in its order and
//! repeated as there, since what one deletion leaves the next one sees.

use super::fractions::is_word;

const WORDS: [&str; 132] = [
    "east",
    "degree",
    "mph",
    "kmph",
    "ft",
    "m sqaure",
    " m east",
    "sq m",
    "deg",
    "mile",
    "q .",
    "monkey",
    "prime",
    "ratio",
    "profit of rs",
    "rd",
    "o",
    "gm",
    "p . m",
    "lb",
    "tile",
    "per",
    "dm",
    "lt",
    "gain",
    "ab",
    "way",
    "west",
    "a .",
    "b .",
    "c .",
    "d .",
    "e .",
    "f .",
    "g .",
    "h .",
    "t",
    "a",
    "h",
    "no change",
    "men",
    "soldier",
    "pie",
    "bc",
    "excess",
    "st",
    "inches",
    "noon",
    "percent",
    "by",
    "gal",
    "kmh",
    "c",
    "acre",
    "rise",
    "a . m",
    "th",
    "π r 2",
    "sq",
    "mark",
    "l",
    "toy",
    "coin",
    "sq . m",
    "gallon",
    "° f",
    "profit",
    "minw",
    "yr",
    "women",
    "feet",
    "am",
    "pm",
    "hr",
    "cu cm",
    "square",
    "v â € ™",
    "are",
    "rupee",
    "rounds",
    "cubic",
    "cc",
    "mtr",
    "s",
    "ohm",
    "number",
    "kmph",
    "day",
    "hour",
    "minute",
    "min",
    "second",
    "man",
    "woman",
    "sec",
    "cube",
    "mt",
    "sq inch",
    "mp",
    "∏ cm ³",
    "hectare",
    "more",
    "sec",
    "unit",
    "cu . m",
    "cm 2",
    "rs .",
    "rs",
    "kg",
    "g",
    "month",
    "km",
    "m",
    "cm",
    "mm",
    "apple",
    "liter",
    "loss",
    "yard",
    "pure",
    "year",
    "increase",
    "decrease",
    "d",
    "less",
    "Surface",
    "litre",
    "pi sq m",
    "s .",
    "metre",
    "meter",
    "inch",
];

/// Without the words: each as it is and then each with an s after it, all of it twice. A word that is everything stays.
pub(super) fn removed(mut text: String) -> String {
    let plural: Vec<String> = WORDS.iter().map(|word| format!("{word}s")).collect();
    for _ in 0..2 {
        for word in WORDS
            .iter()
            .copied()
            .chain(plural.iter().map(String::as_str))
        {
            if let Some(shorter) = without(&text, word).filter(|shorter| !shorter.is_empty()) {
                text = shorter;
            }
        }
    }
    text
}

/// `(^|\W)word($|\W)` without the word everywhere; nothing if it does not occur.
fn without(text: &str, word: &str) -> Option<String> {
    let mut out = String::new();
    let mut at = 0;
    while let Some((start, end)) = find(text, at, word) {
        out.push_str(text.get(at..start)?);
        // What stands behind the word is part of the match: no other one begins there.
        let behind = text.get(end..)?.chars().next().map_or(0, char::len_utf8);
        out.push_str(text.get(end..end + behind)?);
        at = end + behind;
    }
    if at == 0 {
        return None;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}

/// Where the word stands next between characters that are no letters or digits, the first of them at `from` or later.
fn find(text: &str, from: usize, word: &str) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let first = (from == 0).then_some(0).into_iter();
    let starts = first.chain(
        rest.char_indices()
            .filter(|(_, before)| !is_word(*before))
            .map(|(at, before)| from + at + before.len_utf8()),
    );
    starts
        .filter_map(|start| Some((start, start + matched(text.get(start..)?, word)?)))
        .find(|(_, end)| text.get(*end..).is_some_and(is_free))
}

fn is_free(rest: &str) -> bool {
    rest.chars().next().is_none_or(|next| !is_word(next))
}

/// How much of the text the word is, if it begins with it.
fn matched(text: &str, word: &str) -> Option<usize> {
    let mut characters = text.chars();
    for wanted in word.chars() {
        let found = characters.next()?;
        if wanted != found && wanted != '.' {
            return None;
        }
    }
    Some(text.len() - characters.as_str().len())
}
