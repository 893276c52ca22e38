//! Where the tensors of a merged shard go, and the bytes of its header (spec §10).
//!
//! The layout is known before any tensor is, so that a file can be given its length at once and written in any order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::Dtype;
use crate::header::{LENGTH_BYTES, MAX_HEADER, byte_size, is_valid_name};

/// The header of a shard and the place of each of its tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLayout {
    header: Vec<u8>,
    slots: BTreeMap<String, Slot>,
    file_len: u64,
}

/// The place of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where its data begins, from the first byte of the file.
    pub offset: u64,
    /// The size of its data in bytes.
    pub bytes: u64,
}

/// Why tensors cannot be laid out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The name is reserved or breaks C8.
    #[error("{0:?} cannot be the name of a tensor")]
    Name(String),
    /// Two tensors of one name.
    #[error("the tensor {0:?} occurs twice")]
    Duplicate(String),
    /// The shape breaks C6, or the file would be larger than 64 bits can say.
    #[error("the tensor {name:?} of {dtype} {shape:?} is too large")]
    Size {
        /// The tensor.
        name: String,
        /// Its dtype.
        dtype: Dtype,
        /// Its dimensions.
        shape: Vec<u64>,
    },
    /// The header breaks C1.
    #[error("the header would have {0} bytes; at most 100000000 can be read")]
    Header(u64),
}

impl ShardLayout {
    /// Lays out tensors given in any order; equal sets of tensors give equal bytes.
    ///
    /// # Errors
    /// The tensors could not be read back by the rules of spec §9.
    pub fn new<'a>(
        tensors: impl IntoIterator<Item = (&'a str, Dtype, &'a [u64])>,
    ) -> Result<Self, LayoutError> {
        let mut tensors: Vec<_> = tensors.into_iter().collect();
        tensors.sort_by_key(|&(name, dtype, _)| (Reverse(dtype.size()), name));
        let mut json = r#"{"__metadata__":{"format":"pt"}"#.to_owned();
        let mut slots = BTreeMap::new();
        let mut begin = 0;
        for (name, dtype, shape) in tensors {
            if name == "__metadata__" || !is_valid_name(name) {
                return Err(LayoutError::Name(name.to_owned()));
            }
            let end = byte_size(dtype, shape).and_then(|bytes| end_of(begin, bytes));
            let Some(end) = end else {
                return Err(LayoutError::Size {
                    name: name.to_owned(),
                    dtype,
                    shape: shape.to_vec(),
                });
            };
            if slots
                .insert(
                    name.to_owned(),
                    Slot {
                        offset: begin,
                        bytes: end - begin,
                    },
                )
                .is_some()
            {
                return Err(LayoutError::Duplicate(name.to_owned()));
            }
            push_entry(&mut json, name, dtype, shape, [begin, end]);
            begin = end;
        }
        json.push('}');
        finish(json, slots, begin)
    }

    /// The first bytes of the file: the header length and the header.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The place of each tensor, by name.
    pub const fn slots(&self) -> &BTreeMap<String, Slot> {
        &self.slots
    }

    /// The length of the file in bytes.
    pub const fn file_len(&self) -> u64 {
        self.file_len
    }
}

/// Where data that begins at `begin` ends, if an offset behind the longest header still fits in 63 bits, as files do.
fn end_of(begin: u64, bytes: u64) -> Option<u64> {
    const LIMIT: u64 = i64::MAX.unsigned_abs() - LENGTH_BYTES - MAX_HEADER;
    begin.checked_add(bytes).filter(|&end| end <= LIMIT)
}

fn push_entry(json: &mut String, name: &str, dtype: Dtype, shape: &[u64], offsets: [u64; 2]) {
    let name = name.replace('\\', r"\\").replace('"', r#"\""#);
    let list = |numbers: &[u64]| {
        numbers
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",")
    };
    let (shape, offsets) = (list(shape), list(&offsets));
    json.push_str(&format!(
        r#","{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}"#
    ));
}

/// Pads the header and moves the slots behind it.
fn finish(
    mut json: String,
    mut slots: BTreeMap<String, Slot>,
    data: u64,
) -> Result<ShardLayout, LayoutError> {
    while !json.len().is_multiple_of(8) {
        json.push(' ');
    }
    let length = json.len() as u64;
    if length > MAX_HEADER {
        return Err(LayoutError::Header(length));
    }
    let start = LENGTH_BYTES + length;
    for slot in slots.values_mut() {
        slot.offset += start;
    }
    let header = [&length.to_le_bytes(), json.as_bytes()].concat();
    Ok(ShardLayout {
        header,
        slots,
        file_len: start + data,
    })
}

/// The bytes of `model.safetensors.index.json`: the shard of each tensor, and the size of all their data.
pub fn index_json(weight_map: &BTreeMap<String, String>, total_size: u64) -> Vec<u8> {
    let index =
        serde_json::json!({ "metadata": { "total_size": total_size }, "weight_map": weight_map });
    format!("{index:#}\n").into_bytes()
}
