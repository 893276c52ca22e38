//! Where the original's `extract_answer` finds the answer of a completion.

use std::sync::LazyLock;

use regex::Regex;

#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant, and the tests compile it"
)]
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"-?\d*\.?\d+").expect("the pattern is well formed"));

/// The answer as it is written, in one line; empty if there is none.
pub(super) fn answer(completion: &str) -> String {
    // Two Cyrillic letters that a model put before its answers.
    let completion = completion.replace("\u{43a}\u{438}", "");
    tidied(&found(&completion))
}

fn found(text: &str) -> String {
    if let Some(found) = minerva(text) {
        return found.trim().to_owned();
    }
    if let Some((_, rest)) = text.rsplit_once("boxed") {
        return boxed(rest);
    }
    for phrase in ["he answer is", "final answer is"] {
        if let Some((_, rest)) = text.rsplit_once(phrase) {
            return rest.trim().to_owned();
        }
    }
    if let Some(rest) = text.split("答案是").nth(1) {
        let first = rest.trim().split("\n\n").next().unwrap_or_default();
        return first.trim().to_owned();
    }
    let plain = text.replace(',', "");
    let last = NUMBER.find_iter(&plain).last();
    last.map_or_else(String::new, |number| number.as_str().to_owned())
}

/// What stands between `final answer is $` and `$. I hope`; to the end if they stand in the other order.
fn minerva(text: &str) -> Option<&str> {
    const END: &str = "$. I hope";
    let (_, rest) = text.split_once("final answer is $")?;
    text.contains(END)
        .then(|| rest.split_once(END).map_or(rest, |(found, _)| found))
}

/// What stands in the braces that the text begins with, to its end if they are never closed; without braces, what
/// stands before `$`.
fn boxed(text: &str) -> String {
    let Some(inside) = text.strip_prefix('{') else {
        let bare = text.split('$').next().unwrap_or_default();
        return bare.trim().to_owned();
    };
    let mut open = 1_usize;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return inside.get(..at).unwrap_or_default().to_owned();
        }
    }
    inside.to_owned()
}

/// In one line, without a colon before it and a point and a slash after it.
fn tidied(found: &str) -> String {
    let mut lines = found.split('\n');
    let mut line = lines.next().unwrap_or_default().to_owned();
    lines.for_each(|next| line.push_str(next.trim_start()));
    let line = line.strip_prefix(':').unwrap_or(&line);
    let line = line.strip_suffix('.').unwrap_or(line);
    line.strip_suffix('/').unwrap_or(line).to_owned()
}
