//! `\sqrt2`, `\frac12` and `1/2` in the spelling with braces.

/// Whether Python's `\w` matches.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// `\sqrt{12}` for `\sqrt12`.
pub(super) fn roots(text: &str) -> String {
    let mut parts = text.split("\\sqrt");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|next| !is_word(next)).unwrap_or(part.len());
        let (under, rest) = part.split_at(end);
        out.push_str("\\sqrt");
        match under.is_empty() {
            true => out.push_str(rest),
            false => out.extend(["{", under, "}", rest]),
        }
    }
    out
}

/// `\frac{1}{2}` for `\frac12` and `\frac1{2}`. A `\frac` with one character after it leaves everything as it is.
pub(super) fn braced(text: String) -> String {
    let mut parts = text.split("\\frac");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\\frac");
        if part.starts_with('{') {
            out.push_str(part);
            continue;
        }
        let mut characters = part.chars();
        let (Some(over), Some(under)) = (characters.next(), characters.next()) else {
            return text;
        };
        out.extend(['{', over, '}']);
        match under {
            '{' => out.push(under),
            _ => out.extend(['{', under, '}']),
        }
        out.push_str(characters.as_str());
    }
    out
}

/// `\frac{1}{2}` for `1/2`, if both are whole numbers or have a root in them.
pub(super) fn slash(text: String) -> String {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(over), Some(under), None) if is_part(over) && is_part(under) => {
            format!("\\frac{{{over}}}{{{under}}}")
        }
        _ => text,
    }
}

/// Whether Python reads it as a whole number and writes it the same, or there is a root in it.
fn is_part(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (!digits.starts_with('0') || text == "0");
    canonical || text.contains("sqrt")
}
