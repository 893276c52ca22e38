#!/usr/bin/env python3
"""`tlora merge` against `cp -r` of the same checkpoint, and its peak memory.

    merge_vs_cp.py --tlora target/release/tlora --work DIR [--rounds 5] [--threads 2]

Builds a synthetic checkpoint with the shapes of Qwen2.5-1.5B (3.09 GB of bf16, three shards) in DIR once, with NumPy.
Then each round runs both, in alternating order, the merge with a warm basis cache; dirty pages are written back between
runs, outside the measured time. The number that counts is the median of the rounds' ratios: copy time / merge time. A
second one adds to each the write-back that it leaves behind: a merge makes its files durable itself, a copy does not.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV, VOCAB = 1536, 8960, 28, 12, 256, 151936
PROJECTIONS = {
    "self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KV, HIDDEN), "self_attn.v_proj": (KV, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (INTERMEDIATE, HIDDEN), "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
CONFIG = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "torch_dtype": "bfloat16", "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": 2,
    "vocab_size": VOCAB, "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0, "tie_word_embeddings": True,
}
SIGNAL = (2.0, 1.7, 1.4, 1.2)  # leading singular values, in units of the noise's edge
POOL = 1 << 26


# The checkpoint

def shapes() -> dict[str, tuple[int, ...]]:
    """Name to shape, in the order in which tensors are dealt to the shards."""
    out = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        out |= {f"{prefix}{name}.weight": shape for name, shape in PROJECTIONS.items()}
        out |= {f"{prefix}self_attn.{x}_proj.bias": PROJECTIONS[f"self_attn.{x}_proj"][:1] for x in "qkv"}
        out |= {f"{prefix}{name}.weight": (HIDDEN,) for name in ("input_layernorm", "post_attention_layernorm")}
    return out | {"model.norm.weight": (HIDDEN,)}


def deal(all_shapes: dict, count: int) -> list[dict]:
    """Split the tensors into shards of about equal size."""
    share = sum(2 * int(np.prod(s)) for s in all_shapes.values()) / count
    shards, filled = [{} for _ in range(count)], 0
    for name, shape in all_shapes.items():
        shards[min(int(filled / share), count - 1)][name] = shape
        filled += 2 * int(np.prod(shape))
    return shards


def tensor(rng: np.random.Generator, pool: np.ndarray, shape: tuple[int, ...]) -> bytes:
    """A slice of the noise, plus a few clear directions for a matrix of a layer; in bf16."""
    start, size = int(rng.integers(0, len(pool))), int(np.prod(shape))
    w = np.resize(np.roll(pool, -start) if size > len(pool) - start else pool[start:], size).reshape(shape)
    if len(shape) == 2 and shape[0] != VOCAB:
        edge = 0.02 * (np.sqrt(shape[0]) + np.sqrt(shape[1]))
        u, v = (rng.standard_normal((n, len(SIGNAL)), dtype=np.float32) / np.float32(np.sqrt(n)) for n in shape)
        w = w + (u * np.array(SIGNAL, np.float32) * np.float32(edge)) @ v.T
    bits = np.ascontiguousarray(w, dtype="<f4").view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()


def write_shard(path: Path, rng: np.random.Generator, pool: np.ndarray, part: dict) -> None:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in part.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for shape in part.values():
            f.write(tensor(rng, pool, shape))


def build(path: Path) -> None:
    """Write the checkpoint, unless it is there."""
    if path.exists():
        return
    part_path = path.with_name(path.name + ".part")
    shutil.rmtree(part_path, ignore_errors=True)
    part_path.mkdir(parents=True)
    rng = np.random.default_rng(2602)
    pool = np.float32(0.02) * rng.standard_normal(POOL, dtype=np.float32)
    parts = deal(shapes(), 3)
    weight_map = {}
    for number, part in enumerate(parts, 1):
        name = f"model-{number:05}-of-{len(parts):05}.safetensors"
        write_shard(part_path / name, rng, pool, part)
        weight_map |= {tensor: name for tensor in part}
    total = sum(2 * int(np.prod(s)) for s in shapes().values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (part_path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    (part_path / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    part_path.rename(path)


def build_apart(path: Path) -> None:
    """Build in a process of its own: a child's peak memory counts from the fork, when it still is a copy of this one."""
    builder = multiprocessing.get_context("spawn").Process(target=build, args=(path,))
    builder.start()
    builder.join()
    if builder.exitcode != 0:
        raise SystemExit("the checkpoint could not be built")


# The race

class Run:
    """One child process: wall and CPU seconds, and its peak resident memory in bytes."""

    def __init__(self, command: list[str], env: dict[str, str]):
        start = time.monotonic()
        child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        self.wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"exit code {child.returncode} from {' '.join(command)}")
        self.durable = self.wall
        self.cpu, self.peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def timed(command: list[str], out: Path, env: dict[str, str]) -> Run:
    """A run that starts from clean pages and leaves nothing."""
    os.sync()
    run = Run(command, env)
    start = time.monotonic()
    os.sync()
    run.durable = run.wall + time.monotonic() - start
    shutil.rmtree(out)
    return run


def race(tlora: str, work: Path, rounds: int, threads: int) -> list[tuple[Run, Run]]:
    base, adapter, copied, merged = work / "base-3gb", work / "a.tlora", work / "copied", work / "merged"
    for left_over in (copied, merged):
        shutil.rmtree(left_over, ignore_errors=True)
    env = os.environ | {"HOME": str(work / "home"), "XDG_CACHE_HOME": str(work / "xdg")}
    build_apart(base)
    if not adapter.exists():
        v = ",".join(["0.05"] * 13)
        first = Run([tlora, "init", str(base), "-o", str(adapter), "--groups", "13", f"--v={v}"], env)
        print(f"init with a cold cache: {first.wall:.1f} s, {first.cpu:.1f} CPU s, peak {first.peak / 1e6:.0f} MB")
    merge = [tlora, "merge", str(base), str(adapter), "-o", str(merged), "--threads", str(threads), "--cache-dir", str(work / "cache")]
    copy = ["cp", "-r", str(base), str(copied)]
    timed(merge, merged, env)  # fills the basis cache and the page cache
    pairs = []
    for number in range(rounds):
        if number % 2:
            m = timed(merge, merged, env)
            c = timed(copy, copied, env)
        else:
            c = timed(copy, copied, env)
            m = timed(merge, merged, env)
        pairs.append((c, m))
        print(f"round {number + 1}: cp {c.wall:.2f} s ({c.cpu:.2f} CPU, on disk after {c.durable:.2f}), "
              f"merge {m.wall:.2f} s ({m.cpu:.2f} CPU, on disk after {m.durable:.2f}), peak {m.peak / 1e6:.0f} MB", flush=True)
    return pairs


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, help="the built command")
    p.add_argument("--work", required=True, type=Path, help="a directory with 10 GB free")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = p.parse_args()
    pairs = race(args.tlora, args.work.resolve(), args.rounds, args.threads)
    speed = statistics.median(c.wall / m.wall for c, m in pairs)
    durable = statistics.median(c.durable / m.durable for c, m in pairs)
    peak = max(m.peak for _, m in pairs)
    print(f"median {speed:.2f} of cp's speed (goal 0.7), {durable:.2f} until all is on disk; peak {peak / 1e6:.0f} MB (goal 600)")


if __name__ == "__main__":
    main()
