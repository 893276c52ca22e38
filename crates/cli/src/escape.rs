//! Text that others wrote, made safe to show on a terminal.

use std::fmt;

/// Shows a name, a path or free text with every character escaped that could move the cursor, hide text or reverse
/// its direction, so that a hostile file cannot forge what `tlora` says.
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
        escaped.0
    }
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
    escaped
}

/// Whether a character shows as itself: no control, no invisible or direction-changing formatting character.
fn is_harmless(character: char) -> bool {
    !(character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
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
