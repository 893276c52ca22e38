//! The original's `strip_string`: spellings that count as one. The order of the steps matters, and it is the original's.

use std::sync::LazyLock;

use regex::Regex;

use super::{fractions, spoken, units};

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant, and the tests compile it"
)]
static ZEROS_BEFORE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\d+)\.0*([^\d])").expect("the pattern is well formed"));

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant, and the tests compile it"
)]
static ZEROS_AT_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(\d+)\.0*$").expect("the pattern is well formed"));

/// Names of variables that an answer may begin with.
const NAMED: [&str; 9] = [
    "x=", "y=", "z=", "x\\in", "y\\in", "z\\in", "x\\to", "y\\to", "z\\to",
];

/// The text in the spelling that is compared.
pub(super) fn strip(text: &str, keep_units: bool) -> String {
    let mut text = commands(text);
    if !keep_units {
        text = units::removed(text);
    }
    let text = text.replace("^{\\circ}", "").replace("^\\circ", "");
    let text = ["\\$", "$", "\\(", "\\)"]
        .iter()
        .fold(text, |text, sign| text.replace(sign, ""));
    let text = spoken::in_digits(&text).unwrap_or(text);
    let text = between(&text, "\\text{", |inside| inside.to_owned());
    shortened(&constants(&text))
}

/// `\neq`, `\leq` and `\geq` by their short names.
pub(super) fn relations(text: &str) -> String {
    text.replace("\\neq", "\\ne")
        .replace("\\leq", "\\le")
        .replace("\\geq", "\\ge")
}

/// One name for each command, and no text at the end.
fn commands(text: &str) -> String {
    let text = text.trim().replace('\n', "");
    let text = text.trim_end_matches('.').replace("\\!", "");
    let text = between(&text, "\\begin{array}{", |_| "\\begin{pmatrix}".to_owned())
        .replace("\\end{array}", "\\end{pmatrix}")
        .replace("bmatrix", "pmatrix")
        .replace("tfrac", "frac")
        .replace("dfrac", "frac");
    let text = relations(&text)
        .replace("\\left", "")
        .replace("\\right", "")
        .replace("\\{", "{")
        .replace("\\}", "}");
    match text.find("\\text{").filter(|_| text.ends_with('}')) {
        Some(start) => match text.get(..start).unwrap_or_default().trim() {
            "" => text,
            before => before.to_owned(),
        },
        None => text,
    }
}

/// Replaces what stands from `open` to the next closing brace, both included.
fn between(text: &str, open: &str, replace: impl Fn(&str) -> String) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(open) {
        let Some((inside, next)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(&replace(inside));
        rest = next;
    }
    out.push_str(rest);
    out
}

/// Names before answers, percent signs, infinities, `and`, j for i.
fn constants(text: &str) -> String {
    let text = NAMED
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(name, ""));
    let mut text = text
        .replace("\\emptyset", "{}")
        .replace("(-\\infty,\\infty)", "\\mathbb{R}")
        .replace("\\%", "")
        .replace('%', "")
        .replace(" .", " 0.")
        .replace("{.", "{0.")
        .replace("infinity", "\\infty");
    if !text.contains("\\infty") {
        text = text.replace("inf", "\\infty");
    }
    // The original means another command, but this is what it replaces.
    let text = text
        .replace("+\\inity", "\\infty")
        .replace("and", "")
        .replace("\\mathbf", "");
    let text = between(&text, "\\mbox{", |_| String::new());
    match text.contains('j') && !text.contains('i') {
        true => text.replace('j', "i"),
        false => text,
    }
}

/// Zeros after the point, a name of one or two characters, spaces, fractions.
fn shortened(text: &str) -> String {
    let text = ZEROS_BEFORE.replace_all(text, "$1$2");
    let text = ZEROS_AT_END.replace_all(&text, "$1");
    let text = match text.starts_with('.') {
        true => format!("0{text}"),
        false => text.into_owned(),
    };
    let mut sides = text.split('=');
    let value = match (sides.next(), sides.next(), sides.next()) {
        (Some(name), Some(value), None) if name.chars().count() <= 2 => value,
        _ => &text,
    };
    let text = fractions::roots(value).replace(' ', "");
    fractions::slash(fractions::braced(text))
}
