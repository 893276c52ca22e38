//! Why a checkpoint is not converted.

use std::path::PathBuf;

use tlora_checkpoint::{CheckpointError, Dtype};
use tlora_format::InvalidAdapter;
use tlora_rebuild::RebuildError;

/// Why there is no adapter. Nothing is written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The directory has no adapter.
    #[error("{} has no adapter_model.safetensors", .0.display())]
    NoAdapter(PathBuf),
    /// The adapter is in a format that can run code when it is read.
    #[error("{} is a pickle, which can run code when it is read", .0.display())]
    Pickle(PathBuf),
    /// The settings of the adapter are missing.
    #[error("{} has no adapter_config.json", .0.display())]
    NoConfig(PathBuf),
    /// The file has tensors of neither kind.
    #[error("{} has neither tinylora_ tensors nor a lora_latent_mapping: it is no TinyLoRA or LoRA-XS adapter", .0.display())]
    UnknownKind(PathBuf),
    /// An ordinary LoRA: its matrices are trained, so that nothing of it can be rebuilt from the base.
    #[error(
        "{tensor} is there and no lora_latent_mapping: this is a plain LoRA, whose trained matrices cannot be rebuilt from a base"
    )]
    PlainLora {
        /// A tensor of it.
        tensor: String,
    },
    /// Tensors of both kinds.
    #[error("{tinylora} and {lora_xs} are tensors of two kinds of adapters")]
    TwoKinds {
        /// A tensor of TinyLoRA.
        tinylora: String,
        /// A tensor of LoRA-XS.
        lora_xs: String,
    },
    /// The settings are those of another kind than the tensors.
    #[error("adapter_config.json: peft_type is {found:?}, and the tensors are those of {wanted}")]
    OtherType {
        /// What the settings say.
        found: String,
        /// What the tensors are, as settings would say it.
        wanted: &'static str,
    },
    /// A setting is missing.
    #[error("{file}: {field} is missing; expected {wanted}")]
    MissingField {
        /// The file.
        file: &'static str,
        /// The setting.
        field: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A setting has another type.
    #[error("{file}: {field} is {found}; expected {wanted}")]
    FieldType {
        /// The file.
        file: &'static str,
        /// The setting.
        field: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The modules are given by a regular expression.
    #[error(
        "adapter_config.json: target_modules is the regular expression {found:?}; expected a list of names"
    )]
    RegexTargets {
        /// The expression.
        found: String,
    },
    /// A key of `rank_pattern` or `alpha_pattern` is not just a name.
    #[error(
        "adapter_config.json: {field} has the regular expression {found:?}; expected names of modules"
    )]
    RegexPattern {
        /// The setting.
        field: &'static str,
        /// The key.
        found: String,
    },
    /// Whole modules were trained beside the adapter.
    #[error("adapter_config.json: modules_to_save names {}, whose trained weights a .tlora file cannot hold", .0.join(", "))]
    ModulesToSave(Vec<String>),
    /// Biases were trained.
    #[error("adapter_config.json: bias is {found:?}; a .tlora file holds no trained biases")]
    TrainedBias {
        /// What the setting says.
        found: String,
    },
    /// A bias is stored.
    #[error("{tensor} is a bias, which a .tlora file cannot hold")]
    BiasTensor {
        /// The tensor.
        tensor: String,
    },
    /// A variant of LoRA that adds more than B·R·A.
    #[error(
        "adapter_config.json: {field} is set, which makes the update something other than B·R·A"
    )]
    Variant {
        /// The setting.
        field: &'static str,
    },
    /// A tensor that means nothing here.
    #[error("{tensor} is no tensor of {kind}")]
    UnknownTensor {
        /// The tensor.
        tensor: String,
        /// What the adapter is.
        kind: &'static str,
    },
    /// A tensor is not there.
    #[error("{tensor} is missing")]
    MissingTensor {
        /// Its name, as it should be.
        tensor: String,
    },
    /// A tensor has another shape.
    #[error("{tensor} has the shape {found:?}; expected {wanted}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its dimensions.
        found: Vec<u64>,
        /// The dimensions that it should have, and why.
        wanted: String,
    },
    /// A tensor has a type without exact values here.
    #[error("{tensor} is {found}; expected F32, BF16 or F16")]
    TensorDtype {
        /// The tensor.
        tensor: String,
        /// Its type.
        found: Dtype,
    },
    /// A NaN or an infinity.
    #[error("value {index} of {tensor} is {value}; expected a finite number")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// The place of the value, row by row.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The number of vectors is not what PEFT's rule gives.
    #[error(
        "there are {found} tensors tinylora_v; {modules} modules with weight_tying {weight_tying} make {wanted} groups"
    )]
    GroupCount {
        /// Tensors in the file.
        found: u64,
        /// Groups by the rule.
        wanted: u64,
        /// Modules in the file.
        modules: u64,
        /// The setting.
        weight_tying: f64,
    },
    /// The base has not all modules of the adapter.
    #[error("the base lacks {missing} modules of the adapter, the first is {first}")]
    MissingModules {
        /// The first of them.
        first: String,
        /// How many there are.
        missing: usize,
    },
    /// The stored factors are those of another shape.
    #[error(
        "{module} is {rows} × {columns} in the base; the adapter is for {out_features} × {in_features}"
    )]
    ModuleShape {
        /// The module.
        module: String,
        /// Rows of the base's tensor.
        rows: u64,
        /// Columns of the base's tensor.
        columns: u64,
        /// Rows of B.
        out_features: u64,
        /// Columns of A.
        in_features: u64,
    },
    /// The adapter was made on a base of another type.
    #[error(
        "the factors are rounded to {source_dtype}, so the base was {source_dtype}; {module} is {found} in this base"
    )]
    BaseDtype {
        /// The first such module.
        module: String,
        /// Its type in the base.
        found: Dtype,
        /// The type that the factors show.
        source_dtype: Dtype,
    },
    /// peft 0.19 drew the projections from a seed that it did not keep.
    #[error(
        "the projections are not stored, and peft {version} drew them from a seed that is lost; from 0.20 on they can be drawn again"
    )]
    LostProjections {
        /// The version in the settings.
        version: String,
    },
    /// The order of the modules is needed and not known.
    #[error("the order of the modules is not known: the projections do not show it, and neither does the model type {}", model_type.as_deref().unwrap_or("(missing in the base's config.json)"))]
    UnknownOrder {
        /// `model_type` of the base.
        model_type: Option<String>,
    },
    /// The rank is more than a file can say.
    #[error("the rank of {module} is {found}; expected 1 to {largest}")]
    Rank {
        /// The module.
        module: String,
        /// Its rank.
        found: u64,
        /// The largest that can be converted.
        largest: u64,
    },
    /// The rebuilt basis is not that of the stored factors.
    #[error(
        "column {column} of the factors of {module} differs from the rebuilt one by {difference:.2} of its length"
    )]
    OtherBasis {
        /// The module where they differ most.
        module: String,
        /// The column of B, or row of A.
        column: usize,
        /// ‖difference‖ / ‖column‖, the larger of B and A.
        difference: f64,
        /// How many modules differ so much.
        modules: usize,
    },
    /// The converted adapter is not what the source is.
    #[error("ΔW of {module} differs by {residual:.1e} of its norm; at most {limit:.1e} is allowed")]
    Residual {
        /// The module where it differs most.
        module: String,
        /// ‖difference‖ / ‖ΔW‖.
        residual: f64,
        /// The limit.
        limit: f64,
    },
    /// A trained number does not fit the precision asked for.
    #[error("a trained number does not fit the precision asked for")]
    Precision(#[from] tlora_format::NotFinite),
    /// The parts do not make a `.tlora` file.
    #[error("the adapter does not fit in a .tlora file")]
    Invalid(#[from] InvalidAdapter),
    /// The base, or the adapter on it.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The source cannot be read.
    #[error("the adapter cannot be read")]
    Source(#[source] CheckpointError),
}
