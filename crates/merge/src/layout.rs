//! The shards of a merged checkpoint: the base's, each with the same tensors, some with another type (spec §10).

use std::collections::BTreeMap;

use tlora_basis::WeightDtype;
use tlora_checkpoint::tmd1::{Leaf, TensorLeaf, root};
use tlora_checkpoint::{Checkpoint, Dtype, ShardLayout, TensorInfo, index_json};
use tlora_format::BaseDigest;
use tlora_rebuild::{AdaptedModule, tensor_dtype};

use crate::MergeError;

/// Where every tensor goes.
pub(crate) struct Layout {
    /// In the order of the base's shards.
    pub(crate) shards: Vec<ShardLayout>,
    /// The types of the adapted tensors, by tensor name.
    pub(crate) adapted: BTreeMap<String, WeightDtype>,
}

impl Layout {
    pub(crate) fn new<'a>(
        checkpoint: &Checkpoint,
        modules: impl IntoIterator<Item = &'a AdaptedModule>,
        dtype: Option<WeightDtype>,
    ) -> Result<Self, MergeError> {
        let output = |module: &AdaptedModule| dtype.unwrap_or(module.weight.dtype);
        let adapted: BTreeMap<String, WeightDtype> = modules
            .into_iter()
            .map(|module| (module.weight.tensor.name.clone(), output(module)))
            .collect();
        let mut tensors: Vec<Vec<&TensorInfo>> =
            checkpoint.shards().iter().map(|_| Vec::new()).collect();
        for tensor in checkpoint.tensors().values() {
            tensors[tensor.shard].push(tensor);
        }
        let shards = tensors.iter().map(|tensors| {
            let tensors = tensors.iter();
            ShardLayout::new(tensors.map(|&tensor| {
                (
                    tensor.name.as_str(),
                    dtype_of(&adapted, tensor),
                    &*tensor.shape,
                )
            }))
        });
        let shards = shards.collect::<Result<_, _>>()?;
        Ok(Self { shards, adapted })
    }

    /// The type of a tensor in the merged checkpoint.
    pub(crate) fn dtype(&self, tensor: &TensorInfo) -> Dtype {
        dtype_of(&self.adapted, tensor)
    }

    /// Bytes of all shards.
    pub(crate) fn bytes(&self) -> u64 {
        self.shards.iter().map(ShardLayout::file_len).sum()
    }

    /// The digest of the merged checkpoint, from the leaves of its tensors.
    pub(crate) fn digest(
        &self,
        checkpoint: &Checkpoint,
        leaf: impl Fn(&TensorInfo) -> Leaf,
    ) -> BaseDigest {
        root(checkpoint.tensors().values().map(|tensor| {
            let dtype = self.dtype(tensor);
            let bytes = tensor.bytes / tensor.dtype.size() * dtype.size();
            TensorLeaf {
                name: &tensor.name,
                dtype,
                shape: &tensor.shape,
                bytes,
                leaf: leaf(tensor),
            }
        }))
    }

    /// The bytes of the index of the shards.
    pub(crate) fn index(&self, checkpoint: &Checkpoint) -> Vec<u8> {
        let shard = |tensor: &TensorInfo| checkpoint.shards()[tensor.shard].name().to_owned();
        let map = checkpoint
            .tensors()
            .iter()
            .map(|(name, tensor)| (name.clone(), shard(tensor)))
            .collect();
        let data = self
            .shards
            .iter()
            .map(|shard| shard.file_len() - shard.header().len() as u64);
        index_json(&map, data.sum())
    }
}

fn dtype_of(adapted: &BTreeMap<String, WeightDtype>, tensor: &TensorInfo) -> Dtype {
    adapted
        .get(&tensor.name)
        .map_or(tensor.dtype, |&dtype| tensor_dtype(dtype))
}
