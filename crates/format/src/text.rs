//! Free text: spec §4.7, R33 and R34.

use std::collections::BTreeMap;

use crate::codes::Code;
use crate::cursor::Cursor;
use crate::{ParseError, TextKey};

/// Reads the text section.
pub(crate) fn parse(mut content: Cursor<'_>) -> Result<BTreeMap<TextKey, String>, ParseError> {
    if content.left() == 0 {
        return Err(ParseError::NoText {
            offset: content.offset(),
        });
    }
    let mut entries = Vec::new();
    let mut least = TextKey::FIRST;
    while content.left() > 0 {
        let entry = next_entry(&mut content, least)?;
        least = entry.key.code().saturating_add(1);
        entries.push(entry);
    }
    // R34 is about all texts and comes after R33 for all.
    for &Entry { offset, text, .. } in &entries {
        if let Some(found) = text.chars().find(|&character| is_forbidden(character)) {
            return Err(ParseError::TextCharacter { offset, found });
        }
    }
    Ok(entries
        .into_iter()
        .map(|entry| (entry.key, entry.text.to_owned()))
        .collect())
}

struct Entry<'a> {
    key: TextKey,
    text: &'a str,
    /// Where its key is.
    offset: usize,
}

/// R33.
fn next_entry<'a>(content: &mut Cursor<'a>, least: u8) -> Result<Entry<'a>, ParseError> {
    let (offset, found) = (content.offset(), content.left());
    let too_long = |wanted| ParseError::TextLength {
        offset,
        found,
        wanted,
    };
    let (Some(code), Some(length)) = (content.u8(), content.u16()) else {
        return Err(too_long(3));
    };
    let key = TextKey::from_code(code).filter(|_| code >= least);
    let key = key.ok_or(ParseError::TextKey {
        offset,
        found: code,
        least,
    })?;
    let start = content.offset();
    let length = usize::from(length);
    let bytes = content
        .take(length)
        .ok_or_else(|| too_long(length.saturating_add(3)))?;
    if bytes.is_empty() {
        return Err(ParseError::EmptyText { offset });
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(Entry { key, text, offset }),
        Err(error) => Err(ParseError::TextEncoding {
            offset,
            invalid_from: start.saturating_add(error.valid_up_to()),
        }),
    }
}

/// Controls, and what makes text invisible or reorders it, so that what is shown is what is there.
const fn is_forbidden(character: char) -> bool {
    matches!(character,
        '\0'..='\x09' | '\x0B'..='\x1F' | '\x7F'..='\u{9F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// The content of the section.
pub(crate) fn write(text: &BTreeMap<TextKey, String>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, text) in text {
        out.push(key.code());
        out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(text.as_bytes());
    }
    out
}
