//! One layer: attention and MLP on the residual stream, and the way back.
//!
//! The way back needs what the forward pass computed. It is not kept but computed again from the layer's input, so that a
//! deep model holds one layer's activations and the inputs of all layers.

use super::batch::Prepared;
use crate::error::Result;
use crate::ops::array::Array;
use crate::ops::attention::{Attended, LayerCache, QkvLayout, attention, attention_backward};
use crate::ops::elementwise::{
    Heads, add, put_heads, rms_norm, rms_norm_backward, rope, swiglu_backward, take_heads, widen,
};
use crate::ops::linear::{AdaptedLinear, RSum};
use crate::steering::Steering;

/// The frozen weights of a layer.
#[derive(Debug)]
pub(crate) struct Layer {
    pub input_norm: Array,
    /// q, k and v.
    pub qkv: AdaptedLinear,
    /// The norms of the heads of q and k (Qwen3).
    pub head_norms: Option<(Array, Array)>,
    pub output: AdaptedLinear,
    pub mlp_norm: Array,
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
    qkv: Array,
    /// q and k before the norms of their heads.
    raw: Option<(Array, Array)>,
    attended: Attended,
    /// The product; its columns of x·Aᵀ are wanted.
    output: Array,
    /// The residual stream between attention and MLP.
    middle: Array,
    gate_up: Array,
    /// As `output`.
    down: Array,
}

impl Layer {
    /// The layer's output, tokens × hidden. Keys and values of the tokens are written to the cache first.
    pub(crate) fn forward(
        &self,
        x: &Array,
        batch: &Prepared<'_>,
        cache: &mut LayerCache,
        steering: Option<&Steering>,
    ) -> Result<Array> {
        let mut tape = self.record(x, batch, cache, steering)?;
        self.down
            .add_to(&mut tape.down, &tape.middle, batch, steering)
    }

    /// The forward pass up to the last product, with everything kept.
    pub(crate) fn record(
        &self,
        x: &Array,
        batch: &Prepared<'_>,
        cache: &mut LayerCache,
        steering: Option<&Steering>,
    ) -> Result<Tape> {
        let into = &self.qkv.packed;
        let normed = into.rms_norm(x, &self.input_norm, self.epsilon)?;
        let mut qkv = self.qkv.forward(&normed, batch, steering)?;
        let raw = self.norm_heads(&mut qkv)?;
        rope(&mut qkv, self.layout.turned(), batch, false)?;
        cache.write(&qkv, self.layout, batch)?;
        let attended = attention(&qkv, self.layout, cache, (batch, self.windowed))?;
        let mut output = self.output.packed.product(&attended.out)?;
        let middle = self.output.add_to(&mut output, x, batch, steering)?;
        let into = &self.gate_up.packed;
        let normed = into.rms_norm(&middle, &self.mlp_norm, self.epsilon)?;
        let gate_up = self.gate_up.forward(&normed, batch, steering)?;
        let (into, width) = (&self.down.packed, self.gate_up.width());
        let active = into.swiglu(&gate_up, self.intermediate, width)?;
        let down = self.down.packed.product(&active)?;
        Ok(Tape {
            qkv,
            raw,
            attended,
            output,
            middle,
            gate_up,
            down,
        })
    }

    /// Normalises the heads of q and k in place, if the family does; gives them as they were.
    fn norm_heads(&self, qkv: &mut Array) -> Result<Option<(Array, Array)>> {
        let Some((q_norm, k_norm)) = &self.head_norms else {
            return Ok(None);
        };
        let mut norm = |heads: Heads, weight: &Array| -> Result<Array> {
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
        x: &Array,
        batch: &Prepared<'_>,
        (cache, cache_rows): (&mut LayerCache, usize),
        steering: &Steering,
        grad: &Array,
        gradient: &mut RSum,
    ) -> Result<Array> {
        let tape = self.record(x, batch, cache, Some(steering))?;
        let grad_middle = self.mlp_backward(&tape, steering, grad, gradient)?;
        let mut padded = widen(&grad_middle, self.output.width())?;
        let grad_attended = self
            .output
            .backward(&mut padded, &tape.output, steering, gradient)?;
        let mut grad_qkv = attention_backward(
            &tape.qkv,
            self.layout,
            (cache, cache_rows),
            (batch, self.windowed),
            &tape.attended,
            &grad_attended,
        )?;
        rope(&mut grad_qkv, self.layout.turned(), batch, true)?;
        self.head_norms_backward(&tape, &mut grad_qkv)?;
        let grad_normed = self
            .qkv
            .backward(&mut grad_qkv, &tape.qkv, steering, gradient)?;
        let mut grad_x = rms_norm_backward(x, &self.input_norm, self.epsilon, &grad_normed)?;
        add(&mut grad_x, &grad_middle)?;
        Ok(grad_x)
    }

    fn mlp_backward(
        &self,
        tape: &Tape,
        steering: &Steering,
        grad: &Array,
        gradient: &mut RSum,
    ) -> Result<Array> {
        let mut padded = widen(grad, self.down.width())?;
        let grad_active = self
            .down
            .backward(&mut padded, &tape.down, steering, gradient)?;
        let width = self.gate_up.width();
        let mut grad_gate_up =
            swiglu_backward(&tape.gate_up, self.intermediate, width, &grad_active)?;
        let grad_normed =
            self.gate_up
                .backward(&mut grad_gate_up, &tape.gate_up, steering, gradient)?;
        let mut grad_middle =
            rms_norm_backward(&tape.middle, &self.mlp_norm, self.epsilon, &grad_normed)?;
        add(&mut grad_middle, grad)?;
        Ok(grad_middle)
    }

    fn head_norms_backward(&self, tape: &Tape, grad_qkv: &mut Array) -> Result<()> {
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
