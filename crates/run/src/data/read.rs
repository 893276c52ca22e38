//! JSONL with a question and its answer, read strictly: a problem that is silently wrong costs a run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use super::{DataError, Problem, Problems};
use crate::config::GoldRule;

/// The most bytes of a line, its end included.
pub const MAX_LINE: usize = 1 << 20;

/// Reads the problems of a file, at most `limit` of them; 0 is all. The digest is that of the whole file.
///
/// # Errors
/// The file cannot be read or has no problems, or a line is not a problem, has an id that an earlier one has, or an empty gold
/// answer.
pub fn read(path: &Path, limit: usize, gold: GoldRule) -> Result<Problems, DataError> {
    read_from(BufReader::new(fs_err::File::open(path)?), path, limit, gold)
}

/// As [`read`], from bytes that were opened already; `file` is for messages.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    mut bytes: impl BufRead,
    file: &Path,
    limit: usize,
    gold: GoldRule,
) -> Result<Problems, DataError> {
    let mut hash = Sha256::new();
    let mut collected = Collected::new(file, gold);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let most = MAX_LINE as u64 + 1;
        bytes.by_ref().take(most).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.len() > MAX_LINE {
            let (file, limit) = (file.to_owned(), MAX_LINE);
            return Err(DataError::TooLong {
                file,
                line: number,
                limit,
            });
        }
        hash.update(&line);
        let full = limit > 0 && collected.problems.len() >= limit;
        if !full && !line.iter().all(u8::is_ascii_whitespace) {
            collected.line(number, &line)?;
        }
    }
    if collected.problems.is_empty() {
        return Err(DataError::NoProblems {
            file: file.to_owned(),
        });
    }
    Ok(Problems {
        problems: collected.problems,
        sha256: hexadecimal(&hash.finalize()),
        ignored: collected.ignored,
    })
}

/// The problems of the lines so far.
struct Collected<'a> {
    file: &'a Path,
    gold: GoldRule,
    problems: Vec<Problem>,
    lines: BTreeMap<String, usize>,
    ignored: BTreeMap<String, usize>,
}

impl<'a> Collected<'a> {
    const fn new(file: &'a Path, gold: GoldRule) -> Self {
        Self {
            file,
            gold,
            problems: Vec::new(),
            lines: BTreeMap::new(),
            ignored: BTreeMap::new(),
        }
    }

    fn line(&mut self, line: usize, bytes: &[u8]) -> Result<(), DataError> {
        let file = || self.file.to_owned();
        let read: Line = serde_json::from_slice(bytes).map_err(|source| DataError::Json {
            file: file(),
            line,
            source,
        })?;
        let answer = gold(&read.answer, self.gold)
            .ok_or_else(|| DataError::NoHashes { file: file(), line })?;
        let id = read.id.unwrap_or_else(|| format!("line-{line}"));
        let fields = [
            ("id", &id),
            ("question", &read.question),
            ("answer", &answer),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(DataError::Empty {
                file: file(),
                line,
                field,
            });
        }
        if let Some(first) = self.lines.insert(id.clone(), line) {
            return Err(DataError::Duplicate {
                file: file(),
                line,
                first,
                id,
            });
        }
        for field in read.ignored {
            *self.ignored.entry(field).or_default() += 1;
        }
        self.problems.push(Problem {
            id,
            question: read.question,
            answer,
        });
        Ok(())
    }
}

/// The gold answer of a field; none where there have to be hashes and are none.
fn gold(answer: &str, rule: GoldRule) -> Option<String> {
    let after = answer
        .rsplit_once("####")
        .map(|(_, gold)| gold.trim().replace(',', ""));
    match rule {
        GoldRule::Whole => Some(answer.trim().to_owned()),
        GoldRule::Hashes => after,
        GoldRule::Auto => Some(after.unwrap_or_else(|| answer.trim().to_owned())),
    }
}

/// A line as it stands in the file.
struct Line {
    id: Option<String>,
    question: String,
    answer: String,
    ignored: Vec<String>,
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Line;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with question and answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let (mut id, mut question, mut answer) = (None, None, None);
        let mut ignored = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let field = match key.as_str() {
                "id" => &mut id,
                "question" => &mut question,
                "answer" => &mut answer,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    ignored.push(key);
                    continue;
                }
            };
            if field.is_some() {
                return Err(A::Error::custom(format_args!("{key} stands there twice")));
            }
            *field = Some(map.next_value::<Text>()?.0);
        }
        ignored.sort_unstable();
        ignored.dedup();
        Ok(Line {
            id,
            question: question.ok_or_else(|| A::Error::missing_field("question"))?,
            answer: answer.ok_or_else(|| A::Error::missing_field("answer"))?,
            ignored,
        })
    }
}

/// A text, or a whole number as a text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }
}

/// Bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
