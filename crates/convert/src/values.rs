//! The values of a tensor, exactly.

use tlora_checkpoint::{Checkpoint, Dtype, TensorInfo};
use tlora_format::Precision;

use crate::ConvertError;

/// Reads a whole tensor, whose size the header has shown to lie in the file.
pub(crate) fn read(file: &Checkpoint, tensor: &TensorInfo) -> Result<Vec<f64>, ConvertError> {
    let precision = precision(tensor)?;
    let mut bytes = vec![0; usize::try_from(tensor.bytes).unwrap_or(usize::MAX)];
    file.read_at(tensor, 0, &mut bytes)
        .map_err(ConvertError::Source)?;
    let values: Vec<f64> = match precision {
        Precision::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&chunk| f64::from(f32::from_le_bytes(chunk)))
            .collect(),
        Precision::Bf16 | Precision::F16 => {
            let (halves, _) = bytes.as_chunks();
            halves
                .iter()
                .map(|&half| precision.to_f64(u16::from_le_bytes(half).into()))
                .collect()
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(ConvertError::NotFinite {
            tensor: tensor.name.clone(),
            index,
            value: values[index],
        }),
        None => Ok(values),
    }
}

/// The type of a tensor with trained or rebuilt numbers.
pub(crate) fn precision(tensor: &TensorInfo) -> Result<Precision, ConvertError> {
    match tensor.dtype {
        Dtype::F32 => Ok(Precision::F32),
        Dtype::Bf16 => Ok(Precision::Bf16),
        Dtype::F16 => Ok(Precision::F16),
        found => Err(ConvertError::TensorDtype {
            tensor: tensor.name.clone(),
            found,
        }),
    }
}

/// The type that holds the values of both.
pub(crate) fn wider(one: Option<Precision>, other: Precision) -> Precision {
    match one {
        Some(one) if one != other => Precision::F32,
        _ => other,
    }
}

/// The values, rounded to a type. A value too large for it is an error when the file is made.
pub(crate) fn rounded(values: &[f64], precision: Precision) -> Vec<f64> {
    values
        .iter()
        .map(|&value| precision.to_f64(precision.round(value)))
        .collect()
}

/// Whether a type holds all values exactly.
pub(crate) fn fits(values: &[f64], precision: Precision) -> bool {
    values
        .iter()
        .all(|&value| precision.to_f64(precision.round(value)) == value)
}

/// Checks the dimensions of a tensor.
pub(crate) fn ensure_shape(
    tensor: &TensorInfo,
    wanted: &[u64],
    why: &str,
) -> Result<(), ConvertError> {
    if tensor.shape == wanted {
        return Ok(());
    }
    Err(ConvertError::Shape {
        tensor: tensor.name.clone(),
        found: tensor.shape.clone(),
        wanted: format!("{wanted:?}, {why}"),
    })
}
