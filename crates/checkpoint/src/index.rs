//! `model.safetensors.index.json`, read strictly (spec §9).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::checkpoint::TensorInfo;
use crate::error::IndexError;

/// The most bytes of an index; the largest public models, of a trillion parameters, have some 20 MB.
pub(crate) const MAX_BYTES: u64 = 50_000_000;
/// The most tensors of an index, which bounds the memory for them; those models have some 140,000.
const MAX_TENSORS: usize = 1 << 19;

/// Which shard has which tensor.
pub(crate) struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, IndexError> {
        let IndexFile {
            weight_map: UniqueMap(weight_map),
        } = serde_json::from_slice(json).map_err(IndexError::Json)?;
        if weight_map.is_empty() {
            return Err(IndexError::Empty);
        }
        match weight_map.values().find(|name| !is_file_name(name)) {
            Some(name) => Err(IndexError::ShardName(name.clone())),
            None => Ok(Self { weight_map }),
        }
    }

    /// The shards, sorted by name, each once.
    pub(crate) fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Checks that the shards, in the order of [`Self::shards`], have exactly the tensors that the index gives them.
    pub(crate) fn check(&self, shards: &[Vec<TensorInfo>]) -> Result<(), IndexError> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (shard, tensors) in self.shards().into_iter().zip(shards) {
            for TensorInfo { name, .. } in tensors {
                if let Some(first) = seen.insert(name, shard) {
                    return Err(IndexError::Double {
                        tensor: name.clone(),
                        first: first.to_owned(),
                        second: shard.to_owned(),
                    });
                }
            }
        }
        for (tensor, shard) in &self.weight_map {
            if seen.get(tensor.as_str()) != Some(&shard.as_str()) {
                return Err(IndexError::Missing {
                    tensor: tensor.clone(),
                    shard: shard.clone(),
                });
            }
        }
        match seen
            .into_iter()
            .find(|(tensor, _)| !self.weight_map.contains_key(*tensor))
        {
            Some((tensor, shard)) => Err(IndexError::Extra {
                tensor: tensor.to_owned(),
                shard: shard.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

/// Other members (`metadata`) carry nothing that is used.
#[derive(serde::Deserialize)]
struct IndexFile {
    weight_map: UniqueMap,
}

/// A map that refuses repeated keys, where serde's own would keep the last.
struct UniqueMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for UniqueMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueMapVisitor).map(Self)
    }
}

struct UniqueMapVisitor;

impl<'de> Visitor<'de> for UniqueMapVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from tensor names to file names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
            if pairs.contains_key(&tensor) {
                return Err(A::Error::custom(format_args!(
                    "tensor {tensor:?} occurs twice"
                )));
            }
            if pairs.len() == MAX_TENSORS {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_TENSORS} tensors"
                )));
            }
            pairs.insert(tensor, shard);
        }
        Ok(pairs)
    }
}
