#!/usr/bin/env python3
"""Write the bundled base model: a Qwen2 of 190,000 bf16 weights, in two shards, with a byte-level tokenizer.

    python3 make.py             writes the files beside this script
    python3 make.py --check     compares them with what it would write; exit status 1 if they differ

The weights are random, but not plain noise: like trained ones they have a decaying spectrum with distinct leading
singular values. The same bytes come out everywhere: the numbers are SHAKE-128 of a tensor's name, and only
elementwise + - * / sqrt are used, no BLAS and no libm.
"""

import hashlib
import json
import sys
from math import prod
from pathlib import Path

import numpy as np

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 64, 160, 4, 4, 2
KV = HIDDEN // HEADS * KV_HEADS
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")
VOCAB = 256 + len(SPECIALS)
ENDOFTEXT, IM_START, IM_END, PAD = range(256, VOCAB)

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


# Weights

SIGNAL_RANK = 24


def noise(name, shape):
    """Independent values of mean 0 and variance 1: sums of twelve bytes, centred."""
    stream = np.frombuffer(hashlib.shake_128(name.encode()).digest(12 * prod(shape)), np.uint8)
    sums = stream.reshape(-1, 12).sum(axis=1, dtype=np.int64)
    return ((sums - 1530) / 256.0).reshape(shape)


def matrix(name, rows, cols):
    """A weight whose singular values fall like 1 / sqrt(i) into a bulk of noise; its rows have norm about 1."""
    u, v = noise(name + " u", (SIGNAL_RANK, rows)), noise(name + " v", (SIGNAL_RANK, cols))
    w = 1.5 * noise(name, (rows, cols))
    for i in range(SIGNAL_RANK):
        w += u[i][:, None] * v[i][None, :] / np.sqrt(float(i + 1))
    return w / np.sqrt(6.0 * cols)


def tensors():
    """Name to f64 array, in the layout of transformers' Qwen2ForCausalLM with tied embeddings."""
    out = {"model.embed_tokens.weight": matrix("embed", VOCAB, HIDDEN)}
    shapes = {
        "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KV, HIDDEN), "self_attn.v_proj": (KV, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
        "mlp.up_proj": (INTERMEDIATE, HIDDEN), "mlp.down_proj": (HIDDEN, INTERMEDIATE),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name, shape in shapes.items():
            out[f"{prefix}{name}.weight"] = matrix(prefix + name, *shape)
        for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
            out[f"{prefix}{name}.bias"] = noise(f"{prefix}{name} bias", shapes[name][:1]) / 16.0
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{prefix}{name}.weight"] = 1.0 + noise(prefix + name, (HIDDEN,)) / 16.0
    out["model.norm.weight"] = 1.0 + noise("model.norm", (HIDDEN,)) / 16.0
    return out


def bf16(x):
    """The bits of x rounded to bfloat16, to nearest even."""
    bits = x.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


# Files

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def shard_of(name):
    """The embedding and the lower half of the layers come first."""
    _, kind, number, *_ = name.split(".")
    first = kind == "embed_tokens" or (kind == "layers" and int(number) < LAYERS // 2)
    return SHARDS[0] if first else SHARDS[1]


def safetensors(weights):
    """A safetensors file of bf16 tensors, sorted by name."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(weights):
        content = bf16(weights[name]).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(weights[name].shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def byte_characters():
    """GPT-2's printable stand-in for each byte, which the byte-level pre-tokenizer of `tokenizers` uses."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    stand_in = iter(range(256, 512))
    return [chr(b if b in printable else next(stand_in)) for b in range(256)]


def added(token_id):
    return {"id": token_id, "content": SPECIALS[token_id - 256], "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


def tokenizer():
    """One token a byte, token id = byte."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(i) for i in range(256, VOCAB)],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {c: b for b, c in enumerate(byte_characters())}, "merges": []},
    }


def settings():
    """The small JSON files of a checkpoint directory."""
    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "vocab_size": VOCAB, "hidden_act": "silu",
        "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "attention_dropout": 0.0,
        "initializer_range": 0.02, "tie_word_embeddings": True, "use_cache": True, "use_sliding_window": False,
        "bos_token_id": ENDOFTEXT, "eos_token_id": IM_END, "pad_token_id": PAD,
    }
    generation = {"bos_token_id": ENDOFTEXT, "eos_token_id": [IM_END, ENDOFTEXT], "pad_token_id": PAD, "do_sample": False}
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "clean_up_tokenization_spaces": False,
        "bos_token": None, "eos_token": SPECIALS[IM_END - 256], "pad_token": SPECIALS[PAD - 256], "unk_token": None,
        "added_tokens_decoder": {str(i): {k: v for k, v in added(i).items() if k != "id"} for i in range(256, VOCAB)},
        "chat_template": CHAT_TEMPLATE,
    }
    return {"config.json": config, "generation_config.json": generation, "tokenizer_config.json": tokenizer_config}


def files():
    """Name to bytes of everything that this script writes."""
    weights = tensors()
    shards = {s: {n: w for n, w in weights.items() if shard_of(n) == s} for s in SHARDS}
    index = {"metadata": {"total_size": sum(2 * w.size for w in weights.values())},
             "weight_map": {n: shard_of(n) for n in sorted(weights)}}
    out = {name: safetensors(content) for name, content in shards.items()}
    out["model.safetensors.index.json"] = (json.dumps(index, indent=2) + "\n").encode()
    out["tokenizer.json"] = (json.dumps(tokenizer(), ensure_ascii=False, indent=1) + "\n").encode()
    for name, content in settings().items():
        out[name] = (json.dumps(content, indent=2) + "\n").encode()
    return out


def main():
    here = Path(__file__).resolve().parent
    if sys.argv[1:] == ["--check"]:
        wrong = [n for n, content in files().items() if not (here / n).exists() or (here / n).read_bytes() != content]
        sys.exit(f"differs from what make.py writes: {', '.join(wrong)}" if wrong else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    for name, content in files().items():
        (here / name).write_bytes(content)


if __name__ == "__main__":
    main()
