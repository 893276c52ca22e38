#!/usr/bin/env python3
"""One gradient of v, forward and backward, against torch with PEFT TinyLoRA, in f32: seconds and peak memory.

    cargo build --release -p tlora-model --example bench_update
    train_vs_torch.py --model DIR --bench target/release/examples/bench_update [--rounds 3] [--threads 2]

Sequences of arbitrary tokens, the loss the mean of -log p of all but the first of each. Both have r = 2, u = 13, one group and v = 0.01;
P differs, and the loss a little with it. Torch runs with gradient checkpointing, as ours computes layers again, and without.
The seconds are the median of several passes in one process, without loading and the decomposition; the peak is that of the
process. Each round runs all, in alternating order. Without --bench only torch runs.
"""

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import rounds


def sequences(count: int, length: int) -> list[list[int]]:
    """The arbitrary tokens of the example bench_update."""
    return [[1000 + (row * 131 + at * 17) % 5000 for at in range(length)] for row in range(count)]


def torch_and_peft(path: Path, count: int, length: int, repeats: int, threads: int, checkpointing: bool) -> dict:
    """One run of the peer."""
    import torch
    from peft import TinyLoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, TinyLoraConfig(r=2, u=13, weight_tying=1.0, target_modules=targets, task_type="CAUSAL_LM"))
    (v,) = [p for p in model.parameters() if p.requires_grad]
    torch.nn.init.constant_(v, 0.01)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    ids = torch.tensor(sequences(count, length))
    seconds, loaded = [], resident()
    for _ in range(repeats):
        v.grad = None
        start = time.perf_counter()
        logits = model(ids, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
        loss.backward()
        seconds.append(time.perf_counter() - start)
        value = loss.item()
        del logits, loss
    assert v.grad.abs().max() > 0
    return {"seconds": median(seconds), "tokens": count * length, "loss": value, "loaded_rss_kb": loaded}


def resident() -> int:
    """Resident memory now, in units of 1,024 bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--bench", type=Path, help="the example bench_update")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--sequences", type=int, default=4)
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--peer", choices=["checkpointing", "plain"], help="run torch once, here")
    args = p.parse_args()
    if args.peer:
        print(json.dumps(torch_and_peft(args.model, args.sequences, args.tokens, args.repeats, args.threads, args.peer == "checkpointing")))
        return
    print(rounds.machine(args.threads))
    print(f"{args.model.name}: {args.sequences} sequences of {args.tokens} tokens")
    shape = ["--sequences", args.sequences, "--tokens", args.tokens, "--repeats", args.repeats, "--threads", args.threads]

    def peer(kind: str):
        return lambda: rounds.run([sys.executable, __file__, "--model", args.model, "--peer", kind, *shape], args.threads)

    programs = {"checkpointing": peer("checkpointing"), "plain": peer("plain")}
    if args.bench:
        programs = {"tlora": lambda: rounds.run([args.bench, args.model, *shape], args.threads)} | programs
    found = rounds.alternate(args.rounds, **programs)
    for name, runs in found.items():
        seconds, peak = rounds.median(runs, "seconds"), rounds.median(runs, "peak_rss_kb")
        print(f"  {name}: {seconds:.2f} s, {1e3 * seconds / runs[0]['tokens']:.2f} ms a token, peak {rounds.megabytes(peak)}, loss {runs[0]['loss']:.4f}")
    for name in ("checkpointing", "plain") if args.bench else ():
        speed, memory = rounds.ratio(found[name], found["tlora"], "seconds"), rounds.ratio(found["tlora"], found[name], "peak_rss_kb")
        print(f"  against torch, {name}: {speed} times as fast, {memory} of its memory")


if __name__ == "__main__":
    main()
