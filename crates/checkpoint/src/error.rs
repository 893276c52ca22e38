//! What can be wrong with a checkpoint.

use std::io;
use std::path::PathBuf;

use crate::{Dtype, Quantisation};

/// Why a checkpoint cannot be read or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The path is not a directory.
    #[error("{} is not a directory; a checkpoint is a directory with model.safetensors in it", .0.display())]
    NotADirectory(PathBuf),
    /// There are no weights in the directory.
    #[error("{} has neither model.safetensors nor model.safetensors.index.json", .0.display())]
    NoWeights(PathBuf),
    /// A FIFO, a device or a directory stands where a file is wanted.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A link leads out of the checkpoint, and not into the blobs of the Hugging Face cache.
    #[error("{} links to {}, outside the checkpoint", path.display(), target.display())]
    LinkOutside {
        /// The link.
        path: PathBuf,
        /// The file it leads to.
        target: PathBuf,
    },
    /// A file breaks a rule of spec §9.
    #[error("{} is not a valid safetensors file", file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// The broken rule.
        #[source]
        fault: HeaderError,
    },
    /// The index contradicts itself or the shards.
    #[error("{} does not describe its shards", file.display())]
    Index {
        /// The index file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        fault: IndexError,
    },
    /// A JSON file beside the weights cannot be parsed.
    #[error("{} is not valid JSON", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A JSON file, or the JSON header of a safetensors file, is larger than any that a checkpoint needs.
    #[error("the JSON of {} has {found} bytes; at most {limit} are read", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// A file of the Hugging Face cache is not the one that the name of its blob says.
    #[error("{} is the blob {claimed} of the Hugging Face cache, and its sha256 is {found}", file.display())]
    Blob {
        /// The file.
        file: PathBuf,
        /// The name of the blob, a sha256.
        claimed: String,
        /// The sha256 of its bytes.
        found: String,
    },
    /// A file was written to between opening and the end of reading.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// A read reaches past the end of a tensor.
    #[error("tensor {tensor} has {bytes} bytes; cannot read {len} bytes from offset {offset}")]
    PastTensor {
        /// The tensor.
        tensor: String,
        /// Its size in bytes.
        bytes: u64,
        /// Where the read begins, from the first byte of the tensor.
        offset: u64,
        /// How long it is.
        len: usize,
    },
    /// The checkpoint's weights are not what an adapter can be applied to.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Input or output failed; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The rule of spec §9 that a safetensors file breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// C1: the header does not fit in the file.
    #[error("C1: the header of {header} bytes does not fit in a file of {file} bytes")]
    Truncated {
        /// The header length that the file gives.
        header: u64,
        /// The length of the file.
        file: u64,
    },
    /// C1: no header length at all.
    #[error("C1: the file has {0} bytes, fewer than the 8 of the header length")]
    NoLength(u64),
    /// C1: the header is longer than a reader accepts.
    #[error("C1: the header has {0} bytes; at most 100000000 are allowed")]
    TooLong(u64),
    /// C2: not UTF-8.
    #[error("C2: the header is not UTF-8")]
    Utf8(#[source] std::str::Utf8Error),
    /// C2: something other than one object and spaces.
    #[error(
        "C2: the header does not begin with an opening brace and end with a closing one and spaces"
    )]
    NotAnObject,
    /// C2: broken JSON.
    #[error("C2: the header is not valid JSON")]
    Json(#[source] serde_json::Error),
    /// C3: a key occurs twice.
    #[error("C3: the key {key:?} occurs twice in {place}")]
    Duplicate {
        /// The key.
        key: String,
        /// `the header`, `__metadata__` or the tensor's name.
        place: String,
    },
    /// C4: an entry has another form than `dtype`, `shape`, `data_offsets`.
    #[error("C4: {entry:?}: wanted {wanted}")]
    Entry {
        /// The tensor's name or `__metadata__`.
        entry: String,
        /// What should stand there.
        wanted: &'static str,
    },
    /// C5: an unknown dtype.
    #[error("C5: tensor {tensor:?} has the unknown dtype {dtype:?}")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// The dtype as written.
        dtype: String,
    },
    /// C6: too many dimensions, or a size that is not that of the data.
    #[error(
        "C6: tensor {tensor:?} of {dtype} {shape:?} does not have the size of its data, {begin}..{end}"
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its dtype.
        dtype: Dtype,
        /// The dimensions (no more than nine).
        shape: Vec<u64>,
        /// First offset of the data.
        begin: u64,
        /// The offset after the data.
        end: u64,
    },
    /// C7: a gap, an overlap or trailing bytes.
    #[error("C7: {tensor:?} begins at {found}; the data before it ends at {wanted}")]
    Layout {
        /// The tensor, or `the end of the file`.
        tensor: String,
        /// Where it begins.
        found: u64,
        /// Where it should begin.
        wanted: u64,
    },
    /// C8: an empty or overlong name, or one with control characters.
    #[error("C8: the tensor name {0:?} is empty, longer than 512 bytes or has a control character")]
    Name(String),
}

impl HeaderError {
    /// The id of the rule in spec §9, and its failure class.
    pub const fn rule(&self) -> (&'static str, &'static str) {
        match self {
            Self::Truncated { .. } | Self::NoLength(_) | Self::TooLong(_) => ("C1", "truncated"),
            Self::Utf8(_) | Self::NotAnObject | Self::Json(_) => ("C2", "json"),
            Self::Duplicate { .. } => ("C3", "duplicate"),
            Self::Entry { .. } => ("C4", "entry"),
            Self::Dtype { .. } => ("C5", "dtype"),
            Self::Shape { .. } => ("C6", "shape"),
            Self::Layout { .. } => ("C7", "layout"),
            Self::Name(_) => ("C8", "name"),
        }
    }
}

/// Why an index file is refused (spec §9, last paragraph).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// Not the JSON of an index, or a key occurs twice.
    #[error("wanted an object with weight_map, from tensor names to file names")]
    Json(#[source] serde_json::Error),
    /// It names no shard.
    #[error("weight_map is empty")]
    Empty,
    /// The file name could lead out of the directory.
    #[error("{0:?} is not the name of a file in the directory of the index")]
    ShardName(String),
    /// The named shard does not have the tensor.
    #[error("tensor {tensor:?} is not in {shard}, where the index places it")]
    Missing {
        /// The tensor.
        tensor: String,
        /// The shard that the index names.
        shard: String,
    },
    /// A shard has a tensor that the index does not place there.
    #[error("{shard} has the tensor {tensor:?}, which the index does not place there")]
    Extra {
        /// The tensor.
        tensor: String,
        /// The shard that has it.
        shard: String,
    },
    /// Two shards have the same tensor.
    #[error("tensor {tensor:?} is in both {first} and {second}")]
    Double {
        /// The tensor.
        tensor: String,
        /// One shard.
        first: String,
        /// The other.
        second: String,
    },
}

/// Why the modules of an adapter cannot be found in a checkpoint (spec §5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// No tensor is selected.
    #[error("no module of the checkpoint is one of {}; linear layers found: {}", targets.join(", "), listed(found))]
    None {
        /// What was looked for.
        targets: Vec<String>,
        /// The last name parts of the matrices that the checkpoint has.
        found: Vec<String>,
    },
    /// A module that is named in full does not exist.
    #[error("the checkpoint has no module {0}")]
    Missing(String),
    /// The number is not the adapter's.
    #[error(
        "the adapter has {expected} modules, the checkpoint {found}; is it the base the adapter was trained on?"
    )]
    Count {
        /// N of the adapter.
        expected: u64,
        /// Modules that its targets select.
        found: u64,
    },
    /// The weight is not a matrix.
    #[error(
        "the weight of {module} has the shape {shape:?}; an adapter needs a matrix, leave this module out of the targets"
    )]
    NotAMatrix {
        /// The module.
        module: String,
        /// The shape of its weight.
        shape: Vec<u64>,
    },
    /// The weight has no rows or no columns.
    #[error("the weight of {module} has the shape {shape:?}, without any element")]
    Empty {
        /// The module.
        module: String,
        /// The shape of its weight.
        shape: Vec<u64>,
    },
    /// The weight is neither bf16, f16 nor f32.
    #[error("the weight of {module} is {dtype}; an adapter needs BF16, F16 or F32")]
    Dtype {
        /// The module.
        module: String,
        /// The dtype of its weight.
        dtype: Dtype,
    },
    /// The experts of a layer are one tensor of three dimensions.
    #[error(
        "{tensor} of shape {shape:?} holds fused experts; only one matrix per expert can be adapted, leave it out of the targets"
    )]
    FusedExperts {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<u64>,
    },
    /// The weights are quantised.
    #[error("the base is quantised ({kind}, by {evidence}); use the unquantised base model")]
    Quantised {
        /// How.
        kind: Quantisation,
        /// The tensor or setting that shows it.
        evidence: String,
    },
    /// The layers have none of the known sets of projections.
    #[error(
        "the layers have no known set of projections; choose targets among the linear layers found: {}",
        listed(found)
    )]
    NoDefaultTargets {
        /// The last name parts of the matrices that the layers have.
        found: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
