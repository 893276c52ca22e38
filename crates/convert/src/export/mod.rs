//! A `.tlora` adapter as a directory that PEFT reads, and with it transformers, vLLM and others.
//!
//! - `names`: what torch calls a module, and which way round PEFT wants its factors; `targets`: the list that selects them.
//! - `lora`: the update as a plain LoRA. `tinylora`: the adapter as PEFT's TinyLoRA, with `tying` for its groups.
//! - `draft`: all that is known before a weight is read; `config`: `adapter_config.json`; `write`: the tensors.

mod config;
mod draft;
mod error;
mod factors;
mod lora;
mod names;
mod targets;
mod tinylora;
mod tying;
mod write;

use std::path::Path;

use tlora_checkpoint::{Checkpoint, OutputDirectory, OutputOptions};
use tlora_format::{Adapter, Precision};
use tlora_rebuild::{BasisNote, Run, Stage, digest, ensure_base, plan_all, prepare, share_out};

pub use self::error::ExportError;

use self::draft::Draft;
use self::tying::PeftTying;
use self::write::TensorFile;

const CONFIG: &str = "adapter_config.json";
/// More than the settings take.
const ROOM_FOR_SETTINGS: u64 = 16 << 20;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// A LoRA with B = scale·UΣ^a·R and A = Σ^b·Vᵀ, whose scaling is 1.
    PeftLora {
        /// The type of A and B.
        dtype: Precision,
        /// The rank that all modules get, with zeros.
        pad_rank: Option<u16>,
    },
    /// PEFT's own TinyLoRA with the projections stored, in f32.
    PeftTinyLora,
}

impl ExportFormat {
    /// The type of the tensors.
    const fn precision(self) -> Precision {
        match self {
            Self::PeftLora { dtype, .. } => dtype,
            Self::PeftTinyLora => Precision::F32,
        }
    }
}

/// How to write it.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions<'a> {
    /// What to write.
    pub format: ExportFormat,
    /// The base as the settings shall name it: a hub id, or a path.
    pub base_name: &'a str,
    /// The revision on the hub, if one was asked for.
    pub revision: Option<&'a str>,
    /// Replace an existing directory.
    pub force: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Adapted modules.
    pub modules: usize,
    /// The rank in the settings, the largest of a module.
    pub rank: usize,
    /// Bytes of `adapter_model.safetensors`.
    pub bytes: u64,
    /// How the vectors are tied, in a TinyLoRA.
    pub tying: Option<ExportedTying>,
    /// An adapted embedding that is the output head too. PEFT changes the head only when it merges the adapter.
    pub tied_embedding: Option<String>,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
}

/// How PEFT ties the vectors of a TinyLoRA.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportedTying {
    /// The setting `weight_tying`.
    pub weight_tying: f64,
    /// How many vectors v there are.
    pub vectors: usize,
    /// Whether they are the groups of the adapter. If not, PEFT's rule makes no such groups, and each module has a copy.
    pub as_in_adapter: bool,
}

/// Writes an adapter as the directory `output`, for PEFT.
///
/// # Errors
/// The base is another one, the adapter cannot be applied to it or has no such form, or the output cannot be written.
/// Nothing is written then, and what was at `output` is still there.
pub fn export(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    output: &Path,
    options: &ExportOptions<'_>,
    run: &Run<'_>,
) -> Result<Exported, ExportError> {
    let adapters = std::slice::from_ref(adapter);
    let plans = plan_all(checkpoint, adapters, run)?;
    let modules = plans.concat();
    let draft = Draft::new(checkpoint, adapter, &modules, options.format)?;
    let layout = write::layout(&draft.tensors(), options.format.precision())?;
    let (bytes, inputs) = (layout.file_len(), checkpoint.real_paths()?);
    // Long before anything is written, so that nobody waits for bases only to hear that the output is taken.
    let directory = OutputDirectory::create(
        output,
        &OutputOptions {
            force: options.force,
            inputs: &inputs,
            bytes: bytes.saturating_add(ROOM_FOR_SETTINGS),
        },
    )?;
    let prepared = prepare(checkpoint, adapters, plans, run)?;
    if prepared.digested.is_none() {
        ensure_base(checkpoint, adapters, &digest(checkpoint, run)?, run)?;
    }
    let file = TensorFile::create(&directory, layout, options.format.precision())?;
    draft.write_vectors(&file)?;
    let sizes = modules.iter().map(|module| module.weight.tensor.bytes);
    run.progress.start(Stage::Export, sizes.sum());
    share_out(&draft.modules, run.threads, |module, _: &mut ()| {
        draft.write_module(&prepared, module, &file)?;
        run.progress.advance(module.module.weight.tensor.bytes);
        Ok::<_, ExportError>(())
    })?;
    checkpoint.ensure_unchanged()?;
    directory.write_file(CONFIG, &draft.settings(options)?)?;
    directory.publish()?;
    Ok(Exported {
        modules: modules.len(),
        rank: draft.rank,
        bytes,
        tying: draft.tying.as_ref().map(PeftTying::exported),
        tied_embedding: draft.tied_embedding,
        notes: prepared.notes,
    })
}
