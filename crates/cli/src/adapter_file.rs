//! Reading `.tlora` files.

use std::path::{Path, PathBuf};

use tlora_format::{Adapter, ReadError};

use crate::explain::not_an_adapter;
use crate::failure::Failure;
use crate::input;

/// The format lets factors take 4 GiB. A file of them that is larger than this is larger than any LoRA.
const MAX_BYTES: u64 = 1 << 28;

/// Reads an adapter, and no more bytes than one can have.
pub(crate) fn read(path: &Path) -> Result<Adapter, Failure> {
    let failed =
        |error| Failure::unknown(format!("{} cannot be read", path.display())).caused_by(error);
    let file = input::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_BYTES {
        return Err(Failure::unknown(format!(
            "{} has {length} bytes; at most {MAX_BYTES} are read",
            path.display()
        )));
    }
    match Adapter::read_from(file) {
        Ok(adapter) => Ok(adapter),
        Err(ReadError::Parse(error)) => Err(not_an_adapter(path, error)),
        Err(ReadError::Io(error)) => Err(failed(error)),
        Err(error) => {
            Err(Failure::unknown(format!("{} cannot be read", path.display())).caused_by(error))
        }
    }
}

/// Reads several.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Adapter>, Failure> {
    paths.iter().map(|path| read(path)).collect()
}
