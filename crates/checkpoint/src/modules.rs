//! The modules that an adapter steers, found in a checkpoint and put in order (spec §5.2).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use tlora_format::TargetModules;

use crate::error::{CheckpointError, ModuleError};
use crate::{Checkpoint, TensorInfo, quantised};

/// A linear layer of the checkpoint that an adapter steers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The name of its weight without `.weight`.
    pub name: String,
    /// Its weight.
    pub tensor: TensorInfo,
    /// The position of the target that selected it, or of its name in a list of full names.
    pub target: usize,
    /// Rows of W: those of the stored matrix, unless [`Self::stored_transposed`] says otherwise.
    pub out_features: u64,
    /// Columns of W, likewise.
    pub in_features: u64,
}

impl Module {
    /// The same module, if the checkpoint stores Wᵀ (in × out).
    pub fn stored_transposed(self) -> Self {
        Self {
            out_features: self.in_features,
            in_features: self.out_features,
            ..self
        }
    }
}

/// The modules that `targets` selects, in module order.
///
/// # Errors
/// There is none, a full name is missing, a weight is not a bf16, f16 or f32 matrix, or the base is quantised.
pub fn modules(
    checkpoint: &Checkpoint,
    targets: &TargetModules,
) -> Result<Vec<Module>, CheckpointError> {
    quantised::refuse(checkpoint.tensors().values(), &checkpoint.config()?)?;
    Ok(match targets {
        TargetModules::Suffixes(suffixes) => by_suffix(checkpoint, suffixes)?,
        TargetModules::Modules(names) => by_name(checkpoint, names)?,
    })
}

/// [`modules`], which must be exactly as many as the adapter has.
///
/// # Errors
/// As [`modules`], and [`ModuleError::Count`].
pub fn modules_exactly(
    checkpoint: &Checkpoint,
    targets: &TargetModules,
    expected: u32,
) -> Result<Vec<Module>, CheckpointError> {
    let modules = modules(checkpoint, targets)?;
    let (expected, found) = (u64::from(expected), modules.len() as u64);
    if found == expected {
        Ok(modules)
    } else {
        Err(ModuleError::Count { expected, found }.into())
    }
}

fn by_suffix(checkpoint: &Checkpoint, targets: &[String]) -> Result<Vec<Module>, ModuleError> {
    let mut modules = Vec::new();
    for tensor in checkpoint.tensors().values() {
        let name = tensor.name.strip_suffix(".weight");
        let Some(target) = position(targets, name.unwrap_or(&tensor.name)) else {
            continue;
        };
        match name {
            Some(name) => modules.push(module(name, tensor, target)?),
            // Three dimensions and no `.weight`: the experts of a layer in one tensor. Leaving them out silently would
            // adapt another model than the targets say.
            None if tensor.shape.len() == 3 => {
                return Err(ModuleError::FusedExperts {
                    tensor: tensor.name.clone(),
                    shape: tensor.shape.clone(),
                });
            }
            None => {}
        }
    }
    if modules.is_empty() {
        return Err(ModuleError::None {
            targets: targets.to_vec(),
            found: linear_names(checkpoint),
        });
    }
    modules.sort_by(module_order);
    Ok(modules)
}

fn by_name(checkpoint: &Checkpoint, names: &[String]) -> Result<Vec<Module>, ModuleError> {
    let find = |(target, name): (usize, &String)| {
        let tensor = checkpoint.tensors().get(&format!("{name}.weight"));
        module(
            name,
            tensor.ok_or_else(|| ModuleError::Missing(name.clone()))?,
            target,
        )
    };
    names.iter().enumerate().map(find).collect()
}

/// The position of the target that a name is, or ends with after a dot.
fn position(targets: &[String], name: &str) -> Option<usize> {
    targets.iter().position(|target| {
        name.strip_suffix(target.as_str())
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

fn module(name: &str, tensor: &TensorInfo, target: usize) -> Result<Module, ModuleError> {
    let (module, shape) = (name.to_owned(), tensor.shape.clone());
    let &[out_features, in_features] = tensor.shape.as_slice() else {
        return Err(ModuleError::NotAMatrix { module, shape });
    };
    if out_features == 0 || in_features == 0 {
        return Err(ModuleError::Empty { module, shape });
    }
    if !tensor.dtype.is_weight() {
        return Err(ModuleError::Dtype {
            module,
            dtype: tensor.dtype,
        });
    }
    Ok(Module {
        name: module,
        tensor: tensor.clone(),
        target,
        out_features,
        in_features,
    })
}

/// Spec §5.2: the numbers in the name, then the position of the target, then the bytes of the name.
fn module_order(a: &Module, b: &Module) -> Ordering {
    let numbers = numbers(&a.name).cmp(numbers(&b.name));
    numbers
        .then(a.target.cmp(&b.target))
        .then_with(|| a.name.cmp(&b.name))
}

/// The numbers that stand alone between dots, as keys that compare like integers of any length.
fn numbers(name: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = name.split('.').filter(|part| is_number(part));
    parts
        .map(|part| part.trim_start_matches('0'))
        .map(|digits| (digits.len(), digits))
}

pub(crate) fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The last name parts of all matrices in numbered layers, for messages.
pub(crate) fn linear_names(checkpoint: &Checkpoint) -> Vec<String> {
    let names: BTreeSet<_> = layer_matrices(checkpoint)
        .map(|(_, name)| name.to_owned())
        .collect();
    names.into_iter().collect()
}

/// The layer and the last name part of every matrix in a numbered layer: `model.layers.3` and `q_proj`.
pub(crate) fn layer_matrices(checkpoint: &Checkpoint) -> impl Iterator<Item = (&str, &str)> {
    let matrices = checkpoint
        .tensors()
        .values()
        .filter(|tensor| tensor.shape.len() == 2);
    matrices.filter_map(|tensor| {
        let name = tensor.name.strip_suffix(".weight")?;
        Some((layer(name)?, name.rsplit('.').next()?))
    })
}

/// The name up to its first number.
fn layer(name: &str) -> Option<&str> {
    let mut end = 0;
    for part in name.split('.') {
        end += part.len();
        if is_number(part) {
            return name.get(..end);
        }
        end += 1;
    }
    None
}
