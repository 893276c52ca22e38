//! What a library error means to the user: the exit code, the facts under it, and what to do.

use std::path::PathBuf;

use tlora_basis::BasisError;
use tlora_checkpoint::{BaseLocationError, CheckpointError, ModuleError, OutputError};
use tlora_format::{BaseDigest, ParseError};
use tlora_merge::MergeError;
use tlora_model::ModelError;
use tlora_rebuild::{Difference, RebuildError, TensorDifference};
use tlora_train::TrainError;

use crate::exit::Exit;
use crate::failure::Failure;

/// Differing tensors that are listed; the rest is counted.
const LISTED: usize = 8;

/// What an error was about: the names that the user gave.
pub(crate) struct Subject<'a> {
    pub(crate) base: &'a str,
    pub(crate) adapters: &'a [PathBuf],
}

impl Subject<'_> {
    fn adapter(&self, number: usize) -> String {
        self.adapters.get(number).map_or_else(
            || "the adapter".to_owned(),
            |path| path.display().to_string(),
        )
    }

    /// Explains why a merge, a measurement or a new adapter did not come about.
    pub(crate) fn explain(&self, error: MergeError) -> Failure {
        match error {
            MergeError::Rebuild(error) => self.rebuild(error),
            MergeError::Output(error) => output(error),
            MergeError::BaseChanged { .. } => changed(self.base).caused_by(error),
            MergeError::Transposition(_) => Failure::no(error),
            MergeError::TooStrong { .. } => {
                Failure::no("the policy does not allow this merge").caused_by(error)
            }
            MergeError::Invalid(error) => {
                Failure::unknown("these options do not make an adapter").caused_by(error)
            }
            other => Failure::unknown(&other).caused_by(other),
        }
    }

    /// Explains why an adapter and a base do not come together.
    pub(crate) fn rebuild(&self, error: RebuildError) -> Failure {
        match error {
            RebuildError::WrongBase { adapter, expected, found, differing } => {
                self.wrong_base(adapter, &expected, &found, *differing)
            }
            RebuildError::BasisCheck { adapter, .. } => Failure::no(format!("{} cannot be rebuilt", self.adapter(adapter)))
                .caused_by(error)
                .hint("the file was made by a program with another basis algorithm, or its basis check is wrong"),
            RebuildError::Modules { adapter, .. } => {
                Failure::no(format!("{} does not fit {}", self.adapter(adapter), self.base)).caused_by(error)
            }
            RebuildError::Numeric { .. } => self.numeric(error),
            RebuildError::Checkpoint(error) => self.checkpoint(error),
            RebuildError::SmallerThanProjections { .. } | RebuildError::FactorSize { .. } | RebuildError::Corrections { .. } => {
                Failure::no(error)
            }
            other => Failure::unknown(&other).caused_by(other),
        }
    }

    fn wrong_base(
        &self,
        adapter: usize,
        expected: &BaseDigest,
        found: &BaseDigest,
        differing: Difference,
    ) -> Failure {
        let path = self.adapter(adapter);
        let failure = Failure::no(format!("{path} was made for another base model"))
            .fact("base digest in the adapter", expected)
            .fact(format!("base digest of {}", self.base), found);
        match differing {
            Difference::TiedHead { stored } => {
                let (verb, fix) = if stored {
                    ("stores", "without it")
                } else {
                    ("leaves out", "with it")
                };
                failure.fact("only difference", format!("{} {verb} lm_head.weight, which is tied", self.base)).hint(
                    format!("the weights are the same; use the copy of the model {fix}, as it was when the adapter was made"),
                )
            }
            Difference::Tensors(tensors) => {
                listed(failure, &tensors).hint("use the base model that the adapter was made for")
            }
            Difference::Modules(error) => failure.fact("modules", error).hint(format!(
                "`tlora inspect {path}` shows which modules the adapter steers"
            )),
            _ => failure.hint(format!(
                "`tlora inspect {path}` shows what the file says about its base model"
            )),
        }
    }

    fn numeric(&self, error: RebuildError) -> Failure {
        let failure = match &error {
            RebuildError::Numeric {
                source: BasisError::NotRepresentable { .. },
                ..
            } => Failure::no("the update is too large for the output type")
                .hint("--dtype bf16 or f32 has a larger range"),
            RebuildError::Numeric {
                source: BasisError::NonFinite { .. },
                ..
            } => Failure::no(format!("{} has weights that are not numbers", self.base)).hint(
                "the base is damaged, or was never right: fetch it again and compare its files",
            ),
            _ => Failure::no(format!("{} has a weight that cannot be used", self.base)),
        };
        failure.caused_by(error)
    }

    /// Explains why a base cannot be read.
    pub(crate) fn checkpoint(&self, error: CheckpointError) -> Failure {
        use CheckpointError as E;
        match error {
            E::Header { .. } | E::Index { .. } | E::Json { .. } | E::NotAFile(_) | E::LinkOutside { .. } | E::TooLarge { .. } => {
                Failure::no(format!("{} is not a valid checkpoint", self.base))
                    .caused_by(error)
                    .hint("fetch the file again: an interrupted download is the usual cause")
            }
            E::Blob { .. } => Failure::no(format!("{} is not what the Hugging Face cache says it is", self.base))
                .caused_by(error)
                .hint("the file was changed in the cache: delete the blob and fetch the model again"),
            E::Module(ModuleError::Quantised { .. }) => Failure::no(format!("{} is quantised", self.base))
                .caused_by(error)
                .hint("an adapter is merged into the model that was quantised, and the result is quantised again"),
            E::Module(_) => Failure::no(format!("{} does not have the modules asked for", self.base)).caused_by(error),
            E::NotADirectory(_) | E::NoWeights(_) => {
                Failure::unknown(format!("{} is not a checkpoint", self.base)).caused_by(error)
            }
            E::Changed(_) => changed(self.base).caused_by(error),
            _ => Failure::unknown(format!("{} cannot be read", self.base)).caused_by(error),
        }
    }
}

fn changed(base: &str) -> Failure {
    Failure::unknown(format!("{base} changed while it was read"))
        .hint("nothing was written; run the command again when nobody writes to the base")
}

fn listed(mut failure: Failure, tensors: &[TensorDifference]) -> Failure {
    failure = failure.fact("tensors that differ", tensors.len());
    for TensorDifference {
        name,
        expected,
        found,
    } in tensors.iter().take(LISTED)
    {
        let difference = match (expected, found) {
            (Some(expected), Some(found)) if expected == found => format!("{found}, other values"),
            (Some(expected), Some(found)) => format!("{found}, expected {expected}"),
            (Some(expected), None) => format!("missing, expected {expected}"),
            (None, Some(found)) => format!("{found}, not in the adapter's base"),
            (None, None) => continue,
        };
        failure = failure.fact(format!("  {name}"), difference);
    }
    match tensors.len().saturating_sub(LISTED) {
        0 => failure,
        more => failure.fact("  and others", more),
    }
}

/// Explains why a training or an evaluation did not come about.
pub(crate) fn training(error: TrainError) -> Failure {
    match error {
        TrainError::Model(ModelError::Rebuild(error)) => Subject {
            base: "the base model",
            adapters: &[],
        }
        .rebuild(error),
        TrainError::Model(ModelError::Checkpoint(error)) => Subject {
            base: "the base model",
            adapters: &[],
        }
        .checkpoint(error),
        TrainError::Diverged { .. } | TrainError::Data { .. } | TrainError::Gold { .. } => {
            Failure::no(&error).caused_by(error)
        }
        TrainError::Directory { ref reason, .. } if reason == "exists" => Failure::unknown(&error)
            .caused_by(error)
            .hint("choose another directory, or --resume to go on with the run in it"),
        TrainError::Config(source) => Failure::unknown("the configuration is not valid")
            .fact("reason", source.to_string().trim_end())
            .hint("docs/train.md lists every key"),
        other => Failure::unknown(&other).caused_by(other),
    }
}

/// Explains why an output cannot be written.
pub(crate) fn output(error: OutputError) -> Failure {
    use OutputError as E;
    let hint = match &error {
        E::Exists(_) => Some("--force replaces it"),
        E::Link(_) => Some("give the place that the link leads to"),
        E::Overlap { .. } => Some("choose a directory outside of the base model"),
        E::Space { .. } => Some("free some space, or write to another disk"),
        _ => None,
    };
    let failure = Failure::unknown(&error).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Explains why a file is not an adapter.
pub(crate) fn not_an_adapter(path: &std::path::Path, error: ParseError) -> Failure {
    Failure::no(format!("{} is not a valid adapter", path.display()))
        .fact(
            "rule",
            format!("{} ({}) of spec/tlora.md", error.rule(), error.class()),
        )
        .caused_by(error)
}

/// Explains why there is no base at a place.
pub(crate) fn no_base(error: BaseLocationError) -> Failure {
    Failure::unknown(&error).caused_by(error)
}

impl From<BasisError> for Failure {
    /// The self-test is the only call that comes here directly.
    fn from(error: BasisError) -> Self {
        Self::new(
            Exit::Unknown,
            "this machine does not compute as the specification wants",
        )
        .caused_by(error)
    }
}
