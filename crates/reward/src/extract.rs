//! Where the answer stands in a completion.

/// The content of the last balanced `\boxed{…}`, or what follows the last `\boxed` up to `$` or the end of the line.
///
/// The last one counts, also inside another, because a model that corrects itself boxes twice. One that is never
/// closed is passed over: the completion was cut off inside it.
pub(crate) fn boxed(text: &str) -> Option<&str> {
    let mut before = text;
    while let Some(at) = before.rfind("\\boxed") {
        let rest = text.get(at + "\\boxed".len()..)?;
        match content(rest) {
            Some(found) => return Some(found.trim()),
            None => before = text.get(..at)?,
        }
    }
    None
}

fn content(rest: &str) -> Option<&str> {
    let trimmed = rest.trim_start();
    if !trimmed.starts_with('{') {
        let bare = rest.starts_with([' ', '\t']).then_some(trimmed)?;
        return bare
            .split(['$', '\n'])
            .next()
            .filter(|found| !found.trim().is_empty());
    }
    trimmed.get(1..closing(trimmed)?)
}

/// Where the brace closes that opens at the beginning of `text`. A brace after a backslash is a character.
pub(crate) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if !escaped => depth += 1,
            b'}' if !escaped => depth = depth.checked_sub(1)?,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// What follows the last `####`, to the end of its line.
pub(crate) fn after_hash(text: &str) -> Option<&str> {
    let rest = text.get(text.rfind("####")? + 4..)?;
    rest.lines()
        .next()
        .map(str::trim)
        .filter(|found| !found.is_empty())
}

/// What follows the last `answer is`, `answer:` or `答案是`, in either case of letters: the first formula of that line, or
/// its first sentence.
pub(crate) fn after_phrase(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let end = ["answer is", "answer:", "答案是"]
        .iter()
        .filter_map(|phrase| lower.rfind(phrase).map(|at| at + phrase.len()))
        .max()?;
    let line = text
        .get(end..)?
        .trim_start_matches([' ', ':', '*', '\t', '\n', '\r'])
        .lines()
        .next()?;
    let found = formula(line).unwrap_or_else(|| sentence(line));
    Some(found.trim_matches(['*', ' '])).filter(|found| !found.is_empty())
}

/// What stands between the first `$ $` or `\( \)`.
fn formula(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let (open, close) = if line.starts_with("$") {
        ("$", "$")
    } else {
        ("\\(", "\\)")
    };
    let inside = line.strip_prefix(open)?;
    inside.find(close).and_then(|end| inside.get(..end))
}

fn sentence(line: &str) -> &str {
    line.find(". ")
        .and_then(|end| line.get(..end))
        .unwrap_or(line)
        .trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_balanced_box_counts() {
        for (text, found) in [
            (r"\boxed{3} no, \boxed{5}", Some("5")),
            (r"\boxed{\boxed{7}}", Some("7")),
            (r"\boxed{\frac{1}{2}}", Some(r"\frac{1}{2}")),
            (r"\boxed{\{1\}}", Some(r"\{1\}")),
            (r"$\boxed 7$ and done", Some("7")),
            (r"\boxed{4} then \boxed{5", Some("4")),
            (r"\boxed{}", Some("")),
            (r"\boxed{7", None),
            (r"\boxed", None),
            ("boxed{7}", None),
        ] {
            assert_eq!(boxed(text), found, "{text}");
        }
    }

    #[test]
    fn phrases_and_hashes_lead_to_the_answer() {
        assert_eq!(after_phrase("The answer is $12$, as said."), Some("12"));
        assert_eq!(
            after_phrase("The final answer is 1.5. Thanks."),
            Some("1.5")
        );
        assert_eq!(after_phrase("**Answer:** 12 "), Some("12"));
        assert_eq!(after_phrase("答案是12\n\n另外"), Some("12"));
        assert_eq!(after_phrase("The answer is"), None);
        assert_eq!(after_hash("a #### 1\n#### 72 clips\nb"), Some("72 clips"));
        assert_eq!(after_hash("####"), None);
    }
}
