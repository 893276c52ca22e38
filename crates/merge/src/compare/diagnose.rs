//! How a tensor that is not base + adapter differs from it: the usual accidents, tried one by one.

use tlora_basis::{Update, WeightDtype};
use tlora_rebuild::AdaptedModule;

use super::tensors::Comparison;
use crate::MergeError;
use crate::merge::Updates;
use crate::rows::{Buffers, Sink, merge_weight};

/// How an adapted tensor differs from base + adapter.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum How {
    /// It is that of the base: the update is not there.
    Reverted,
    /// The update was subtracted.
    Sign,
    /// The update is there twice.
    Twice,
    /// The update is there times another factor.
    Scaled(f64),
    /// Some values are the next ones above or below: other arithmetic, or a changed bit.
    OneUlp {
        /// How many.
        values: u64,
        /// Of how many.
        of: u64,
    },
    /// Something else.
    Other {
        /// How many values differ.
        values: u64,
        /// Of how many.
        of: u64,
    },
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reverted => f.write_str("reverted: it is that of the base, without the update"),
            Self::Sign => f.write_str("sign: the update was subtracted (×-1)"),
            Self::Twice => f.write_str("scaled: the update was applied twice (×2)"),
            Self::Scaled(factor) => write!(f, "scaled: the update was applied ×{factor:.3}"),
            Self::OneUlp { values, of } => write!(
                f,
                "one ulp: {values} of {of} values are the next ones above or below"
            ),
            Self::Other { values, of } => write!(f, "other: {values} of {of} values differ"),
        }
    }
}

/// The largest share of the difference that a factor may leave unexplained.
const UNEXPLAINED: f64 = 0.1;
/// What the rounding to a narrow type can make of a factor of one.
const NEARLY_ONE: f64 = 0.02;

impl Comparison<'_> {
    /// How an adapted tensor that both checkpoints have differs.
    pub(super) fn diagnose(&self, name: &str) -> Result<How, MergeError> {
        let Some((_, _, output)) = self.adapted(name) else {
            return Ok(How::Other { values: 0, of: 0 });
        };
        let wanted = self.distance(name, 1.0, output)?;
        for (factor, how) in [(0.0, How::Reverted), (-1.0, How::Sign), (2.0, How::Twice)] {
            if self.distance(name, factor, output)?.differing == 0 {
                return Ok(how);
            }
        }
        let Distance {
            differing: values,
            of,
            ..
        } = wanted;
        if wanted.farther == 0 {
            return Ok(How::OneUlp { values, of });
        }
        // Twice in two steps rounds twice.
        for (factor, how) in [(-1.0, How::Sign), (2.0, How::Twice)] {
            if self.distance(name, factor, output)?.farther == 0 {
                return Ok(how);
            }
        }
        let factor = self.distance(name, 1.0, WeightDtype::F32)?.factor();
        // A few changed values leave the factor what it was.
        let factor = factor.filter(|factor| values > of / 10 && (factor - 1.0).abs() > NEARLY_ONE);
        Ok(factor.map_or(How::Other { values, of }, How::Scaled))
    }

    /// What is there against base + factor × update, rounded to `output`.
    fn distance(
        &self,
        name: &str,
        factor: f32,
        output: WeightDtype,
    ) -> Result<Distance, MergeError> {
        let mut distance = Distance::default();
        let Some(((weight, updates, dtype), found)) =
            self.adapted(name).zip(self.merged.tensors().get(name))
        else {
            return Ok(distance);
        };
        let updates = scaled(updates, factor);
        let updates: Vec<Update> = updates
            .iter()
            .map(|(adapter, module)| self.prepared.update(*adapter, module))
            .collect::<Result<_, _>>()?;
        let mut sink = Measure {
            read: &mut |offset, buffer| Ok(self.merged.read_at(found, offset, buffer)?),
            offset: 0,
            buffer: Vec::new(),
            types: Types {
                base: weight.dtype,
                merged: output,
                found: dtype,
            },
            distance: &mut distance,
        };
        match merge_weight(
            self.checkpoint,
            weight,
            &updates,
            output,
            &mut Buffers::default(),
            &mut sink,
        ) {
            // Too large for the type: then this is not what was done.
            Err(error) if error.is_not_representable() => distance.differing = u64::MAX,
            outcome => drop(outcome?),
        }
        Ok(distance)
    }
}

fn scaled(updates: &Updates<'_>, factor: f32) -> Vec<(usize, AdaptedModule)> {
    let scale = |module: &AdaptedModule| AdaptedModule {
        scale: module.scale * factor,
        ..module.clone()
    };
    updates
        .iter()
        .map(|(side, module)| (*side, scale(module)))
        .collect()
}

/// How far a tensor is from another.
#[derive(Default)]
struct Distance {
    of: u64,
    /// Values that differ.
    differing: u64,
    /// Values that differ by more than one step.
    farther: u64,
    /// ⟨found − base, update⟩, ‖update‖² and ‖found − base‖².
    along: f64,
    update_squared: f64,
    found_squared: f64,
}

impl Distance {
    /// The factor that the update was applied with, if that explains what is there.
    fn factor(&self) -> Option<f64> {
        if self.update_squared <= 0.0 || self.found_squared <= 0.0 {
            return None;
        }
        let unexplained =
            1.0 - self.along * self.along / (self.update_squared * self.found_squared);
        (unexplained <= UNEXPLAINED).then_some(self.along / self.update_squared)
    }
}

/// The types of what is compared.
struct Types {
    base: WeightDtype,
    merged: WeightDtype,
    found: WeightDtype,
}

type Read<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> Result<(), MergeError>;

/// Measures the distance of merged rows from what is there.
struct Measure<'a> {
    read: Read<'a>,
    offset: u64,
    buffer: Vec<u8>,
    types: Types,
    distance: &'a mut Distance,
}

impl Sink for Measure<'_> {
    fn take(&mut self, base: &[u8], merged: &[u8]) -> Result<(), MergeError> {
        let Types {
            base: base_type,
            merged: merged_type,
            found: found_type,
        } = self.types;
        self.buffer
            .resize(base.len() / base_type.size() * found_type.size(), 0);
        (self.read)(self.offset, &mut self.buffer)?;
        self.offset += self.buffer.len() as u64;
        let base = base.chunks_exact(base_type.size());
        let merged = merged.chunks_exact(merged_type.size());
        let found = self.buffer.chunks_exact(found_type.size());
        for ((base, merged), found) in base.zip(merged).zip(found) {
            let steps = place(found_type, found).abs_diff(place(merged_type, merged));
            self.distance.of += 1;
            self.distance.differing += u64::from(steps > 0);
            self.distance.farther += u64::from(steps > 1);
            let weight = value(base_type, base);
            let (update, change) = (
                value(merged_type, merged) - weight,
                value(found_type, found) - weight,
            );
            self.distance.along += update * change;
            self.distance.update_squared += update * update;
            self.distance.found_squared += change * change;
        }
        Ok(())
    }
}

/// The bits of a value.
fn bits(bytes: &[u8]) -> u32 {
    let mut all = [0; 4];
    all[..bytes.len()].copy_from_slice(bytes);
    u32::from_le_bytes(all)
}

fn value(dtype: WeightDtype, bytes: &[u8]) -> f64 {
    let bits = bits(bytes);
    match dtype {
        WeightDtype::F32 => f32::from_bits(bits).into(),
        WeightDtype::Bf16 => f32::from_bits(bits << 16).into(),
        WeightDtype::F16 => tlora_format::Precision::F16.to_f64(bits),
    }
}

/// The place of a value among all values of its type, in ascending order; both zeros have the same.
fn place(dtype: WeightDtype, bytes: &[u8]) -> i64 {
    let sign = match dtype {
        WeightDtype::F32 => 1 << 31,
        WeightDtype::Bf16 | WeightDtype::F16 => 1 << 15,
    };
    let bits = bits(bytes);
    let magnitude = i64::from(bits & (sign - 1));
    if bits & sign == 0 {
        magnitude
    } else {
        -magnitude
    }
}
