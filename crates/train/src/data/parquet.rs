//! Parquet, the format of data sets on the hub: columns `question` and `answer`, and `id` if there is one.

use std::path::Path;

use super::Lines;
use crate::TrainError;

#[cfg(not(feature = "parquet"))]
pub(super) fn read(path: &Path, _limit: usize) -> Result<Lines, TrainError> {
    Err(TrainError::NoParquet {
        file: path.to_owned(),
    })
}

#[cfg(feature = "parquet")]
pub(super) fn read(path: &Path, limit: usize) -> Result<Lines, TrainError> {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use sha2::{Digest, Sha256};

    let bytes = fs_err::read(path)?;
    let sha256 = super::hexadecimal(&Sha256::digest(&bytes));
    // The library checks what it reads, and where it does not, a damaged file must not end the program.
    let read = catch_unwind(AssertUnwindSafe(|| rows::read(bytes, limit)));
    let read = read.unwrap_or_else(|_| Err((0, "the file is damaged".to_owned())));
    let lines = read.map_err(|(line, reason)| TrainError::Data {
        file: path.to_owned(),
        line,
        reason,
    })?;
    Ok(Lines { lines, sha256 })
}

#[cfg(feature = "parquet")]
mod rows {
    use bytes::Bytes;
    use parquet::errors::ParquetError;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, Row};

    use crate::data::Line;

    /// The number of a row, and what is wrong with it.
    type Fault = (usize, String);

    pub(super) fn read(bytes: Vec<u8>, limit: usize) -> Result<Vec<(usize, Line)>, Fault> {
        let at = |row: usize| move |error: ParquetError| (row, error.to_string());
        let file = SerializedFileReader::new(Bytes::from(bytes)).map_err(at(0))?;
        let rows = file.get_row_iter(None).map_err(at(0))?;
        let wanted = match limit {
            0 => usize::MAX,
            limit => limit,
        };
        let mut lines = Vec::new();
        for (number, row) in (1..).zip(rows.take(wanted)) {
            let row = row.map_err(at(number))?;
            lines.push((number, line(&row).map_err(|reason| (number, reason))?));
        }
        Ok(lines)
    }

    fn line(row: &Row) -> Result<Line, String> {
        let (mut id, mut question, mut answer, mut other) = (None, None, None, Vec::new());
        for (name, field) in row.get_column_iter() {
            match (name.as_str(), field) {
                ("id", Field::Null) => {}
                ("id", Field::Str(text)) => id = Some(text.clone()),
                ("id", Field::Int(_) | Field::Long(_) | Field::UInt(_) | Field::ULong(_)) => {
                    id = Some(field.to_string());
                }
                ("question", Field::Str(text)) => question = Some(text.clone()),
                ("answer", Field::Str(text)) => answer = Some(text.clone()),
                ("id" | "question" | "answer", _) => {
                    return Err(format!("the column {name} is not text"));
                }
                _ => other.push(name.clone()),
            }
        }
        let missing = |name: &str| format!("there is no column {name}");
        Ok(Line {
            id,
            question: question.ok_or_else(|| missing("question"))?,
            answer: answer.ok_or_else(|| missing("answer"))?,
            other,
        })
    }
}
