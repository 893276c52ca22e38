//! Text that others wrote, made safe to show on a terminal.

use std::fmt;

/// Shows a name, a path or free text with every character escaped that could move the cursor, hide text or reverse
/// its direction, so that a hostile file cannot forge what `tlora` says. What a CI would take for a command to itself is
/// escaped too: a text that begins with `::` (GitHub, whatever space is before it), and `##[`, `##vso[` anywhere (Azure).
pub(crate) struct Untrusted<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Untrusted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Escaped::of(&self.0);
        f.pad(&shown)
    }
}

/// Collects what a value displays, escaped.
struct Escaped(String);

impl Escaped {
    fn of(value: &impl fmt::Display) -> String {
        let mut escaped = Self(String::new());
        // Writing to a String cannot fail; a Display that fails by itself shows what it wrote so far.
        let _incomplete = fmt::Write::write_fmt(&mut escaped, format_args!("{value}"));
        if escaped.0.trim_start().starts_with("::") {
            escaped.0 = escaped.0.replacen(':', r"\u{3a}", 1);
        }
        replace_prefixes(&escaped.0, r"\u{23}")
    }
}

/// Replaces the first `#` of the prefixes of CI commands, such as `##vso[`.
fn replace_prefixes(text: &str, hash: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("##") {
        let (before, found) = rest.split_at(at);
        let word = found.trim_start_matches('#');
        let is_prefix = word
            .trim_start_matches(|letter: char| letter.is_ascii_alphanumeric())
            .starts_with('[');
        let (hashes, after) = found.split_at(found.len() - word.len());
        replaced.push_str(before);
        replaced.push_str(&if is_prefix {
            hashes.replace('#', hash)
        } else {
            hashes.to_owned()
        });
        rest = after;
    }
    replaced + rest
}

impl fmt::Write for Escaped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_harmless(character) {
                self.0.push(character);
            } else {
                self.0.extend(character.escape_default());
            }
        }
        Ok(())
    }
}

/// JSON that means the same and shows as it is: what [`Untrusted`] escapes is escaped as JSON does it. Outside of its
/// strings JSON has no such character but the line feed, and inside of them serde escapes the ASCII controls by itself.
pub(crate) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmless(character) || character == '\n' {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    replace_prefixes(&escaped, r"\u0023")
}

/// Whether a character shows as itself: no control, no invisible or direction-changing formatting character.
fn is_harmless(character: char) -> bool {
    !(character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}'))
}

#[cfg(test)]
mod tests {
    use super::{Untrusted, json};

    #[test]
    fn escapes_terminal_sequences_and_direction_overrides() {
        assert_eq!(
            Untrusted("a\x1b[2Jb\u{202e}c\n").to_string(),
            "a\\u{1b}[2Jb\\u{202e}c\\n"
        );
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        assert_eq!(
            Untrusted("Qwen2.5 für Mathe, 数学").to_string(),
            "Qwen2.5 für Mathe, 数学"
        );
    }

    #[test]
    fn escapes_what_a_ci_takes_for_a_command() {
        let shown = |text| Untrusted(text).to_string();
        assert_eq!(shown("::error::a"), r"\u{3a}:error::a");
        assert_eq!(shown("  ::stop-commands::x"), r"  \u{3a}:stop-commands::x");
        assert_eq!(shown("std::io, a::b"), "std::io, a::b");
        assert_eq!(shown("x ##vso[task]"), r"x \u{23}\u{23}vso[task]");
        assert_eq!(shown("###[group]a"), r"\u{23}\u{23}\u{23}[group]a");
        assert_eq!(shown("## A heading #1 ##"), "## A heading #1 ##");
        assert_eq!(json("[\"##[x]\"]"), r#"["\u0023\u0023[x]"]"#);
    }

    #[test]
    fn json_keeps_its_meaning() {
        let text = "a\x1b\u{9b}\x7f\u{202e}\u{e0041}\n数";
        let shown = json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert_eq!(
            shown,
            "[\n  \"a\\u001b\\u009b\\u007f\\u202e\\udb40\\udc41\\n数\"\n]"
        );
        assert_eq!(serde_json::from_str::<[String; 1]>(&shown).unwrap(), [text]);
    }

    #[test]
    fn pads_what_is_shown_rather_than_what_was_written() {
        assert_eq!(format!("{:>6}|", Untrusted("\t")), "    \\t|");
    }
}
