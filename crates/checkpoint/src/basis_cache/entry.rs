//! One file of the cache: the key, the basis, and a BLAKE3 hash of both.

use std::io::{self, Read};
use std::path::Path;

use fs_err::File;

use super::{ALGORITHM, BasisKey, CachedBasis};

/// Begins with a byte that no text has; the last is the version.
const MAGIC: [u8; 8] = *b"\x89tlbas\n\x01";
/// Far more than the largest basis has: rank 255 of 100,000 columns is 204 MB.
const MAX_BYTES: u64 = 1 << 28;
const HASH_BYTES: usize = 32;

/// Why a file of the cache is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The trailing hash is not that of the rest.
    #[error("the file is damaged")]
    Damaged,
    /// It is whole, but of another algorithm, base, module or rank, or of another version.
    #[error("the file belongs to another basis")]
    Foreign,
    /// It is larger than any basis.
    #[error("the file has {0} bytes, more than any basis")]
    TooLarge(u64),
    /// It cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
}

/// Everything up to the basis: what an entry must begin with.
fn preamble(key: &BasisKey<'_>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for text in [ALGORITHM, key.module] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(key.base.0);
    bytes.extend(key.columns.to_le_bytes());
    bytes.extend([key.rank, u8::from(key.transposed)]);
    bytes
}

pub(super) fn encode(key: &BasisKey<'_>, basis: &CachedBasis) -> Vec<u8> {
    let mut bytes = preamble(key);
    bytes.extend(basis.passes.to_le_bytes());
    for value in basis.sigma.iter().chain(&basis.v) {
        bytes.extend(value.to_le_bytes());
    }
    let hash = blake3::hash(&bytes);
    bytes.extend(hash.as_bytes());
    bytes
}

/// Reads an entry; `None` if there is no file.
pub(super) fn read(path: &Path, key: &BasisKey<'_>) -> Result<Option<CachedBasis>, Unusable> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let len = file.metadata()?.len();
    if len > MAX_BYTES {
        return Err(Unusable::TooLarge(len));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    decode(&bytes, key).map(Some)
}

fn decode(bytes: &[u8], key: &BasisKey<'_>) -> Result<CachedBasis, Unusable> {
    let (content, hash) = bytes
        .split_last_chunk::<HASH_BYTES>()
        .ok_or(Unusable::Damaged)?;
    if blake3::hash(content) != *hash {
        return Err(Unusable::Damaged);
    }
    let basis = content
        .strip_prefix(preamble(key).as_slice())
        .ok_or(Unusable::Foreign)?;
    let (passes, values) = basis.split_first_chunk::<4>().ok_or(Unusable::Foreign)?;
    let (values, rest) = values.as_chunks::<8>();
    // σ, and then V column by column.
    let wanted = u128::from(key.rank) * (1 + u128::from(key.columns));
    if !rest.is_empty() || values.len() as u128 != wanted {
        return Err(Unusable::Foreign);
    }
    let mut values = values.iter().map(|value| f64::from_le_bytes(*value));
    let sigma = values.by_ref().take(key.rank.into()).collect();
    Ok(CachedBasis {
        sigma,
        v: values.collect(),
        passes: u32::from_le_bytes(*passes),
    })
}
