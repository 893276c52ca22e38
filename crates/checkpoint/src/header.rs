//! The header of a safetensors file, read strictly (spec §9, C1-C8).
//!
//! The JSON is read entry by entry into values of bounded size, so that a hostile header costs some times its own bytes
//! of memory and no more, and so that a repeated key is seen: a map type would keep the last one silently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::checkpoint::TensorInfo;
use crate::error::HeaderError;
use crate::{Dtype, loose::Loose};

/// The longest header that is valid (C1).
pub(crate) const MAX_HEADER: u64 = 100_000_000;
/// The longest header that this program reads. A tensor of 50 bytes there takes some 500 of memory, so that what C1 allows
/// would be a gigabyte; the single files of public models have headers of some 100 kB.
pub(crate) const MAX_READ: u64 = 12_000_000;
/// Bytes of the header length.
pub(crate) const LENGTH_BYTES: u64 = 8;

/// The header length that the first bytes of a file give, checked against the length of the file (C1).
pub(crate) fn header_length(first: [u8; 8], file: u64) -> Result<u64, HeaderError> {
    let header = u64::from_le_bytes(first);
    if header > MAX_HEADER {
        return Err(HeaderError::TooLong(header));
    }
    if LENGTH_BYTES + header > file {
        return Err(HeaderError::Truncated { header, file });
    }
    Ok(header)
}

/// The tensors of a header; `file` is the length of the whole file and `shard` the number to give them (C2-C8).
pub(crate) fn parse_header(
    header: &[u8],
    file: u64,
    shard: usize,
) -> Result<Vec<TensorInfo>, HeaderError> {
    let text = str::from_utf8(header)
        .map_err(HeaderError::Utf8)?
        .trim_end_matches(' ');
    if !text.starts_with('{') || !text.ends_with('}') {
        return Err(HeaderError::NotAnObject);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = json
        .deserialize_map(HeaderVisitor)
        .map_err(HeaderError::Json)?;
    json.end().map_err(HeaderError::Json)?;
    let data = LENGTH_BYTES + header.len() as u64;
    place(parsed?, data, file, shard)
}

/// A tensor as its header entry gives it.
struct Entry {
    dtype: Dtype,
    shape: Vec<u64>,
    begin: u64,
    end: u64,
}

/// Reads the header to its end, whatever it holds: bad JSON (C2) is reported before what the JSON says.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Result<BTreeMap<String, Entry>, HeaderError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        let mut metadata_seen = false;
        while let Some(key) = map.next_key::<String>()? {
            let repeated = if key == METADATA {
                metadata_seen
            } else {
                entries.contains_key(&key)
            };
            let fault = if repeated {
                map.next_value::<IgnoredAny>()?;
                Some(HeaderError::Duplicate {
                    key,
                    place: "the header".to_owned(),
                })
            } else if key == METADATA {
                metadata_seen = true;
                check_metadata(&map.next_value_seed(Loose::up_to(MAX_METADATA))?).err()
            } else {
                match entry(&key, map.next_value_seed(Loose::bounded())?) {
                    Ok(entry) => entries.insert(key, entry).and(None),
                    Err(fault) => Some(fault),
                }
            };
            if let Some(fault) = fault {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                return Ok(Err(fault));
            }
        }
        Ok(Ok(entries))
    }
}

const METADATA: &str = "__metadata__";
/// The spec has no bound. Public models have a few entries.
const MAX_METADATA: usize = 1 << 18;

fn check_metadata(value: &Loose) -> Result<(), HeaderError> {
    let wanted = |wanted| HeaderError::Entry {
        entry: METADATA.to_owned(),
        wanted,
    };
    let Loose::Object(pairs) = value else {
        return Err(wanted("an object"));
    };
    if pairs.len() >= MAX_METADATA {
        return Err(wanted("fewer than 262144 entries"));
    }
    let mut keys = BTreeSet::new();
    for (key, value) in pairs {
        if !keys.insert(key) {
            return Err(HeaderError::Duplicate {
                key: key.clone(),
                place: METADATA.to_owned(),
            });
        }
        if !matches!(value, Loose::Text(_)) {
            return Err(wanted("strings as values"));
        }
    }
    Ok(())
}

fn entry(name: &str, value: Loose) -> Result<Entry, HeaderError> {
    if !is_valid_name(name) {
        return Err(HeaderError::Name(name.to_owned()));
    }
    let wanted = |wanted| HeaderError::Entry {
        entry: name.to_owned(),
        wanted,
    };
    let Loose::Object(pairs) = value else {
        return Err(wanted("an object"));
    };
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    for (key, value) in pairs {
        let field = match key.as_str() {
            "dtype" => &mut dtype,
            "shape" => &mut shape,
            "data_offsets" => &mut offsets,
            _ => return Err(wanted("dtype, shape and data_offsets only")),
        };
        if field.replace(value).is_some() {
            return Err(HeaderError::Duplicate {
                key,
                place: name.to_owned(),
            });
        }
    }
    let Some(Loose::Text(dtype)) = dtype else {
        return Err(wanted("a dtype that is a string"));
    };
    let Some(Loose::Numbers(shape)) = shape else {
        return Err(wanted("a shape that is an array of unsigned integers"));
    };
    let Some(Loose::Numbers(offsets)) = offsets else {
        return Err(wanted("data_offsets that are unsigned integers"));
    };
    let &[begin, end] = offsets.as_slice() else {
        return Err(wanted("two data_offsets"));
    };
    let Some(dtype) = Dtype::from_name(&dtype) else {
        return Err(HeaderError::Dtype {
            tensor: name.to_owned(),
            dtype,
        });
    };
    let bytes = byte_size(dtype, &shape);
    if bytes.is_none() || bytes != end.checked_sub(begin) {
        return Err(HeaderError::Shape {
            tensor: name.to_owned(),
            dtype,
            shape,
            begin,
            end,
        });
    }
    Ok(Entry {
        dtype,
        shape,
        begin,
        end,
    })
}

/// Whether a tensor may have that name (C8).
pub(crate) fn is_valid_name(name: &str) -> bool {
    (1..=512).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Bytes of a tensor, if it has at most 8 dimensions and 64 bits can count them (C6).
///
/// Dimensions of 0 are left out of the overflow check, so that it does not depend on their place.
pub(crate) fn byte_size(dtype: Dtype, shape: &[u64]) -> Option<u64> {
    if shape.len() > 8 {
        return None;
    }
    let others = shape.iter().filter(|&&dimension| dimension != 0);
    let bytes = others.copied().try_fold(dtype.size(), u64::checked_mul)?;
    Some(if shape.contains(&0) { 0 } else { bytes })
}

/// Checks that the tensors fill the data without gap or overlap (C7).
fn place(
    entries: BTreeMap<String, Entry>,
    data: u64,
    file: u64,
    shard: usize,
) -> Result<Vec<TensorInfo>, HeaderError> {
    let mut sorted: Vec<_> = entries.into_iter().collect();
    sorted.sort_by_key(|(_, entry)| (entry.begin, entry.end));
    let mut wanted = 0;
    let mut tensors = Vec::with_capacity(sorted.len());
    for (
        name,
        Entry {
            dtype,
            shape,
            begin,
            end,
        },
    ) in sorted
    {
        if begin != wanted {
            return Err(HeaderError::Layout {
                tensor: name,
                found: begin,
                wanted,
            });
        }
        wanted = end;
        // An offset past the file is found below, before anything is read.
        let offset = data.saturating_add(begin);
        tensors.push(TensorInfo {
            name,
            dtype,
            shape,
            shard,
            offset,
            bytes: end - begin,
        });
    }
    let found = file - data;
    if found != wanted {
        return Err(HeaderError::Layout {
            tensor: "the end of the file".to_owned(),
            found,
            wanted,
        });
    }
    Ok(tensors)
}
