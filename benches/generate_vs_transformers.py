#!/usr/bin/env python3
"""Tokens a second of the native engine against `generate` of transformers, in f32, greedily.

    cargo build --release -p tlora-model --example bench_generate
    generate_vs_transformers.py --model DIR --bench target/release/examples/bench_generate [--rounds 3] [--threads 2]

Both get the same prompts, all of one length, which suits `generate`: it pads others. Each round runs both, in alternating
order. `decode` counts the tokens after the first of each row, and the seconds after the first; `total` all, prompts included.
Loading is not measured. Without --bench only transformers runs.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import rounds


def prompts(batch: int, length: int) -> list[list[int]]:
    """The arbitrary tokens of the example bench_generate."""
    return [[1000 + (row * 131 + at * 17) % 5000 for at in range(length)] for row in range(batch)]


def transformers(model: Path, batch: int, prompt: int, new: int, threads: int) -> dict:
    """One run of the peer."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, StoppingCriteria, StoppingCriteriaList

    class Clock(StoppingCriteria):
        """When the first token of each row is there."""

        first = None

        def __call__(self, ids, scores, **_):
            self.first = self.first or time.perf_counter()
            return torch.zeros(len(ids), dtype=torch.bool)

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    # no token stops, and nothing of the model's own configuration but this
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=None, pad_token_id=0)

    def generate(length: int, count: int) -> tuple[float, float]:
        ids, clock = torch.tensor(prompts(batch, length)), Clock()
        start = time.perf_counter()
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, stopping_criteria=StoppingCriteriaList([clock]))
        end = time.perf_counter()
        assert out.shape == (batch, length + count), out.shape
        return clock.first - start, end - start

    generate(8, 4)
    first, total = generate(prompt, new)
    return {"decode": batch * (new - 1) / (total - first), "total": batch * new / total, "prompt_seconds": first}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, required=True)
    p.add_argument("--bench", type=Path, help="the example bench_generate")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--prompt", type=int, nargs="+", default=[32, 512])
    p.add_argument("--new", type=int, default=64)
    p.add_argument("--peer", action="store_true", help="run transformers once, here")
    args = p.parse_args()
    if args.peer:
        print(json.dumps(transformers(args.model, args.batch, args.prompt[0], args.new, args.threads)))
        return
    print(rounds.machine(args.threads))
    for prompt in args.prompt:
        print(f"{args.model.name}: batch {args.batch}, prompts of {prompt}, {args.new} new tokens")
        shape = ["--batch", args.batch, "--prompt", prompt, "--new", args.new, "--threads", args.threads]
        programs = {"transformers": lambda: rounds.run([sys.executable, __file__, "--peer", "--model", args.model, *shape], args.threads)}
        if args.bench:
            programs = {"tlora": lambda: rounds.run([args.bench, args.model, *shape], args.threads)} | programs
        found = rounds.alternate(args.rounds, **programs)
        for name, runs in found.items():
            numbers = [rounds.median(runs, key) for key in ("decode", "total", "prompt_seconds", "peak_rss_kb")]
            print("  {}: {:.1f} tokens/s decoding, {:.1f} with the prompts, which take {:.2f} s; peak {}".format(name, *numbers[:3], rounds.megabytes(numbers[3])))
        if args.bench:
            for key in ("decode", "total"):
                print(f"  {key}: {rounds.ratio(found['tlora'], found['transformers'], key)} times transformers")


if __name__ == "__main__":
    main()
