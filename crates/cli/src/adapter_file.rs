//! Reading `.tlora` files.

use std::path::{Path, PathBuf};

use tlora_format::{Adapter, ReadError};

use crate::explain::not_an_adapter;
use crate::failure::Failure;
use crate::input;

/// Reads an adapter, and no more bytes than one can have.
pub(crate) fn read(path: &Path) -> Result<Adapter, Failure> {
    let failed =
        |error| Failure::unknown(format!("{} cannot be read", path.display())).caused_by(error);
    let file = input::open_adapter(path).map_err(failed)?;
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
