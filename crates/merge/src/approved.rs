//! A merge that a policy allowed: its limit holds before the output appears, and what is on the disk is what was computed.

use std::path::Path;

use serde::Serialize;
use tlora_checkpoint::{Checkpoint, OutputDirectory};
use tlora_format::{Adapter, BaseDigest};
use tlora_rebuild::{Run, digest};

use crate::merge::merge_with;
use crate::strength::Strengths;
use crate::{MergeError, MergeOptions, Merged};

/// What a policy says about a merge, once its other checks have passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    /// What the merge record says about it.
    pub record: ApprovalRecord,
    /// The largest ‖ΔW‖ / ‖W‖ of a module, of all adapters together.
    pub max_delta_ratio: Option<f64>,
}

/// Which policy allowed a merge, and whose signatures satisfied it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalRecord {
    /// SHA-256 of the policy file.
    pub sha256: String,
    /// The names of the signers, by adapter.
    pub signers: Vec<Vec<String>>,
}

/// Merges as [`merge`](crate::merge()) does, and reads what it wrote once more: the output appears only if it has the
/// digest that was computed, and its update is within the limit.
///
/// # Errors
/// As for a merge, and if the update is too large or the output is not what was written. Nothing is left then.
pub fn merge_approved(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    output: &Path,
    options: &MergeOptions,
    approval: &Approval,
    run: &Run<'_>,
) -> Result<Merged, MergeError> {
    merge_with(checkpoint, adapters, output, options, Some(approval), run)
}

impl Approval {
    /// The update is within the limit.
    pub(crate) fn check_strength(&self, strengths: &Strengths) -> Result<(), MergeError> {
        let (Some(limit), Some((module, found))) = (self.max_delta_ratio, &strengths.largest)
        else {
            return Ok(());
        };
        // A ratio that is no number is within no limit.
        if *found <= limit {
            return Ok(());
        }
        Err(MergeError::TooStrong {
            module: module.clone(),
            found: *found,
            limit,
        })
    }
}

/// What is on the disk has the digest that was computed.
pub(crate) fn check_written(
    directory: &OutputDirectory,
    expected: BaseDigest,
    run: &Run<'_>,
) -> Result<(), MergeError> {
    // Without the cache: nobody shall remember a checkpoint that may not come to be.
    let run = Run {
        cache: None,
        ..*run
    };
    let found = digest(&Checkpoint::open(directory.path())?, &run)?.digest;
    if found == expected {
        Ok(())
    } else {
        Err(MergeError::NotWritten { expected, found })
    }
}
