//! From a checkpoint to a decoder: tensors by their names in transformers, checked, and packed once.

use std::collections::BTreeMap;

use candle_core::{DType, Shape};
use tlora_basis::Factors;
use tlora_checkpoint::{Checkpoint, Dtype, TensorInfo};
use tlora_kernels::{Block, PackedMatrix, RowData};

use super::layer::Layer;
use super::{Compute, Decoder};
use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::ops::array::Array;
use crate::ops::attention::QkvLayout;
#[cfg(feature = "cuda")]
use crate::ops::device::DeviceArray;
use crate::ops::elementwise::Heads;
use crate::ops::linear::{AdaptedLinear, Packed, Part, PartAdapter};
use crate::ops::storage::{Element, array_of};
use crate::rotary::Rotary;

/// The frozen factors of the modules that an adapter steers, by the names of the modules.
pub(crate) type ModuleFactors = BTreeMap<String, (usize, Factors)>;

/// One tensor as the file has it.
pub(super) enum Stored {
    Bf16(Vec<u16>),
    F16(Vec<u16>),
    F32(Vec<f32>),
}

/// Where the weights come from.
pub(super) trait Weights {
    /// A tensor by its name in transformers.
    fn read(&self, name: &str, shape: &[usize]) -> Result<Stored>;
}

struct Loader<'a, W> {
    weights: &'a W,
    config: &'a ModelConfig,
    compute: &'a Compute,
    factors: ModuleFactors,
}

/// Reads all weights. `factors` are used up; what is left over has no place in the decoder.
pub(super) fn load(
    weights: &impl Weights,
    config: ModelConfig,
    compute: Compute,
    factors: ModuleFactors,
    mut loaded: impl FnMut(usize),
) -> Result<Decoder> {
    let mut loader = Loader {
        weights,
        config: &config,
        compute: &compute,
        factors,
    };
    let mut layers = Vec::with_capacity(config.layers);
    for number in 0..config.layers {
        layers.push(loader.layer(number)?);
        loaded(number + 1);
    }
    let embedding = loader.matrix("model.embed_tokens", config.vocabulary, config.hidden)?;
    let head = if config.tied {
        None
    } else {
        Some(loader.matrix("lm_head", config.vocabulary, config.hidden)?)
    };
    let final_norm = loader.vector("model.norm.weight", config.hidden)?;
    if let Some(module) = loader.factors.keys().next() {
        return Err(ModelError::Module {
            module: module.clone(),
        });
    }
    Ok(Decoder {
        rotary: Rotary::new(&config),
        config,
        compute,
        layers,
        embedding,
        head,
        final_norm,
    })
}

impl<W: Weights> Loader<'_, W> {
    fn layer(&mut self, number: usize) -> Result<Layer> {
        let config = self.config;
        let prefix = format!("model.layers.{number}");
        let (hidden, width) = (config.hidden, config.head_dim);
        let (q, kv) = (config.heads * width, config.kv_heads * width);
        let attention = |name| format!("{prefix}.self_attn.{name}");
        let mlp = |name| format!("{prefix}.mlp.{name}");
        let qkv = self.linear(
            &[
                (attention("q_proj"), q),
                (attention("k_proj"), kv),
                (attention("v_proj"), kv),
            ],
            hidden,
            config.qkv_bias,
        )?;
        let head_norms = if config.head_norms {
            let norm = |name| self.vector(&format!("{}.weight", attention(name)), width);
            Some((norm("q_norm")?, norm("k_norm")?))
        } else {
            None
        };
        let heads = |offset, count| Heads {
            stride: qkv.width(),
            offset,
            count,
            width,
        };
        Ok(Layer {
            layout: QkvLayout {
                q: heads(0, config.heads),
                k: heads(q, config.kv_heads),
                v: heads(q + kv, config.kv_heads),
            },
            head_norms,
            input_norm: self.vector(&format!("{prefix}.input_layernorm.weight"), hidden)?,
            output: self.linear(&[(attention("o_proj"), hidden)], q, config.output_bias)?,
            mlp_norm: self.vector(&format!("{prefix}.post_attention_layernorm.weight"), hidden)?,
            gate_up: self.linear(
                &[
                    (mlp("gate_proj"), config.intermediate),
                    (mlp("up_proj"), config.intermediate),
                ],
                hidden,
                config.mlp_bias,
            )?,
            down: self.linear(
                &[(mlp("down_proj"), hidden)],
                config.intermediate,
                config.mlp_bias,
            )?,
            qkv,
            intermediate: config.intermediate,
            epsilon: config.norm_epsilon,
            windowed: config.window(number).is_some(),
        })
    }

    /// Modules with one input, stacked, with the A of the adapted ones after them.
    fn linear(
        &mut self,
        modules: &[(String, usize)],
        columns: usize,
        bias: bool,
    ) -> Result<AdaptedLinear> {
        let mut stored = Vec::new();
        for (name, outputs) in modules {
            stored.push((
                self.stored(&format!("{name}.weight"), *outputs, columns)?,
                *outputs,
            ));
        }
        let mut factors = Vec::new();
        for (name, _) in modules {
            factors.push(self.factors.remove(name));
        }
        let packed = self.pack(&stored, &factors, columns)?;
        let total: usize = modules.iter().map(|(_, outputs)| outputs).sum();
        let (mut offset, mut p_offset) = (0, total);
        let mut parts = Vec::new();
        for ((_, outputs), factors) in modules.iter().zip(factors) {
            let adapter = match factors {
                None => None,
                Some((module, factors)) => {
                    let rank = factors.rank;
                    let b = self.array(&factors.b, (*outputs, rank))?;
                    p_offset += rank;
                    Some(PartAdapter {
                        module,
                        rank,
                        p_offset: p_offset - rank,
                        b,
                    })
                }
            };
            parts.push(Part {
                offset,
                outputs: *outputs,
                adapter,
            });
            offset += outputs;
        }
        let bias = if bias {
            Some(self.bias(modules, packed.outputs())?)
        } else {
            None
        };
        Ok(AdaptedLinear {
            packed,
            bias,
            #[cfg(feature = "cuda")]
            stacked: crate::ops::device::linear::stacked(&parts)?,
            parts,
        })
    }

    /// The biases of stacked modules, then 0 for each row of A.
    fn bias(&self, modules: &[(String, usize)], width: usize) -> Result<Array> {
        let mut values = Vec::with_capacity(width);
        for (name, outputs) in modules {
            values.extend(self.values(&format!("{name}.bias"), &[*outputs])?);
        }
        values.resize(width, 0.0);
        self.array(&values, width)
    }

    fn matrix(&self, module: &str, rows: usize, columns: usize) -> Result<Packed> {
        let stored = [(
            self.stored(&format!("{module}.weight"), rows, columns)?,
            rows,
        )];
        self.pack(&stored, &[], columns)
    }

    fn pack(
        &self,
        stored: &[(Stored, usize)],
        factors: &[Option<(usize, Factors)>],
        columns: usize,
    ) -> Result<Packed> {
        Ok(match self.compute {
            Compute::F32 => Packed::F32(pack(stored, factors, columns)),
            Compute::F64 => Packed::F64(pack(stored, factors, columns)),
            #[cfg(feature = "cuda")]
            Compute::Cuda { device, storage } => {
                let matrix = upload(device, *storage, stored, factors, columns)?;
                Packed::Device(device.clone(), matrix)
            }
        })
    }

    /// Numbers as an array, where they are computed with.
    fn array(&self, values: &[f64], shape: impl Into<Shape>) -> Result<Array> {
        match self.compute {
            Compute::F32 => array_of(values, shape, DType::F32),
            Compute::F64 => array_of(values, shape, DType::F64),
            #[cfg(feature = "cuda")]
            Compute::Cuda { device, .. } => {
                DeviceArray::upload(device, values, &shape.into()).map(Array::Device)
            }
        }
    }

    fn vector(&self, name: &str, len: usize) -> Result<Array> {
        self.array(&self.values(name, &[len])?, len)
    }

    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        Ok(match self.weights.read(name, shape)? {
            Stored::Bf16(bits) => bits.iter().map(|&bits| f64::from(bf16(bits))).collect(),
            Stored::F16(bits) => bits
                .iter()
                .map(|&bits| half::f16::from_bits(bits).to_f64())
                .collect(),
            Stored::F32(values) => values.into_iter().map(f64::from).collect(),
        })
    }

    fn stored(&self, name: &str, rows: usize, columns: usize) -> Result<Stored> {
        self.weights.read(name, &[rows, columns])
    }
}

impl Weights for Checkpoint {
    fn read(&self, name: &str, shape: &[usize]) -> Result<Stored> {
        let tensor = self.tensors().get(name);
        let tensor = tensor.ok_or_else(|| ModelError::MissingTensor {
            name: name.to_owned(),
        })?;
        let wanted: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
        if tensor.shape != wanted || !tensor.dtype.is_weight() {
            return Err(ModelError::Tensor {
                name: name.to_owned(),
                found: format!("{} {:?}", tensor.dtype.name(), tensor.shape),
                wanted: format!("BF16, F16 or F32 {wanted:?}"),
            });
        }
        let bytes = bytes(self, tensor)?;
        Ok(match tensor.dtype {
            Dtype::Bf16 => Stored::Bf16(halves(&bytes)),
            Dtype::F16 => Stored::F16(halves(&bytes)),
            _ => Stored::F32(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&bytes| f32::from_le_bytes(bytes))
                    .collect(),
            ),
        })
    }
}

fn bytes(checkpoint: &Checkpoint, tensor: &TensorInfo) -> Result<Vec<u8>> {
    let size = usize::try_from(tensor.bytes).map_err(|_too_large| ModelError::Tensor {
        name: tensor.name.clone(),
        found: format!("{} bytes", tensor.bytes),
        wanted: "what this machine can address".to_owned(),
    })?;
    let mut bytes = vec![0; size];
    checkpoint.read_at(tensor, 0, &mut bytes)?;
    Ok(bytes)
}

fn halves(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.as_chunks().0.iter();
    pairs.map(|&bytes| u16::from_le_bytes(bytes)).collect()
}

fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn pack<T: Element>(
    stored: &[(Stored, usize)],
    factors: &[Option<(usize, Factors)>],
    columns: usize,
) -> PackedMatrix<T> {
    let wide: Vec<Vec<T>> = stored.iter().map(|(stored, _)| widened(stored)).collect();
    let a: Vec<(usize, Vec<T>)> = factors
        .iter()
        .flatten()
        .map(|(_, factors)| {
            let a = factors.a.iter().map(|&x| T::of(x)).collect();
            (factors.rank, a)
        })
        .collect();
    let mut blocks = Vec::new();
    for ((stored, rows), wide) in stored.iter().zip(&wide) {
        let data = match stored {
            Stored::Bf16(bits) => RowData::Bf16(bits),
            Stored::F16(bits) => RowData::F16(bits),
            Stored::F32(_) => RowData::Full(wide),
        };
        blocks.push(Block { rows: *rows, data });
    }
    // One block: the rows of all A are few, and a block is padded.
    let rows = a.iter().map(|(rank, _)| rank).sum();
    let all: Vec<T> = a.into_iter().flat_map(|(_, a)| a).collect();
    if rows > 0 {
        blocks.push(Block {
            rows,
            data: RowData::Full(&all),
        });
    }
    PackedMatrix::pack(&blocks, columns)
}

/// The same on a device: the rows of all A follow those of the weights, and after them zeros up to a multiple of 8, which
/// tensor cores like.
#[cfg(feature = "cuda")]
fn upload(
    device: &tlora_cuda::Device,
    storage: tlora_cuda::Storage,
    stored: &[(Stored, usize)],
    factors: &[Option<(usize, Factors)>],
    columns: usize,
) -> Result<tlora_cuda::Matrix> {
    use crate::ops::device::single;
    use tlora_cuda::{Block, RowData};
    let mut blocks = Vec::new();
    for (stored, rows) in stored {
        let data = match stored {
            Stored::Bf16(bits) => RowData::Bf16(bits),
            Stored::F16(bits) => RowData::F16(bits),
            Stored::F32(values) => RowData::F32(values),
        };
        blocks.push(Block { rows: *rows, data });
    }
    let factors = factors.iter().flatten().flat_map(|(_, factors)| &factors.a);
    let mut a: Vec<f32> = factors.map(|&x| single(x)).collect();
    let rows: usize = blocks.iter().map(|block| block.rows).sum();
    if !a.is_empty() {
        let padded = (rows + a.len() / columns).next_multiple_of(8) - rows;
        a.resize(padded * columns, 0.0);
        blocks.push(Block {
            rows: padded,
            data: RowData::F32(&a),
        });
    }
    Ok(tlora_cuda::Matrix::upload(
        device, &blocks, columns, storage,
    )?)
}

/// f32 weights as elements; nothing for half ones, which stay as they are.
fn widened<T: Element>(stored: &Stored) -> Vec<T> {
    match stored {
        Stored::F32(values) => values.iter().map(|&x| T::of(f64::from(x))).collect(),
        Stored::Bf16(_) | Stored::F16(_) => Vec::new(),
    }
}
