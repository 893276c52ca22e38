//! v of all groups, as the source has it.

use tlora_checkpoint::{Checkpoint, TensorInfo};
use tlora_format::Precision;

use crate::ConvertError;
use crate::values::{self, ensure_shape, wider};

/// v, group by group, and which module has which.
#[derive(Debug)]
pub(crate) struct Vectors {
    pub(crate) values: Vec<f64>,
    /// The type of the tensors; the wider one if they differ.
    pub(crate) precision: Precision,
    pub(crate) group_count: u32,
    /// Modules of a group; the last has the rest.
    pub(crate) n_tie: u32,
    pub(crate) u: u16,
}

impl Vectors {
    /// Reads one vector of `u` values for each group of PEFT's rule.
    pub(crate) fn read(
        file: &Checkpoint,
        v: &[TensorInfo],
        modules: u32,
        group_count: u32,
        u: u16,
    ) -> Result<Self, ConvertError> {
        let (mut values, mut precision) = (Vec::new(), None);
        for tensor in v {
            ensure_shape(tensor, &[u.into()], "the u of adapter_config.json")?;
            precision = Some(wider(precision, values::precision(tensor)?));
            values.extend(values::read(file, tensor)?);
        }
        Ok(Self {
            values,
            precision: precision.unwrap_or(Precision::F32),
            group_count,
            n_tie: modules.checked_div(group_count).unwrap_or(modules).max(1),
            u,
        })
    }

    /// The same with the values of another type.
    pub(crate) fn rounded(&self, precision: Precision) -> Self {
        Self {
            values: values::rounded(&self.values, precision),
            precision,
            ..*self
        }
    }

    /// The vector of a module of this number.
    pub(crate) fn of_module(&self, number: u32) -> &[f64] {
        let last = self.group_count.saturating_sub(1);
        let group = number
            .checked_div(self.n_tie)
            .map_or(0, |group| group.min(last));
        let mut groups = self.values.chunks_exact(usize::from(self.u).max(1));
        groups
            .nth(usize::try_from(group).unwrap_or(usize::MAX))
            .unwrap_or_default()
    }
}
