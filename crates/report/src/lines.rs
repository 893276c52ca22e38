//! Lines of JSON: a last line without its newline was cut off and does not count; anything else has to parse.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::ReportError;

/// Bytes of a line at most; the run directory's definition has the same number.
const LIMIT: usize = 1 << 20;

/// Calls `each` with the number and the text of every complete line. A file that is not there has none.
pub(crate) fn each_line(
    path: &Path,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::new(file);
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        (&mut reader)
            .take(LIMIT as u64 + 1)
            .read_until(b'\n', &mut text)?;
        if text.pop_if(|last| *last == b'\n').is_none() {
            if text.len() > LIMIT {
                return Err(ReportError::LineTooLong {
                    path: path.to_owned(),
                    line,
                    limit: LIMIT,
                });
            }
            break;
        }
        each(line, &text)?;
    }
    Ok(())
}

/// A line as a record.
pub(crate) fn parse<T: DeserializeOwned>(
    path: &Path,
    line: usize,
    text: &[u8],
) -> Result<T, ReportError> {
    serde_json::from_slice(text).map_err(|source| ReportError::Json {
        path: path.to_owned(),
        line,
        source,
    })
}

/// All records of a file whose steps never fall.
pub(crate) fn records<T: DeserializeOwned>(
    path: &Path,
    step: impl Fn(&T) -> u64,
) -> Result<Vec<T>, ReportError> {
    let mut found: Vec<T> = Vec::new();
    each_line(path, |line, text| {
        let record: T = parse(path, line, text)?;
        let before = found.last().map_or(0, &step);
        if step(&record) < before {
            return Err(ReportError::StepOrder {
                path: path.to_owned(),
                line,
                before,
                found: step(&record),
            });
        }
        found.push(record);
        Ok(())
    })?;
    Ok(found)
}
