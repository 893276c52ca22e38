//! Names and shapes of a safetensors file, checked against its length. Values are not read.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use fs_err::File;
use serde::Deserialize;
use serde_json::Value;

use crate::MergedError;

/// What the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// The shape of each tensor.
pub(crate) type Shapes = BTreeMap<String, Vec<u64>>;

#[derive(Deserialize)]
struct Tensor {
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

pub(crate) fn shapes(path: &Path) -> Result<Shapes, MergedError> {
    let broken = |reason: &'static str| MergedError::File {
        path: path.to_owned(),
        reason,
    };
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix)
        .map_err(|_short| broken("it is shorter than 8 bytes"))?;
    let header = u64::from_le_bytes(prefix);
    if header > MAX_HEADER || header.saturating_add(8) > length {
        return Err(broken("its header is longer than it"));
    }
    let mut text = Vec::new();
    file.take(header).read_to_end(&mut text)?;
    let parsed: BTreeMap<String, Value> =
        serde_json::from_slice(&text).map_err(|_error| broken("its header is not JSON"))?;
    let (mut end, mut shapes) = (0, Shapes::new());
    for (name, value) in parsed {
        if name == "__metadata__" {
            continue;
        }
        let tensor: Tensor = serde_json::from_value(value)
            .map_err(|_error| broken("its header has what is no tensor"))?;
        end = end.max(tensor.data_offsets[1]);
        shapes.insert(name, tensor.shape);
    }
    if header.saturating_add(8).saturating_add(end) != length {
        return Err(broken("it is longer or shorter than its tensors"));
    }
    Ok(shapes)
}
