//! One layer: attention and MLP on the residual stream, and the way back.
//!
//! The way back needs what the forward pass computed. It is not kept but computed again from the layer's input, so that a
//! deep model holds one layer's activations and the inputs of all layers.

use candle_core::Tensor;

use super::batch::Prepared;
use crate::error::Result;
use crate::ops::attention::{LayerCache, QkvLayout, attention, attention_backward};
use crate::ops::elementwise::{
    Heads, add, put_heads, rms_norm, rms_norm_backward, rope, swiglu, swiglu_backward, take_heads,
    widen,
};
use crate::ops::linear::AdaptedLinear;
use crate::steering::{RGradient, Steering};

/// The frozen weights of a layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub input_norm: Tensor,
    /// q, k and v.
    pub qkv: AdaptedLinear,
    /// The norms of the heads of q and k (Qwen3).
    pub head_norms: Option<(Tensor, Tensor)>,
    pub output: AdaptedLinear,
    pub mlp_norm: Tensor,
    /// gate and up.
    pub gate_up: AdaptedLinear,
    pub down: AdaptedLinear,
    pub layout: QkvLayout,
    pub intermediate: usize,
    pub epsilon: f64,
    pub windowed: bool,
}

/// What the way back needs of the forward pass.
pub(crate) struct Tape {
    qkv: Tensor,
    /// q and k before the norms of their heads.
    raw: Option<(Tensor, Tensor)>,
    output: Tensor,
    /// The residual stream between attention and MLP.
    middle: Tensor,
    gate_up: Tensor,
    down: Tensor,
}

impl Layer {
    /// The layer's output, tokens × hidden. Keys and values of the tokens are written to the cache first.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        batch: &Prepared<'_>,
        cache: &mut LayerCache,
        steering: Option<&Steering>,
    ) -> Result<Tensor> {
        let tape = self.record(x, batch, cache, steering)?;
        self.result(&tape)
    }

    fn result(&self, tape: &Tape) -> Result<Tensor> {
        let y = narrow(&tape.down, tape.middle.dim(1)?)?;
        add(&y, &tape.middle)?;
        Ok(y)
    }

    /// The forward pass, with everything kept.
    pub(crate) fn record(
        &self,
        x: &Tensor,
        batch: &Prepared<'_>,
        cache: &mut LayerCache,
        steering: Option<&Steering>,
    ) -> Result<Tape> {
        let QkvLayout { q, k, .. } = self.layout;
        let normed = rms_norm(x, &self.input_norm, self.epsilon)?;
        let qkv = self.qkv.forward(&normed, steering)?;
        let raw = self.norm_heads(&qkv)?;
        rope(&qkv, q, batch.tables(), false)?;
        rope(&qkv, k, batch.tables(), false)?;
        cache.write(&qkv, self.layout, &batch.batch.rows)?;
        let attended = attention(&qkv, self.layout, cache, batch.queries(self.windowed))?;
        let output = self.output.forward(&attended, steering)?;
        let middle = narrow(&output, x.dim(1)?)?;
        add(&middle, x)?;
        let normed = rms_norm(&middle, &self.mlp_norm, self.epsilon)?;
        let gate_up = self.gate_up.forward(&normed, steering)?;
        let active = swiglu(&gate_up, self.intermediate, self.gate_up.width())?;
        let down = self.down.forward(&active, steering)?;
        Ok(Tape {
            qkv,
            raw,
            output,
            middle,
            gate_up,
            down,
        })
    }

    /// Normalises the heads of q and k in place, if the family does; gives them as they were.
    fn norm_heads(&self, qkv: &Tensor) -> Result<Option<(Tensor, Tensor)>> {
        let Some((q_norm, k_norm)) = &self.head_norms else {
            return Ok(None);
        };
        let norm = |heads: Heads, weight: &Tensor| -> Result<Tensor> {
            let raw = take_heads(qkv, heads)?;
            put_heads(qkv, heads, &rms_norm(&raw, weight, self.epsilon)?)?;
            Ok(raw)
        };
        Ok(Some((
            norm(self.layout.q, q_norm)?,
            norm(self.layout.k, k_norm)?,
        )))
    }

    /// The gradient of the input, from that of the output. Adds ∂L/∂R of the layer's modules to `gradient`.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        batch: &Prepared<'_>,
        (cache, cache_rows): (&mut LayerCache, usize),
        steering: &Steering,
        grad: &Tensor,
        gradient: &mut RGradient,
    ) -> Result<Tensor> {
        let tape = self.record(x, batch, cache, Some(steering))?;
        let grad_middle = self.mlp_backward(&tape, steering, grad, gradient)?;
        let padded = widen(&grad_middle, self.output.width())?;
        let grad_attended = self
            .output
            .backward(&padded, &tape.output, steering, gradient)?;
        let grad_qkv = attention_backward(
            &tape.qkv,
            self.layout,
            cache,
            batch.queries(self.windowed),
            &grad_attended,
            (&batch.batch.rows, cache_rows),
        )?;
        rope(&grad_qkv, self.layout.q, batch.tables(), true)?;
        rope(&grad_qkv, self.layout.k, batch.tables(), true)?;
        self.head_norms_backward(&tape, &grad_qkv)?;
        let grad_normed = self
            .qkv
            .backward(&grad_qkv, &tape.qkv, steering, gradient)?;
        let grad_x = rms_norm_backward(x, &self.input_norm, self.epsilon, &grad_normed)?;
        add(&grad_x, &grad_middle)?;
        Ok(grad_x)
    }

    fn mlp_backward(
        &self,
        tape: &Tape,
        steering: &Steering,
        grad: &Tensor,
        gradient: &mut RGradient,
    ) -> Result<Tensor> {
        let padded = widen(grad, self.down.width())?;
        let grad_active = self
            .down
            .backward(&padded, &tape.down, steering, gradient)?;
        let width = self.gate_up.width();
        let grad_gate_up = swiglu_backward(&tape.gate_up, self.intermediate, width, &grad_active)?;
        let grad_normed =
            self.gate_up
                .backward(&grad_gate_up, &tape.gate_up, steering, gradient)?;
        let grad_middle =
            rms_norm_backward(&tape.middle, &self.mlp_norm, self.epsilon, &grad_normed)?;
        add(&grad_middle, grad)?;
        Ok(grad_middle)
    }

    fn head_norms_backward(&self, tape: &Tape, grad_qkv: &Tensor) -> Result<()> {
        let (Some((q_norm, k_norm)), Some((q_raw, k_raw))) = (&self.head_norms, &tape.raw) else {
            return Ok(());
        };
        let QkvLayout { q, k, .. } = self.layout;
        for (heads, weight, raw) in [(q, q_norm, q_raw), (k, k_norm, k_raw)] {
            let grad = take_heads(grad_qkv, heads)?;
            let grad = rms_norm_backward(raw, weight, self.epsilon, &grad)?;
            put_heads(grad_qkv, heads, &grad)?;
        }
        Ok(())
    }
}

/// The first columns of a matrix, as one of its own.
fn narrow(x: &Tensor, columns: usize) -> Result<Tensor> {
    take_heads(
        x,
        Heads {
            stride: x.dim(1)?,
            offset: 0,
            count: 1,
            width: columns,
        },
    )
}
