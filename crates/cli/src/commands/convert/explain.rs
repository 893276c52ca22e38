//! What an error of a conversion means to the user.

use tlora_checkpoint::CheckpointError;
use tlora_convert::ConvertError;

use crate::arguments::ConvertOptions;
use crate::explain::Subject;
use crate::failure::Failure;

/// Explains why nothing was converted: a missing file could not be looked at, everything else was, and is refused.
pub(super) fn explain(error: ConvertError, options: &ConvertOptions) -> Failure {
    let subject = Subject {
        base: &options.base,
        adapters: &[],
    };
    let hint = match &error {
        ConvertError::Residual { .. } if options.flatten => Some(
            "the exact basis does not hold this update; without --flatten it is converted as it is",
        ),
        error => hint(error),
    };
    let failure = match error {
        ConvertError::Rebuild(error) => return subject.rebuild(error),
        ConvertError::NoAdapter(_) | ConvertError::NoConfig(_) => Failure::unknown(&error),
        ConvertError::Source(error) => unreadable(error, options),
        ConvertError::OtherBasis { modules, .. } => mismatch(&error, options)
            .fact("modules that differ so much", modules)
            .caused_by(error),
        ConvertError::Residual { .. } => mismatch(&error, options).caused_by(error),
        error => Failure::no(format!(
            "{} cannot be converted",
            options.checkpoint.display()
        ))
        .caused_by(error),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn mismatch(error: &ConvertError, options: &ConvertOptions) -> Failure {
    let (path, base) = (options.checkpoint.display(), &options.base);
    let failure = match error {
        ConvertError::OtherBasis { module, .. } => {
            Failure::no(format!("the factors of {path} are not those of {base}"))
                .fact("module", module)
        }
        _ => Failure::no(format!("{path} cannot be converted without loss")),
    };
    failure.fact("base", base)
}

fn unreadable(error: CheckpointError, options: &ConvertOptions) -> Failure {
    let path = options.checkpoint.display();
    match error {
        CheckpointError::Io(_) | CheckpointError::Changed(_) => {
            Failure::unknown(format!("{path} cannot be read"))
        }
        _ => Failure::no(format!("{path} is not a valid checkpoint")),
    }
    .caused_by(error)
}

/// What the user can do, where there is something.
fn hint(error: &ConvertError) -> Option<&'static str> {
    use ConvertError as E;
    Some(match error {
        E::Pickle(_) => {
            "load it in Python and save it with safetensors: model.save_pretrained(DIR, safe_serialization=True)"
        }
        E::NoAdapter(_) => "adapters that are not called `default` are in a directory of that name",
        E::PlainLora { .. } => {
            "servers such as vLLM load a plain LoRA as it is; a .tlora file cannot hold one"
        }
        E::RegexTargets { .. } => {
            "write the list of module names in its place; the modules are those of the tensors, whatever it says"
        }
        E::ModulesToSave(_) | E::TrainedBias { .. } | E::BiasTensor { .. } => {
            "merge those weights into the base model first, or train without them"
        }
        E::LostProjections { .. } => {
            "if the training is still loaded, save it again with save_projection=True; otherwise the adapter is lost"
        }
        E::UnknownOrder { .. } => {
            "save the adapter again with save_projection=True: its projections show the order"
        }
        E::BaseDtype { .. } => "use the model as it was loaded for training, in that type",
        E::MissingModules { .. } | E::ModuleShape { .. } => {
            "use the base model that the adapter was trained on"
        }
        E::OtherBasis { .. } => {
            "use the very model that the adapter was trained on; if it is, --embed-basis stores the factors in the file"
        }
        E::Residual { .. } => {
            "--max-residual allows more, and --embed-basis stores the factors in the file, which loses nothing"
        }
        _ => return None,
    })
}
