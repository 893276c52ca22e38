//! Recognising quantised bases. Their stored numbers are not the weights, so no adapter can be added to them.

use std::fmt;

use crate::error::ModuleError;
use crate::{Config, TensorInfo};

/// How a base is quantised.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantisation {
    /// 8-bit floats with scales.
    Fp8,
    /// GPTQ.
    Gptq,
    /// AWQ.
    Awq,
    /// bitsandbytes, 4 or 8 bits.
    Bitsandbytes,
    /// Blocks of 4-bit floats, as in gpt-oss.
    Mxfp4,
    /// Another `quant_method` of `config.json`.
    Named(String),
}

impl fmt::Display for Quantisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp8 => "FP8",
            Self::Gptq => "GPTQ",
            Self::Awq => "AWQ",
            Self::Bitsandbytes => "bitsandbytes",
            Self::Mxfp4 => "MXFP4",
            Self::Named(name) => name,
        })
    }
}

/// Refuses a base whose tensors or configuration show that it is quantised.
pub(crate) fn refuse<'a>(
    tensors: impl Iterator<Item = &'a TensorInfo> + Clone,
    config: &Config,
) -> Result<(), ModuleError> {
    if let Some(settings) = config.quantisation() {
        let method = settings
            .get("quant_method")
            .and_then(serde_json::Value::as_str);
        let evidence = "quantization_config in config.json".to_owned();
        return Err(ModuleError::Quantised {
            kind: named(method.unwrap_or("unknown method")),
            evidence,
        });
    }
    let gptq = tensors
        .clone()
        .any(|tensor| last_part(&tensor.name) == "g_idx");
    for tensor in tensors {
        if let Some(kind) = shown_by(tensor, gptq) {
            return Err(ModuleError::Quantised {
                kind,
                evidence: format!("the tensor {}", tensor.name),
            });
        }
    }
    Ok(())
}

fn named(method: &str) -> Quantisation {
    match method {
        "fp8" | "fbgemm_fp8" => Quantisation::Fp8,
        "gptq" => Quantisation::Gptq,
        "awq" => Quantisation::Awq,
        "bitsandbytes" => Quantisation::Bitsandbytes,
        "mxfp4" => Quantisation::Mxfp4,
        other => Quantisation::Named(other.to_owned()),
    }
}

/// The quantisation that the name or dtype of a tensor gives away.
fn shown_by(tensor: &TensorInfo, gptq: bool) -> Option<Quantisation> {
    let part = last_part(&tensor.name);
    match part {
        "qweight" | "qzeros" | "g_idx" => Some(if gptq {
            Quantisation::Gptq
        } else {
            Quantisation::Awq
        }),
        "weight_scale" | "weight_scale_inv" => Some(Quantisation::Fp8),
        "weight_packed" => Some(Quantisation::Named("compressed-tensors".to_owned())),
        "absmax" | "nested_absmax" | "quant_map" | "SCB" => Some(Quantisation::Bitsandbytes),
        _ if tensor.name.contains(".quant_state.") => Some(Quantisation::Bitsandbytes),
        _ if part.ends_with("_proj_blocks") => Some(Quantisation::Mxfp4),
        _ if tensor.dtype.is_fp8() => Some(Quantisation::Fp8),
        "weight" if matches!(tensor.dtype.name(), "U8" | "I8") => Some(Quantisation::Bitsandbytes),
        _ => None,
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
