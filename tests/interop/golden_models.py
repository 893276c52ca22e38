"""The base models of make_golden.py: weights from SHAKE-128 with elementwise arithmetic only, so the same bytes everywhere."""

import hashlib
import json
from math import prod

import numpy as np
import torch
from safetensors.torch import save_file


def noise(name, shape):
    """Independent values of mean 0 and variance 1: sums of twelve bytes, centred."""
    stream = np.frombuffer(hashlib.shake_128(name.encode()).digest(12 * prod(shape)), np.uint8)
    return ((stream.reshape(-1, 12).sum(axis=1, dtype=np.int64) - 1530) / 256.0).reshape(shape)


def decaying(name, rows, cols):
    """A weight with well separated leading singular values, as trained ones have."""
    w = 0.4 * noise(name, (rows, cols))
    for i in range(6):
        w += noise(f"{name} u{i}", (rows,))[:, None] * noise(f"{name} v{i}", (cols,))[None, :] / np.sqrt(float(i + 1))
    return w / np.sqrt(4.0 * cols)


def flat(name, rows, cols):
    """A weight whose singular values fall by one part in a hundred each, which ten power iterations do not separate."""
    w = np.zeros((rows, cols))
    for i in range(min(rows, cols)):
        w[i, i] = 1.0 - 0.01 * i
    for step in range(6):
        # a Householder reflection from either side
        for side in ("left", "right"):
            w = w.T
            x = noise(f"{name} {side} {step}", (w.shape[1],))
            square, along = 0.0, np.zeros(w.shape[0])
            for j in range(len(x)):
                square += float(x[j]) * float(x[j])
                along = along + w[:, j] * x[j]
            w = w - along[:, None] * x[None, :] * (2.0 / square)
    return w


def decoder(model, hidden, kv, inter, layers, vocab, matrix, tied, biased=False):
    """Tensors of transformers' LlamaForCausalLM or Qwen2ForCausalLM."""
    shapes = {"self_attn.q_proj": (hidden, hidden), "self_attn.k_proj": (kv, hidden), "self_attn.v_proj": (kv, hidden),
              "self_attn.o_proj": (hidden, hidden), "mlp.gate_proj": (inter, hidden), "mlp.up_proj": (inter, hidden),
              "mlp.down_proj": (hidden, inter)}
    out = {"model.embed_tokens.weight": decaying(f"{model} embed", vocab, hidden)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name, shape in shapes.items():
            out[f"{at}{name}.weight"] = matrix(f"{model} {at}{name}", *shape)
        for name in ("q", "k", "v") if biased else ():
            out[f"{at}self_attn.{name}_proj.bias"] = noise(f"{model} {at}{name} bias", shapes[f"self_attn.{name}_proj"][:1]) / 16
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{at}{name}.weight"] = 1 + noise(f"{model} {at}{name}", (hidden,)) / 16
    out["model.norm.weight"] = 1 + noise(f"{model} norm", (hidden,)) / 16
    if not tied:
        out["lm_head.weight"] = decaying(f"{model} lm_head", vocab, hidden)
    return out


def llama_config(kind, hidden, kv_heads, inter, layers, vocab, tied):
    names = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
    return {"architectures": [names[kind]], "model_type": kind, "hidden_size": hidden, "intermediate_size": inter,
            "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": kv_heads, "vocab_size": vocab,
            "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": tied,
            "hidden_act": "silu", "bos_token_id": 0, "eos_token_id": 1}


def gpt2():
    """GPT-2, whose Conv1D stores its weights in x out."""
    hidden, layers, vocab = 8, 2, 20
    out = {"transformer.wte.weight": decaying("gpt2 wte", vocab, hidden), "transformer.wpe.weight": noise("gpt2 wpe", (16, hidden)) / 16}
    for layer in range(layers):
        at = f"transformer.h.{layer}."
        for name, shape in {"attn.c_attn": (hidden, 3 * hidden), "attn.c_proj": (hidden, hidden),
                            "mlp.c_fc": (hidden, 4 * hidden), "mlp.c_proj": (4 * hidden, hidden)}.items():
            out[f"{at}{name}.weight"] = decaying(f"gpt2 {at}{name}", *shape)
            out[f"{at}{name}.bias"] = noise(f"gpt2 {at}{name} bias", shape[1:]) / 16
        for name in ("ln_1", "ln_2"):
            out[f"{at}{name}.weight"] = 1 + noise(f"gpt2 {at}{name}", (hidden,)) / 16
            out[f"{at}{name}.bias"] = noise(f"gpt2 {at}{name} bias", (hidden,)) / 16
    out["transformer.ln_f.weight"] = 1 + noise("gpt2 ln_f", (hidden,)) / 16
    out["transformer.ln_f.bias"] = noise("gpt2 ln_f bias", (hidden,)) / 16
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": hidden, "n_head": 2, "n_layer": layers,
              "n_positions": 16, "vocab_size": vocab, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": True}
    return config, out


# name: the model, and the types it is stored in
MODELS = {
    "qwen2": (lambda: (llama_config("qwen2", 16, 1, 12, 2, 20, True), decoder("qwen2", 16, 4, 12, 2, 20, decaying, True, True)),
              ("f32", "bf16", "f16")),
    "llama": (lambda: (llama_config("llama", 16, 2, 12, 3, 20, False), decoder("llama", 16, 8, 12, 3, 20, decaying, False)),
              ("f32", "bf16")),
    "gpt2": (gpt2, ("f32", "bf16")),
    "flat": (lambda: (llama_config("llama", 32, 1, 40, 1, 20, True), decoder("flat", 32, 8, 40, 1, 20, flat, True)), ("f32", "f16")),
}
TORCH = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


def write_bases(out):
    for name, (make, dtypes) in MODELS.items():
        config, tensors = make()
        for dtype in dtypes:
            path = out / "bases" / f"{name}-{dtype}"
            path.mkdir(parents=True, exist_ok=True)
            stored = {k: torch.from_numpy(w).to(getattr(torch, TORCH[dtype])).contiguous() for k, w in tensors.items()}
            save_file(stored, path / "model.safetensors", metadata={"format": "pt"})
            (path / "config.json").write_text(json.dumps(config | {"torch_dtype": TORCH[dtype]}, indent=1) + "\n")
