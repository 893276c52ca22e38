//! The modules of an adapter, found in a base.

use tlora_checkpoint::{Checkpoint, Dtype, Module, modules, stores_transposed};
use tlora_format::{Rounding, TargetModules};
use tlora_rebuild::{ModuleWeight, RebuildError};

use crate::ConvertError;
use crate::source::Pair;
use crate::values::ensure_shape;

/// What transformers puts before the names of a model's parts when a head is added to it, and leaves out in the files of
/// the model alone.
const PREFIXES: [&str; 3] = ["model.", "transformer.", "gpt_neox."];

/// The names that the base has for modules, in the same order: those of the adapter, or all of them with or without the
/// prefix that a model has inside of one with a head.
///
/// # Errors
/// The base has not all of them.
pub(crate) fn names_in_base(
    base: &Checkpoint,
    modules: &[String],
) -> Result<Vec<String>, ConvertError> {
    let has = |name: &String| base.tensors().contains_key(&format!("{name}.weight"));
    if modules.iter().all(has) {
        return Ok(modules.to_vec());
    }
    for prefix in PREFIXES {
        let without: Option<Vec<String>> = modules
            .iter()
            .map(|name| name.strip_prefix(prefix).map(str::to_owned))
            .collect();
        let with: Vec<String> = modules
            .iter()
            .map(|name| format!("{prefix}{name}"))
            .collect();
        if let Some(found) = without
            .into_iter()
            .chain([with])
            .find(|names| names.iter().all(has))
        {
            return Ok(found);
        }
    }
    let missing: Vec<&String> = modules.iter().filter(|name| !has(name)).collect();
    Err(ConvertError::MissingModules {
        first: missing
            .first()
            .map(|&name| name.clone())
            .unwrap_or_default(),
        missing: missing.len(),
    })
}

/// The modules of these names, in their order. A quantised base is refused.
pub(crate) fn find(base: &Checkpoint, names: &[String]) -> Result<Vec<Module>, ConvertError> {
    let targets = TargetModules::Modules(names.to_vec());
    Ok(modules(base, &targets).map_err(RebuildError::from)?)
}

/// The weight of a module, turned as its factors want it.
///
/// # Errors
/// B and A are those of a matrix of another shape, or of different ranks.
pub(crate) fn weight(
    base: &Checkpoint,
    module: Module,
    pair: &Pair,
    rank: u8,
    fan_in_fan_out: bool,
) -> Result<ModuleWeight, ConvertError> {
    let (&[out_features, _], &[_, in_features]) =
        (pair.b.shape.as_slice(), pair.a.shape.as_slice())
    else {
        let wrong = if pair.b.shape.len() == 2 {
            &pair.a
        } else {
            &pair.b
        };
        return Err(ConvertError::Shape {
            tensor: wrong.name.clone(),
            found: wrong.shape.clone(),
            wanted: "two dimensions".to_owned(),
        });
    };
    let (rows, columns) = (module.out_features, module.in_features);
    let fits = |transposed: bool| {
        let (rows, columns) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        (out_features, in_features) == (rows, columns)
    };
    let transposed = match (fits(false), fits(true)) {
        (true, false) => false,
        (false, true) => true,
        (true, true) => is_conv1d(base, &module.name, fan_in_fan_out)?,
        (false, false) => {
            return Err(ConvertError::ModuleShape {
                module: module.name,
                rows,
                columns,
                out_features,
                in_features,
            });
        }
    };
    Ok(ModuleWeight::new(module, transposed, rank)?)
}

/// A square matrix does not show whether it is transposed: the family does, and for an unknown one the setting.
fn is_conv1d(base: &Checkpoint, module: &str, fan_in_fan_out: bool) -> Result<bool, ConvertError> {
    let config = base.config().map_err(RebuildError::from)?;
    Ok(stores_transposed(&config, module) || (fan_in_fan_out && config.model_type().is_none()))
}

/// Checks that factors that are rounded to a type belong to a base of that type.
pub(crate) fn ensure_dtype<'a>(
    weights: impl IntoIterator<Item = &'a ModuleWeight>,
    rounding: Rounding,
) -> Result<(), ConvertError> {
    let source_dtype = match rounding {
        Rounding::None => return Ok(()),
        Rounding::Bf16 => Dtype::Bf16,
        Rounding::F16 => Dtype::F16,
    };
    let other = weights
        .into_iter()
        .find(|weight| weight.tensor.dtype != source_dtype);
    other.map_or(Ok(()), |weight| {
        Err(ConvertError::BaseDtype {
            module: weight.name.clone(),
            found: weight.tensor.dtype,
            source_dtype,
        })
    })
}

/// Checks the shapes of B (out × rank) and A (rank × in).
pub(crate) fn ensure_factors(
    pair: &Pair,
    weight: &ModuleWeight,
    rank: u8,
) -> Result<(), ConvertError> {
    let rank = u64::from(rank);
    let why = "the r of adapter_config.json and the sizes of the module";
    ensure_shape(&pair.b, &[weight.out_features as u64, rank], why)?;
    ensure_shape(&pair.a, &[rank, weight.in_features as u64], why)
}
