//! Whether a checkpoint is a base + adapters, bit for bit: the merge again, with a reader in the place of the writer.

mod diagnose;
mod files;
mod tensors;

use tlora_basis::WeightDtype;
use tlora_checkpoint::tmd1::{TensorLeaf, root};
use tlora_checkpoint::{Checkpoint, TensorInfo};
use tlora_format::{Adapter, BaseDigest};
use tlora_rebuild::{BasisNote, Run, plan_all, prepare, tensor_dtype};

pub use diagnose::How;
pub use files::{FileDifference, FileFault};

use crate::layout::Layout;
use crate::merge::{ensure_same_base, sum_strengths, updates_by_tensor};
use crate::strength::Strengths;
use crate::{MergeError, MergeRecord};

/// What a comparison found.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The digest of the checkpoint that was compared.
    pub merged: BaseDigest,
    /// The digest that the merge would have.
    pub expected: BaseDigest,
    /// The size of the update, and how much of it the rounding keeps.
    pub strengths: Strengths,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
    /// Adapted tensors.
    pub adapted: Agreement,
    /// How the first adapted tensor that differs does so.
    pub how: Option<How>,
    /// All other tensors of the base.
    pub untouched: Agreement,
    /// Adapted tensors whose bytes are not those of the base.
    pub changed: usize,
    /// Tensors that are missing, too many, or of another type or shape than a merge writes.
    pub layout: Vec<TensorFault>,
    /// Files beside the weights that are not as a merge writes them.
    pub files: Vec<FileDifference>,
}

/// How many tensors are as they should be, and which are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Tensors that were compared.
    pub compared: usize,
    /// Those that differ, sorted by name.
    pub differing: Vec<String>,
}

/// A tensor that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFault {
    /// The tensor.
    pub name: String,
    /// What a merge writes, such as `BF16 [2, 3]`; none if it writes no such tensor.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

/// Merges adapters into a base and compares the result with a checkpoint. Nothing is written.
///
/// The type of the merged tensors is the one that the checkpoint has.
///
/// # Errors
/// As for a merge; and if the checkpoint cannot be read. A checkpoint that differs is no error.
pub fn compare(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    merged: &Checkpoint,
    run: &Run<'_>,
) -> Result<Compared, MergeError> {
    let plans = plan_all(checkpoint, adapters, run)?;
    let own = Layout::new(checkpoint, plans.iter().flatten(), None)?;
    let dtype = output_dtype(&own, merged);
    let layout = Layout::new(checkpoint, plans.iter().flatten(), dtype)?;
    let prepared = prepare(checkpoint, adapters, plans, run)?;
    let updates = updates_by_tensor(&prepared)?;
    let comparison = tensors::Comparison {
        checkpoint,
        merged,
        prepared: &prepared,
        layout: &layout,
        updates: &updates,
    };
    let compared = comparison.run(run)?;
    checkpoint.ensure_unchanged()?;
    merged.ensure_unchanged()?;
    let of_base = |tensor| TensorLeaf::new(tensor, compared.of_base[&tensor.name].base);
    let base = root(checkpoint.tensors().values().map(of_base));
    ensure_same_base(checkpoint, adapters, &prepared, base, run)?;
    let found = |tensor: &'_ TensorInfo| compared.found[&tensor.name];
    let digest = root(
        merged
            .tensors()
            .values()
            .map(|tensor| TensorLeaf::new(tensor, found(tensor))),
    );
    let expected = layout.digest(checkpoint, |tensor| compared.of_base[&tensor.name].expected);
    let strengths = sum_strengths(&prepared, |name| compared.of_base[name].strength);
    let (adapted, untouched) = compared.agreements();
    let how = match adapted.differing.first() {
        Some(name) => Some(comparison.diagnose(name)?),
        None => None,
    };
    let record = MergeRecord::new(
        &base,
        adapters,
        dtype.map(|dtype| tensor_dtype(dtype).name()),
        &expected,
        &strengths,
    );
    Ok(Compared {
        merged: digest,
        expected,
        strengths,
        adapted,
        how,
        untouched,
        changed: compared
            .of_base
            .values()
            .filter(|outcome| outcome.changed)
            .count(),
        layout: comparison.layout_faults(),
        files: files::differences(checkpoint, merged, &layout, dtype, &record)?,
        notes: prepared.notes,
    })
}

/// The type that the adapted tensors were merged as, if it is one and not that of the base.
fn output_dtype(own: &Layout, merged: &Checkpoint) -> Option<WeightDtype> {
    const TYPES: [WeightDtype; 3] = [WeightDtype::Bf16, WeightDtype::F16, WeightDtype::F32];
    let adapted = || {
        own.adapted
            .iter()
            .filter_map(|(name, dtype)| Some((merged.tensors().get(name)?.dtype, dtype)))
    };
    if adapted().all(|(found, own)| found == tensor_dtype(*own)) {
        return None;
    }
    let (first, _) = adapted().next()?;
    TYPES
        .into_iter()
        .find(|&dtype| tensor_dtype(dtype) == first)
}
