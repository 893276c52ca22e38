#!/usr/bin/env python3
"""Make the bundled model again, or check that its files are the recorded ones.

    python3 make.py             the data (generate.py), the training (train.py, needs torch), then SHA256SUMS
    python3 make.py --record    SHA256SUMS alone, of the files that are there
    python3 make.py --check     the standard library only; exit status 1 if a file differs

The weights of a training depend on the machine's arithmetic, so `--check` does not train: it compares every file with
SHA256SUMS, the data with what generate.py writes, and the two shards with config.json.
"""

import hashlib
import json
import subprocess
import sys
from math import prod
from pathlib import Path

import generate

HERE = Path(__file__).resolve().parent
SUMS = HERE / "SHA256SUMS"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
FILES = (*SHARDS, "config.json", "generation_config.json", "model.safetensors.index.json", "test.jsonl", "tokenizer.json",
         "tokenizer_config.json", "train.jsonl", "training.json")
LARGEST = 4_000_000


def sums():
    """The text of SHA256SUMS, which `sha256sum --check` reads too."""
    return "".join(f"{hashlib.sha256((HERE / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(FILES))


def shapes(config):
    """Name to shape of the weights that a Qwen2ForCausalLM with tied embeddings has."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    narrow = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    out = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, rows in (("q_proj", hidden), ("k_proj", narrow), ("v_proj", narrow)):
            out[f"{prefix}self_attn.{name}.weight"] = [rows, hidden]
            out[f"{prefix}self_attn.{name}.bias"] = [rows]
        out[f"{prefix}self_attn.o_proj.weight"] = [hidden, hidden]
        out[f"{prefix}mlp.gate_proj.weight"] = out[f"{prefix}mlp.up_proj.weight"] = [inner, hidden]
        out[f"{prefix}mlp.down_proj.weight"] = [hidden, inner]
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{prefix}{name}.weight"] = [hidden]
    return out


def stored():
    """Name to shape of the bf16 tensors in the shards."""
    out = {}
    for shard in SHARDS:
        content = (HERE / shard).read_bytes()
        header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
        out |= {name: entry["shape"] for name, entry in header.items() if entry.get("dtype") == "BF16"}
    return out


def faults():
    """What is wrong with the files, a line each."""
    recorded = set(SUMS.read_text().splitlines())
    for line in sums().splitlines():
        if line not in recorded:
            yield f"{line.split()[1]} is not the recorded file"
    for name, content in generate.files().items():
        if (HERE / name).read_bytes() != content:
            yield f"{name} is not what generate.py writes"
    wanted = shapes(json.loads((HERE / "config.json").read_text()))
    if stored() != wanted:
        yield "the shards do not hold the weights of config.json"
    if 2 * sum(map(prod, wanted.values())) > LARGEST:
        yield f"the weights take more than {LARGEST} bytes"


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit("\n".join(faults()) or 0)
    if sys.argv[1:] not in ([], ["--record"]):
        sys.exit(__doc__)
    if not sys.argv[1:]:
        for script in ("generate.py", "train.py"):
            subprocess.run([sys.executable, HERE / script], check=True)
    SUMS.write_text(sums())


if __name__ == "__main__":
    main()
