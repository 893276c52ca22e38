#!/usr/bin/env python3
"""Sampling and updates at the shapes of Qwen2.5 with random weights, against transformers with PEFT's TinyLoRA.

    cargo build --release --features cuda --example bench-train
    shapes_vs_peft.py --bench target/release/examples/bench-train [--shape 0.5b] [--rounds 3] [--threads 2] [--device cpu]

Both make a model of the shape in memory, f32 activations on a CPU and bf16 on a GPU, with r = 2, u = 13, one group. Sampling draws
all samples of all prompts at once, no token stops, and the seconds are those of decoding: transformers draws once with one new token,
which is the prompts, and once with all. The update is forward and backward over the same tokens, in torch with gradient checkpointing and
with the prompt repeated for each sample, as TRL does it; tokens a second count the tokens of prompts once for both, since the rest is the
same work done again. The seconds are of the second of two updates. The singular vectors of random weights are of no use: PEFT gets random
orthonormal ones, which takes a moment instead of minutes.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import rounds

SHAPES = {
    "tiny": (64, 160, 2, 4, 2, 512, True),
    "0.5b": (896, 4864, 24, 14, 2, 151_936, True),
    "1.5b": (1536, 8960, 28, 12, 2, 151_936, True),
    "7b": (3584, 18_944, 28, 28, 4, 152_064, False),
}


def peer(args: argparse.Namespace) -> dict:
    """One run of transformers and PEFT."""
    import torch
    from peft import TinyLoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    warnings.simplefilter("ignore")
    hidden, intermediate, layers, heads, kv_heads, vocabulary, tied = SHAPES[args.shape]
    config = Qwen2Config(
        hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads,
        vocab_size=vocabulary, tie_word_embeddings=tied, max_position_embeddings=32_768,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )
    torch.set_default_dtype(torch.bfloat16 if args.device == "cuda" else torch.float32)
    with torch.device(args.device):
        model = Qwen2ForCausalLM(config)
    torch.linalg.svd = orthonormal
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, TinyLoraConfig(r=2, u=13, weight_tying=1.0, target_modules=targets, task_type="CAUSAL_LM"))
    model.to(args.device)
    (v,) = [p for p in model.parameters() if p.requires_grad]
    torch.nn.init.constant_(v, 0.01)

    def arbitrary(row: int, count: int) -> list[int]:
        return [(row * 131 + at * 17) % vocabulary for at in range(count)]

    def seconds(what) -> float:
        if args.device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        what()
        if args.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    prompts = torch.tensor([arbitrary(row, args.prompt) for row in range(args.prompts)], device=args.device).repeat_interleave(args.samples, 0)

    @torch.no_grad()
    def sample(new: int) -> None:
        ids = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=0, min_new_tokens=new, max_new_tokens=new)
        assert ids.shape == (len(prompts), args.prompt + new)

    model.eval()
    sample(2)
    first, whole = seconds(lambda: sample(1)), seconds(lambda: sample(args.new))
    drawn = len(prompts) * (args.new - 1)

    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    completions = torch.tensor([arbitrary(1000 + row, args.new) for row in range(args.samples)], device=args.device).repeat(args.prompts, 1)
    ids = torch.cat([prompts, completions], 1)

    def update() -> None:
        v.grad = None
        logits = model(ids[:, :-1], use_cache=False, logits_to_keep=args.new).logits
        torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), completions.flatten()).backward()
        assert v.grad.abs().max() > 0

    update()
    updating = seconds(update)
    tokens = args.prompts * args.prompt + len(prompts) * (args.new - 1)
    peak = torch.cuda.max_memory_allocated() if args.device == "cuda" else None
    return {"rollout": drawn / (whole - first), "update": tokens / updating, "peak_device_bytes": peak}


def orthonormal(weight, *_, **__):
    """Factors of the shapes that torch.linalg.svd gives, of rank 8 at most and without its work."""
    import torch

    rank = min(8, *weight.shape)
    u, _ = torch.linalg.qr(torch.randn(weight.shape[0], rank, device=weight.device, dtype=torch.float32))
    v, _ = torch.linalg.qr(torch.randn(weight.shape[1], rank, device=weight.device, dtype=torch.float32))
    s = torch.linspace(2.0, 1.0, rank, device=weight.device, dtype=torch.float32)
    return u.to(weight.dtype), s.to(weight.dtype), v.T.contiguous().to(weight.dtype)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--bench", type=Path, help="the example bench-train")
    p.add_argument("--shape", choices=SHAPES, default="0.5b")
    p.add_argument("--prompts", type=int, default=4)
    p.add_argument("--samples", type=int, default=16)
    p.add_argument("--prompt", type=int, default=128)
    p.add_argument("--new", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where both run")
    p.add_argument("--peer", action="store_true", help="run transformers and PEFT once, here")
    args = p.parse_args()
    if args.peer:
        print(json.dumps(peer(args)))
        return
    if not args.bench:
        p.error("--bench is missing: cargo build --release --example bench-train")
    print(rounds.machine(args.threads))
    sizes = [f"--{name}={getattr(args, name)}" for name in ["shape", "prompts", "samples", "prompt", "new", "threads", "device"]]

    found = rounds.alternate(
        args.rounds,
        tlora=lambda: compared(rounds.run([args.bench, *sizes, "--json"], args.threads)),
        peft=lambda: rounds.run([sys.executable, __file__, "--peer", *sizes], args.threads),
    )
    for phase in ["rollout", "update"]:
        print(f"{phase}: tlora {rounds.median(found['tlora'], phase):.1f} tokens/s, transformers and PEFT {rounds.median(found['peft'], phase):.1f}, ratio {rounds.ratio(found['tlora'], found['peft'], phase)}")
    print(f"peak memory of the process: {rounds.megabytes(rounds.median(found['tlora'], 'peak_rss_kb'))}, {rounds.megabytes(rounds.median(found['peft'], 'peak_rss_kb'))}")
    if args.device == "cuda":
        print(f"peak memory of the device: {rounds.median(found['tlora'], 'peak_bytes') / 1e6:.0f} MB, {rounds.median(found['peft'], 'peak_device_bytes') / 1e6:.0f} MB")


def compared(found: dict) -> dict:
    """The numbers of the only shape that are compared."""
    (shape,) = found["shapes"]
    speeds = {phase: shape[phase]["tokens_per_second"] for phase in ["rollout", "update"]}
    return speeds | {"peak_bytes": shape["peak_bytes"]} | {key: found[key] for key in ["peak_rss_kb", "others"]}


if __name__ == "__main__":
    main()
